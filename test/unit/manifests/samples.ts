/** Text of manifests for tests. */

export interface ServiceSample {
  readonly name: string;
  readonly clusterIP?: string;
  readonly port?: number | string;
  readonly namespace?: string;
}

/** A Service with one port. */
export function serviceYaml({
  name,
  clusterIP = '10.96.0.1',
  port = 80,
  namespace = 'shop',
}: ServiceSample): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
  clusterIP: ${clusterIP}
  ports:
  - name: http
    port: ${port}
`;
}

/** An EndpointSlice with one port and these addresses. */
export function sliceYaml(name: string, service: string, addresses: readonly string[]): string {
  const endpoints = addresses.map((address) => `- addresses: [${address}]\n`).join('');
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}
  namespace: shop
  labels:
    kubernetes.io/service-name: ${service}
addressType: IPv4
ports:
- name: http
  port: 8080
endpoints:
${endpoints}`;
}
