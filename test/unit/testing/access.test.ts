/** Who the stand-in API server lets in, and its certificates. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { startApiServer } from '../../../src/testing/api-server.ts';
import { createAuthority } from '../../../src/testing/certificates.ts';
import type { TlsOptions } from '../../../src/testing/connections.ts';
import { listIn, objectIn, textIn } from '../../../src/testing/json.ts';
import { Stream, ask, brief, parse, service } from './client.ts';

const NODES = '/api/v1/nodes';
const HOSTS = ['127.0.0.1', '::1', 'localhost', 'kubernetes.default.svc'];
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

const authority = createAuthority();
const ca = authority.certificate;

function tls(clientCertificates = false): TlsOptions {
  const own = authority.issue({ commonName: 'kube-apiserver', hosts: HOSTS });
  return { ...own, authority: ca, clientCertificates };
}

describe('a server with a token', () => {
  it('lets in those who have it, and nobody else', async () => {
    await using server = await startApiServer({ token: 'right' });
    assert.equal((await ask(server.url + NODES, bearer('right'))).status, 200);
    for (const path of [NODES, '/api/v1/nodes/n', '/healthz', '/nowhere']) {
      assert.equal((await ask(server.url + path, bearer('wrong'))).status, 401);
    }
  });

  it('tells those who have none what they may not do, and how it is', async () => {
    await using server = await startApiServer({ token: 'right' });
    const refused = await ask(`${server.url}/api/v1/namespaces/x/services?watch=1`);
    assert.equal(refused.status, 403);
    assert.deepEqual(parse(refused.text), {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message:
        'services is forbidden: User "system:anonymous" cannot watch resource "services" in API group "" in the namespace "x"',
      reason: 'Forbidden',
      details: { kind: 'services' },
      code: 403,
    });
    const path = '/apis/discovery.k8s.io/v1/endpointslices';
    const { message } = parse((await ask(server.url + path)).text);
    assert.equal(
      message,
      'endpointslices.discovery.k8s.io is forbidden: User "system:anonymous" cannot list resource "endpointslices" in API group "discovery.k8s.io" at the cluster scope',
    );
    const health = await ask(`${server.url}/healthz`);
    assert.deepEqual([health.status, health.text], [200, 'ok']);
    assert.equal((await ask(`${server.url}/version`)).status, 200);
    assert.equal((await ask(`${server.url}/apis`)).status, 403);
  });

  it('takes the next token and not the old one, while watches go on', async () => {
    await using server = await startApiServer({ token: 'old' });
    using stream = await Stream.open(`${server.url}/api/v1/services?watch=1`, bearer('old'));
    server.setToken('new');
    assert.equal((await ask(server.url + NODES, bearer('old'))).status, 401);
    assert.equal((await ask(server.url + NODES, bearer('new'))).status, 200);
    server.apply(service('a'));
    assert.equal(brief(await stream.event()), 'ADDED a');
  });
});

describe('a server with TLS', () => {
  it('is trusted by those who know its authority, and by no others', async () => {
    await using server = await startApiServer({ tls: tls() });
    assert.match(server.url, /^https:/);
    assert.equal((await ask(server.url + NODES, { ca })).status, 200);
    await assert.rejects(ask(server.url + NODES), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    const other = createAuthority('other').certificate;
    await assert.rejects(ask(server.url + NODES, { ca: other }), /certificate/);
  });

  it('can have a certificate that is over, not yet begun, or for another host', async () => {
    const day = 86_400_000;
    const past = new Date(Date.now() - day);
    const future = new Date(Date.now() + day);
    const hosts = ['127.0.0.1'];
    for (const [request, code] of [
      [{ hosts, notBefore: new Date(0), notAfter: past }, 'CERT_HAS_EXPIRED'],
      [{ hosts, notBefore: future, notAfter: future }, 'CERT_NOT_YET_VALID'],
      [{ hosts: ['elsewhere.example'] }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      const own = authority.issue({ commonName: 'kube-apiserver', ...request });
      await using server = await startApiServer({ tls: { ...own, authority: ca } });
      await assert.rejects(ask(server.url + NODES, { ca }), { code });
    }
  });

  it('lets in clients with a certificate of its authority', async () => {
    await using server = await startApiServer({ tls: tls(true), token: 'right' });
    const client = authority.issue({ commonName: 'system:kube-proxy', organization: 'nodes' });
    const own = { ca, cert: client.certificate, key: client.key };
    assert.equal((await ask(server.url + NODES, own)).status, 200);
    assert.equal((await ask(server.url + NODES, { ca })).status, 403);
    const stranger = createAuthority('other').issue({ commonName: 'system:kube-proxy' });
    const foreign = { ca, cert: stranger.certificate, key: stranger.key };
    assert.equal((await ask(server.url + NODES, foreign)).status, 403);
    const both = { ...own, ...bearer('wrong') };
    assert.equal((await ask(server.url + NODES, both)).status, 401);
  });

  it('breaks and refuses connections as without', async () => {
    await using server = await startApiServer({ tls: tls() });
    using stream = await Stream.open(`${server.url}/api/v1/services?watch=1`, { ca });
    await server.refuseConnections();
    assert.equal(await stream.over(), 'broken');
    await assert.rejects(ask(server.url + NODES, { ca }), { code: 'ECONNREFUSED' });
    await server.acceptConnections();
    assert.equal((await ask(server.url + NODES, { ca })).status, 200);
  });

  it('writes a kubeconfig that says all there is to know', async () => {
    await using server = await startApiServer({ tls: tls(), token: 'right' });
    const config = parse(server.kubeconfig());
    const [named] = listIn(config, 'clusters');
    const cluster = objectIn(parse(JSON.stringify(named)), 'cluster');
    const data = Buffer.from(textIn(cluster, 'certificate-authority-data'), 'base64').toString();
    const reply = await ask(textIn(cluster, 'server') + NODES, { ca: data, ...bearer('right') });
    assert.equal(reply.status, 200);
    assert.match(server.kubeconfig(), /"token": "right"/);
  });
});

describe('a certificate', () => {
  it('says what was asked for', () => {
    const notBefore = new Date('2026-01-02T03:04:05Z');
    const notAfter = new Date('2027-01-02T03:04:05Z');
    const request = { commonName: 'a', organization: 'b', hosts: HOSTS, notBefore, notAfter };
    const certificate = new X509Certificate(authority.issue(request).certificate);
    const issuer = new X509Certificate(ca);
    assert.equal(certificate.subject, 'O=b\nCN=a');
    assert.equal(certificate.issuer, issuer.subject);
    assert.deepEqual([certificate.validFromDate, certificate.validToDate], [notBefore, notAfter]);
    assert.ok(certificate.verify(issuer.publicKey) && issuer.ca && !certificate.ca);
    for (const host of ['localhost', 'kubernetes.default.svc']) {
      assert.equal(certificate.checkHost(host), host);
    }
    for (const ip of ['127.0.0.1', '::1']) assert.equal(certificate.checkIP(ip), ip);
    assert.equal(certificate.checkHost('elsewhere'), undefined);
  });

  it('has addresses of either family', () => {
    const hosts = ['fd00:10::1:2', '2001:db8:1:2:3:4:5:6', '10.0.0.1'];
    const certificate = new X509Certificate(
      authority.issue({ commonName: 'a', hosts }).certificate,
    );
    for (const ip of hosts) assert.equal(certificate.checkIP(ip), ip);
  });

  it('is not for what is neither a name nor an address', () => {
    const request = { commonName: 'a', hosts: ['no host'] };
    assert.throws(() => authority.issue(request), { code: 'SY_TESTING_BAD_OPTION' });
  });
});
