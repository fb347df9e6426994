/** What can go wrong before there is an answer: names, ports, certificates, proxies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../src/agent/clock.ts';
import { type ApiAccess, fixed } from '../../../src/kube/access.ts';
import { sourceCredentials } from '../../../src/kube/credentials.ts';
import { connectionError } from '../../../src/kube/failures.ts';
import { Transport } from '../../../src/kube/transport.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import { ScriptedServer, accessTo, get, reply } from './scripted-server.ts';

const authority = createAuthority();
const YESTERDAY = new Date(Date.now() - 86_400_000);
const TOMORROW = new Date(Date.now() + 86_400_000);

const good = authority.issue({ commonName: 'api', hosts: ['127.0.0.1'] });

async function tlsServer(
  certificate: { readonly certificate: string; readonly key: string },
  options: object = {},
): Promise<ScriptedServer> {
  const tls = { cert: certificate.certificate, key: certificate.key, ...options };
  return ScriptedServer.start((_request, response) => {
    reply(response, 200, 'application/json', '{}');
  }, tls);
}

/** A proxy that connects, and counts. */
async function proxy(): Promise<{ url: string; targets: string[] } & Disposable> {
  const targets: string[] = [];
  const { createServer } = process.getBuiltinModule('node:http');
  const server = createServer((request, response) => {
    targets.push(request.url ?? '');
    reply(response, 200, 'application/json', '{}');
  });
  server.on('connect', ({ url = '' }, socket) => {
    targets.push(url);
    const { hostname, port } = new URL(`http://${url}`);
    const target = net.connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Sends a request, and reads its answer. */
async function send(access: ApiAccess): Promise<void> {
  using transport = new Transport(access, SYSTEM_CLOCK);
  const answer = await transport.request(get());
  await answer.read(() => undefined);
}

describe('a server', () => {
  it('of an unknown name', async () => {
    // Longer than a name can be: nobody is asked.
    await assert.rejects(send(accessTo(`https://${'a'.repeat(64)}.invalid`)), {
      code: 'SY_KUBE_UNKNOWN_HOST',
      message: /there is no such host\. Correct the server’s name/,
    });
  });

  it('that nobody has started', async () => {
    const server = await tlsServer(good);
    const { url } = server;
    await server[Symbol.asyncDispose]();
    await assert.rejects(send(accessTo(url)), {
      code: 'SY_KUBE_UNREACHABLE',
      message: /nobody listens there\. Check that the API server runs/,
    });
  });

  it('whose certificate is good is trusted', async () => {
    await using server = await tlsServer(good);
    await send(accessTo(server.url, {}, authority.certificate));
  });

  const certificates = {
    'has expired': [
      { notBefore: new Date(0), notAfter: YESTERDAY },
      /has expired\. Renew it, or check the clocks/,
    ],
    'is not valid yet': [{ notBefore: TOMORROW }, /not valid yet/],
    'is for another name': [{ hosts: ['api.example'] }, /for another name\. .*tls-server-name/],
  } as const;
  for (const [name, [fields, message]] of Object.entries(certificates)) {
    it(`whose certificate ${name}`, async () => {
      const bad = authority.issue({ commonName: 'api', hosts: ['127.0.0.1'], ...fields });
      await using server = await tlsServer(bad);
      const access = accessTo(server.url, {}, authority.certificate);
      await assert.rejects(send(access), { code: 'SY_KUBE_TLS', message });
      await send({ ...access, insecure: true });
    });
  }

  it('whose certificate is from somebody else', async () => {
    await using server = await tlsServer(good);
    const others = createAuthority('others');
    for (const ca of [others.certificate, undefined]) {
      await assert.rejects(send(accessTo(server.url, {}, ca)), {
        code: 'SY_KUBE_TLS',
        message: /nobody we trust vouches for .*certificate-authority/,
      });
    }
  });

  it('whose CA was replaced is trusted after the CA was read again', async () => {
    await using server = await tlsServer(good);
    let isNew = false;
    const old = createAuthority('old');
    const ca = {
      read: () => (isNew ? authority : old).certificate,
      expire: () => {
        isNew = true;
      },
    };
    const access = accessTo(server.url, { ca });
    await assert.rejects(send(access), { code: 'SY_KUBE_TLS' });
    await send(access);
  });

  it('whose certificate has the name that is asked for', async () => {
    const named = authority.issue({ commonName: 'api', hosts: ['api.example'] });
    await using server = await tlsServer(named);
    await send(accessTo(server.url, { serverName: 'api.example' }, authority.certificate));
  });

  it('that asks for a certificate', async () => {
    const options = { requestCert: true, rejectUnauthorized: true, ca: authority.certificate };
    await using server = await tlsServer(good, options);
    const access = accessTo(server.url, {}, authority.certificate);
    const withCertificate = (fields: object): ApiAccess => {
      const { certificate, key } = authority.issue({ commonName: 'node', ...fields });
      const credentials = sourceCredentials({ cert: fixed(certificate), key: fixed(key) });
      return { ...access, credentials };
    };
    await send(withCertificate({}));
    assert.equal(server.requests.length, 1);
    const refusal = { code: /^SY_KUBE_(?:TLS|DROPPED)$/ };
    await assert.rejects(send(access), refusal);
    await assert.rejects(
      send(withCertificate({ notBefore: new Date(0), notAfter: YESTERDAY })),
      refusal,
    );
    const mismatch = {
      ...access,
      credentials: sourceCredentials({
        cert: fixed(good.certificate),
        key: fixed(authority.issue({ commonName: 'x' }).key),
      }),
    };
    await assert.rejects(send(mismatch), {
      code: 'SY_KUBE_TLS',
      message: /client-certificate and client-key/,
    });
    assert.equal(server.requests.length, 1);
  });

  it('that speaks the other of http and https', async () => {
    await using plain = await ScriptedServer.start((_request, response) => {
      reply(response, 200, 'application/json', '{}');
    });
    await assert.rejects(send(accessTo(plain.url.replace('http:', 'https:'))), {
      code: 'SY_KUBE_TLS',
      message: /use http:\/\/ in the server’s URL/,
    });
    await using secure = await tlsServer(good);
    await assert.rejects(send(accessTo(secure.url.replace('https:', 'http:'))), {
      code: /^SY_KUBE_(?:NOT_KUBERNETES|DROPPED)$/,
    });
  });

  it('that speaks something else', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('220 mail.example ESMTP\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await assert.rejects(send(accessTo(`http://127.0.0.1:${port}`)), {
      code: 'SY_KUBE_NOT_KUBERNETES',
      message: /the answer is no HTTP/,
    });
    server.close();
  });
});

describe('a proxy', () => {
  it('carries TLS to the server, whose certificate still counts', async () => {
    using through = await proxy();
    await using server = await tlsServer(good);
    const proxyEnv = { HTTPS_PROXY: through.url };
    await send(accessTo(server.url, { proxyEnv }, authority.certificate));
    assert.deepEqual(through.targets, [`127.0.0.1:${server.port}`]);
    await assert.rejects(send(accessTo(server.url, { proxyEnv })), { code: 'SY_KUBE_TLS' });
  });

  it('is asked for plain requests, unless the environment excludes the server', async () => {
    using through = await proxy();
    await using server = await ScriptedServer.start((_request, response) => {
      reply(response, 200, 'application/json', '{}');
    });
    const proxyEnv = { http_proxy: through.url };
    await send(accessTo(server.url, { proxyEnv }));
    assert.equal(through.targets.length, 1);
    assert.equal(server.requests.length, 0);
    await send(accessTo(server.url, { proxyEnv: { ...proxyEnv, no_proxy: '127.0.0.1' } }));
    assert.equal(server.requests.length, 1);
    assert.equal(through.targets.length, 1);
  });
});

it('every failure of a connection has a code and says what to do', () => {
  const attempt = { purpose: 'watch Services', server: 'https://api.test' };
  const codes: Readonly<Record<string, string>> = {
    ENOTFOUND: 'SY_KUBE_UNKNOWN_HOST',
    EAI_AGAIN: 'SY_KUBE_UNKNOWN_HOST',
    ECONNREFUSED: 'SY_KUBE_UNREACHABLE',
    EHOSTUNREACH: 'SY_KUBE_UNREACHABLE',
    ENETUNREACH: 'SY_KUBE_UNREACHABLE',
    ETIMEDOUT: 'SY_KUBE_TIMEOUT',
    ECONNRESET: 'SY_KUBE_DROPPED',
    CERT_HAS_EXPIRED: 'SY_KUBE_TLS',
    ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'SY_KUBE_TLS',
    ERR_SSL_WRONG_VERSION_NUMBER: 'SY_KUBE_TLS',
    HPE_INVALID_CONSTANT: 'SY_KUBE_NOT_KUBERNETES',
    EWHATEVER: 'SY_KUBE_UNREACHABLE',
  };
  for (const [code, expected] of Object.entries(codes)) {
    const error = connectionError(attempt, Object.assign(new Error('why'), { code }));
    assert.equal(error.code, expected);
    assert.match(error.message, /^Cannot watch Services at https:\/\/api\.test: .+\. .+\.$/);
  }
});
