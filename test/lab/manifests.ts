/** Text of manifests for tests. */

/** What a Service has; everything but the name has a default. */
export interface ServiceSample {
  readonly name: string;
  readonly clusterIP?: string;
  readonly port?: number | string;
  /** With it, the Service is of type NodePort. */
  readonly nodePort?: number;
  readonly namespace?: string;
}

/** A Service with one port. */
export function serviceYaml({
  name,
  clusterIP = '10.96.0.1',
  port = 80,
  nodePort,
  namespace = 'shop',
}: ServiceSample): string {
  const open = nodePort === undefined ? '' : `    nodePort: ${nodePort}\n  type: NodePort\n`;
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
${open}`;
}

/** An EndpointSlice `SERVICE-1` in `shop` with one port and these addresses. */
export function sliceYaml(service: string, addresses: readonly string[]): string {
  const endpoints = addresses.map((address) => `- addresses: [${address}]\n`).join('');
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${service}-1
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

/** A Service in `shop` and its slice with two endpoints, as one file. */
export function shop(name: string, clusterIP: string, port = 80, nodePort?: number): string {
  const service = { name, clusterIP, port, ...(nodePort !== undefined && { nodePort }) };
  return `${serviceYaml(service)}---\n${sliceYaml(name, ['10.1.0.1', '10.1.0.2'])}`;
}
