/** Long lists as JSON, made in pieces: the event loop belongs to Services first. */

/** Characters that are made at once: less than a millisecond of work. */
const PIECE = 64 * 1024;

/**
 * Gives the text of `{…head, "items": […]}`, an item a line.
 *
 * @param items - Read while the text is made, so they may change meanwhile.
 * @param breathe - Lets others run.
 */
export async function* jsonList(
  head: Readonly<Record<string, string>>,
  items: Iterable<unknown>,
  breathe: () => Promise<void>,
): AsyncGenerator<string, void, undefined> {
  const fields = Object.entries(head).map(([name, value]) => `"${name}":${JSON.stringify(value)},`);
  let piece = `{${fields.join('')}"items":[`;
  let separator = '\n';
  for (const item of items) {
    piece += separator + JSON.stringify(item);
    separator = ',\n';
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
    await breathe();
  }
  yield `${piece}\n]}\n`;
}
