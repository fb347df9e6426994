/** The tokens that LIST hands out for the next page (storage/continue.go). */
import { parseObject, textIn } from './json.ts';
import { badRequest } from './status.ts';

export interface ContinuePoint {
  /** The list goes on as it was at this revision; -1 for as it is now. */
  readonly revision: number;
  /** First key of the next page, without the collection's own part in front: `/name\0`. */
  readonly start: string;
}

export function encodeContinue({ revision, start }: ContinuePoint): string {
  const token = { v: 'meta.k8s.io/v1', rv: revision, start };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** Throws a 400 Status if the token is not one of this server's. */
export function decodeContinue(token: string): ContinuePoint {
  const content = parseObject(Buffer.from(token, 'base64url').toString());
  if (content === undefined) throw refused('continue key is not valid');
  const versionOfToken = textIn(content, 'v');
  if (versionOfToken !== 'meta.k8s.io/v1') {
    const why = 'server does not recognize this encoded version';
    throw refused(`continue key is not valid: ${why} ${versionOfToken}`);
  }
  const revision = content['rv'];
  if (typeof revision !== 'number' || revision === 0) {
    const why = 'incorrect encoded start resourceVersion (version meta.k8s.io/v1)';
    throw refused(`continue key is not valid: ${why}`);
  }
  const given = textIn(content, 'start');
  if (given === '') {
    throw refused('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  }
  const start = given.startsWith('/') ? given : `/${given}`;
  // A key that climbs out of its collection: what path.Clean would change.
  if (/\/(?:\.{0,2})(?:\/|$)/.test(start)) throw refused(`continue key is not valid: ${given}`);
  return { revision, start };
}

function refused(why: string): Error {
  return badRequest(`invalid continue token: ${why}`);
}
