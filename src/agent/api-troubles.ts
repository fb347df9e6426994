/** Which trouble with the API is worth a line: what is wrong with the server troubles every collection alike. */
import type { KubeErrorCode } from '../kube/errors.ts';

/** About one collection. Everything else is about the server, or the way to it. */
const OF_COLLECTION: ReadonlySet<KubeErrorCode> = new Set<KubeErrorCode>([
  'SY_KUBE_FORBIDDEN',
  'SY_KUBE_NOT_FOUND',
  'SY_KUBE_REFUSED',
  'SY_KUBE_SILENT',
  'SY_KUBE_MALFORMED',
  'SY_KUBE_TOO_LARGE',
  'SY_KUBE_EMPTY',
]);

/** What is over. */
export interface Recovery {
  /** The last collection got over what was wrong with the server. */
  readonly ofServer: boolean;
  /** The collection got over what was wrong with it alone. */
  readonly ofCollection: boolean;
}

/** Remembers who is in trouble, and why. */
export class ApiTroubles {
  /** By collection. */
  readonly #ofServer = new Map<string, Set<KubeErrorCode>>();
  readonly #ofCollection = new Set<string>();

  /** True for errors that all collections share. */
  static isOfServer(code: KubeErrorCode): boolean {
    return !OF_COLLECTION.has(code);
  }

  /** A collection cannot be followed. Returns false when another one has told the same. */
  begins(collection: string, code: KubeErrorCode): boolean {
    if (OF_COLLECTION.has(code)) {
      this.#ofCollection.add(collection);
      return true;
    }
    const isKnown = this.#ofServer.values().some((codes) => codes.has(code));
    const own = this.#ofServer.get(collection) ?? new Set();
    this.#ofServer.set(collection, own.add(code));
    return !isKnown;
  }

  /** A collection is followed again. */
  ends(collection: string): Recovery {
    const wasShared = this.#ofServer.delete(collection);
    return {
      ofServer: wasShared && this.#ofServer.size === 0,
      ofCollection: this.#ofCollection.delete(collection),
    };
  }
}
