/** Manifests for tests of the proxy. */

/** A Service `shop/NAME` with one port and two endpoints, as one file. */
export function shop(name: string, clusterIP: string, port = 80, nodePort?: number): string {
  return `${serviceYaml(name, clusterIP, port, nodePort)}---
${sliceYaml(name, ['10.1.0.1', '10.1.0.2'])}`;
}

export function serviceYaml(
  name: string,
  clusterIP: string,
  port: number | string = 80,
  nodePort?: number,
): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: shop
spec:
  type: ${nodePort === undefined ? 'ClusterIP' : 'NodePort'}
  clusterIP: ${clusterIP}
  ports:
  - name: http
    port: ${port}
${nodePort === undefined ? '' : `    nodePort: ${nodePort}\n`}`;
}

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
