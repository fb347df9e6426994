/** Who is asking: bearer tokens and client certificates. */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { StatusError } from './errors.ts';
import { PUBLIC_PATHS } from './discovery.ts';
import type { RequestRecord } from './request.ts';
import { forbidden, forbiddenPath, unauthorized } from './status.ts';

/** Ways to prove who one is. With none of them everybody may do everything. */
export interface Credentials {
  readonly token: string | undefined;
  /** Clients with a certificate of the authority are let in. */
  readonly certificates: boolean;
}

/** Returns why a request is refused: 401 for wrong credentials, 403 for none. Others may do everything. */
export function refuse(
  { token, certificates }: Credentials,
  request: IncomingMessage,
  record: RequestRecord,
): StatusError | undefined {
  if (token === undefined && !certificates) return undefined;
  const { authorization } = request.headers;
  const bearer = /^Bearer\s+(?<token>\S+)$/i.exec(authorization ?? '')?.groups?.['token'];
  if (bearer !== undefined) return bearer === token ? undefined : unauthorized();
  const { socket } = request;
  if (certificates && socket instanceof TLSSocket && socket.authorized) return undefined;
  if (PUBLIC_PATHS.has(record.path)) return undefined;
  const { target } = record;
  if (target === undefined) return forbiddenPath(record.path);
  return forbidden(target.verb, target.resource, target.namespace, target.name);
}
