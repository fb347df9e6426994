import type { Credentials, Identity, Source } from './access.ts';
import { KubeError } from './errors.ts';

/** What a user entry of a kubeconfig, or a service account, holds. */
export interface CredentialSources {
  readonly token?: Source | undefined;
  /** Name and password. */
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  readonly cert?: Source | undefined;
  readonly key?: Source | undefined;
}

/** Characters a header may hold. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Credentials that are texts or files. */
export function sourceCredentials({ token, basic, cert, key }: CredentialSources): Credentials {
  const authorization = (): string | undefined => {
    if (token !== undefined) return bearer(token.read());
    if (basic === undefined) return undefined;
    const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    return `Basic ${pair}`;
  };
  return {
    identity: async (): Promise<Identity> => ({
      authorization: authorization(),
      cert: cert?.read(),
      key: key?.read(),
    }),
    expire: () => {
      for (const source of [token, cert, key]) source?.expire();
    },
  };
}

/**
 * The header for a token.
 * @throws KubeError CREDENTIALS: it cannot be one.
 */
export function bearer(text: string): string {
  const token = text.trim();
  if (TOKEN.test(token)) return `Bearer ${token}`;
  // Not a word of it: a token with a typo in it is still almost a token.
  const message =
    'The token has characters that no token has, such as spaces or line breaks inside. Write it anew.';
  throw new KubeError('SY_KUBE_CREDENTIALS', message);
}
