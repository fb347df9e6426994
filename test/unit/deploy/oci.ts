/** What the OCI image specification calls the parts of an image, as far as tests read them. */

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Documents {
  readonly index: { readonly manifests: readonly [Descriptor] };
  readonly manifest: { readonly config: Descriptor; readonly layers: readonly Descriptor[] };
  readonly config: {
    readonly architecture: string;
    readonly config: { readonly Env: readonly string[]; readonly Entrypoint: readonly string[] };
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
}

/** A JSON document of an image. */
export function parseOci<K extends keyof Documents>(_kind: K, content: Buffer): Documents[K] {
  return JSON.parse(content.toString()) as Documents[K];
}
