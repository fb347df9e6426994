/** Runs under the name of kube-proxy and answers what it would: its mode, and that it is well. */
import { once } from 'node:events';
import { createServer } from 'node:http';

const [mode = ''] = process.argv.slice(2);
if (mode !== '') {
  const metrics = createServer((request, response) => {
    response.end(
      request.url === '/proxyMode' ? mode : 'kubernetes_build_info{git_version="v1.36.2"} 1\n',
    );
  });
  const health = createServer((_request, response) => response.end('ok'));
  await once(metrics.listen(10_249, '127.0.0.1'), 'listening');
  await once(health.listen(10_256), 'listening');
}
process.stdout.write('ready\n');
process.stdin.resume();
