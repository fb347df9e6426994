/** The version of kube-proxy whose flags, files, ports and metrics these are. */
export const KUBE_PROXY = { major: '1', minor: '36', version: 'v1.36.2' } as const;
