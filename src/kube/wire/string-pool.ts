/** Number of strings a pool remembers; a power of two. */
const SIZE = 4096;

/**
 * Gives one string object for equal texts, so that a name that stands in 100,000 endpoints is in memory
 * once. It remembers a fixed number of strings: one that shares its place with another is made anew.
 */
export class StringPool {
  readonly #strings: (string | undefined)[] = Array.from({ length: SIZE }, () => undefined);

  /** The text, from memory where it is known. */
  share(text: string): string {
    let hash = text.length;
    for (let index = 0; index < text.length; index++) hash = mix(hash, text.charCodeAt(index));
    const place = placeOf(hash);
    const known = this.#strings[place];
    return known === text ? known : (this.#strings[place] = text);
  }

  /** The UTF-8 text in a range of bytes. A known text costs no call into the engine. */
  read(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    let hash = length;
    for (let index = start; index < end; index++) hash = mix(hash, bytes[index] ?? 0);
    const place = placeOf(hash);
    const known = this.#strings[place];
    if (known?.length === length) {
      let same = 0;
      while (same < length) {
        const code = bytes[start + same] ?? 0;
        // Only ASCII is its own code.
        if (code >= 0x80 || known.charCodeAt(same) !== code) break;
        same++;
      }
      if (same === length) return known;
    }
    return (this.#strings[place] = bytes.toString('utf8', start, end));
  }
}

/** FNV-1a. */
function mix(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x0100_0193);
}

function placeOf(hash: number): number {
  return (hash ^ (hash >>> 12)) & (SIZE - 1);
}
