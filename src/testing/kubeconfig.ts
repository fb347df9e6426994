/** What a kubeconfig is made of. */
export interface KubeconfigParts {
  readonly server: string;
  /** Certificate of the authority as PEM. */
  readonly authority: string | undefined;
  readonly token: string | undefined;
}

/** A kubeconfig with one context, as JSON, which is YAML too. */
export function kubeconfig({ server, authority, token }: KubeconfigParts): string {
  const data = authority === undefined ? undefined : Buffer.from(authority).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'stand-in', cluster: { server, 'certificate-authority-data': data } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'user' } }],
    'current-context': 'stand-in',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
