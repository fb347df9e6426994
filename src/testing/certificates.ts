/** Certificates made on the spot (RFC 5280, ECDSA P-256), as Node.js can read X.509 and not write it. */
import { type KeyObject, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { TestingError } from './errors.ts';

interface CertificateRequest {
  /** The user's name in a client certificate. */
  readonly commonName: string;
  /** The user's group in a client certificate. */
  readonly organization?: string;
  /** Names and addresses of a server; a certificate without any is for a client. */
  readonly hosts?: readonly string[];
  /** An hour ago when it is not given. */
  readonly notBefore?: Date;
  /** In a day when it is not given. */
  readonly notAfter?: Date;
}

/** A certificate and its private key as PEM. */
interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  /** The authority's own certificate as PEM. */
  readonly certificate: string;
  /** Makes a certificate. Throws a {@link TestingError} for a host that is neither a name nor an address. */
  issue(request: CertificateRequest): Certificate;
}

const HOUR_MS = 3_600_000;

// Identifier octets of ASN.1 (X.690).
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const SEQUENCE = 0x30;
const SET = 0x31;
const UTC_TIME = 0x17;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const KEY_USAGE = '2.5.29.15';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

const TRUE = Buffer.from([0x01, 0x01, 0xff]);
/** KeyUsage as a bit string: digitalSignature, and keyCertSign with cRLSign. */
const MAY_SIGN = Buffer.from([BIT_STRING, 2, 7, 0x80]);
const MAY_CERTIFY = Buffer.from([BIT_STRING, 2, 1, 0x06]);

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const length =
    size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >>> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    octets.push(...digits);
  }
  return der(OBJECT_IDENTIFIER, Buffer.from(octets));
}

function distinguishedName(parts: readonly (readonly [string, string])[]): Buffer {
  const sets = parts.map(([type, text]) =>
    der(SET, der(SEQUENCE, identifier(type), der(UTF8_STRING, Buffer.from(text)))),
  );
  return der(SEQUENCE, ...sets);
}

/** Two digits for the year: good until 2049. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/\D/g, '').slice(2, 14);
  return der(UTC_TIME, Buffer.from(`${digits}Z`));
}

function extension(type: string, critical: boolean, value: Uint8Array): Buffer {
  return der(SEQUENCE, identifier(type), ...(critical ? [TRUE] : []), der(OCTET_STRING, value));
}

function host(text: string): Buffer {
  if (isIPv4(text)) return der(IP_ADDRESS, Buffer.from(text.split('.').map(Number)));
  if (isIPv6(text)) return der(IP_ADDRESS, ipv6(text));
  if (/^[a-z0-9*][a-z0-9.-]*$/i.test(text)) return der(DNS_NAME, Buffer.from(text));
  const message = `A certificate cannot be for "${text}": give host names or IP addresses.`;
  throw new TestingError('SY_TESTING_BAD_OPTION', message);
}

function ipv6(text: string): Buffer {
  const [head = [], tail = []] = text.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array<string>(8 - head.length - tail.length).fill('');
  const groups = [...head, ...zeros, ...tail].map((group) => group.padStart(4, '0'));
  return Buffer.from(groups.join(''), 'hex');
}

interface Content {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly notBefore: Date | undefined;
  readonly notAfter: Date | undefined;
}

function certificate(content: Content): string {
  const algorithm = der(SEQUENCE, identifier(ECDSA_WITH_SHA256));
  const now = Date.now();
  const body = der(
    SEQUENCE,
    der(VERSION, der(INTEGER, Buffer.from([2]))),
    // The first bit is the sign, and must be 0.
    der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    content.issuer,
    der(
      SEQUENCE,
      time(content.notBefore ?? new Date(now - HOUR_MS)),
      time(content.notAfter ?? new Date(now + 24 * HOUR_MS)),
    ),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    der(EXTENSIONS, der(SEQUENCE, ...content.extensions)),
  );
  const signature = sign('sha256', body, content.signingKey);
  const whole = der(SEQUENCE, body, algorithm, der(BIT_STRING, Buffer.from([0]), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** Makes an authority with a new key, which nothing trusts yet. */
export function createAuthority(commonName = 'switchyard-test-ca'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = distinguishedName([[COMMON_NAME, commonName]]);
  const own = certificate({
    issuer: name,
    subject: name,
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, der(SEQUENCE, TRUE)),
      extension(KEY_USAGE, true, MAY_CERTIFY),
    ],
    notBefore: undefined,
    notAfter: undefined,
  });
  return {
    certificate: own,
    issue: ({ commonName: subject, organization, hosts = [], notBefore, notAfter }) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const usage = hosts.length > 0 ? SERVER_AUTH : CLIENT_AUTH;
      const group: readonly (readonly [string, string])[] =
        organization === undefined ? [] : [[ORGANIZATION, organization]];
      const extensions = [
        extension(KEY_USAGE, true, MAY_SIGN),
        extension(EXTENDED_KEY_USAGE, false, der(SEQUENCE, identifier(usage))),
      ];
      if (hosts.length > 0) {
        extensions.push(extension(SUBJECT_ALT_NAME, false, der(SEQUENCE, ...hosts.map(host))));
      }
      return {
        certificate: certificate({
          issuer: name,
          subject: distinguishedName([...group, [COMMON_NAME, subject]]),
          publicKey: pair.publicKey,
          signingKey: keys.privateKey,
          extensions,
          notBefore,
          notAfter,
        }),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}
