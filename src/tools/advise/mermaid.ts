/** The tree as a picture. */
import { LEAVES, QUESTIONS } from './tree.ts';

/** The tree as a Mermaid flow chart. */
export function mermaid(): string {
  const lines = ['flowchart TD'];
  for (const [id, { text, yes, no }] of Object.entries(QUESTIONS)) {
    lines.push(`  ${id}{"${text}"}`, `  ${id} -- yes --> ${yes}`, `  ${id} -- no --> ${no}`);
  }
  for (const [id, { text }] of Object.entries(LEAVES)) lines.push(`  ${id}(["${text}"])`);
  return lines.join('\n');
}
