/** Leftovers as text for people, in lines without their end. */
import { type Leftover, type Leftovers, count } from './leftovers.ts';

/** Each object that goes, by mode and place; what stays and why; what could not be looked at. */
export function describe(leftovers: Leftovers): readonly string[] {
  return [...listing(leftovers.objects), ...remarks(leftovers)];
}

/** Each object, by mode and place. */
export function listing(objects: readonly Leftover[]): readonly string[] {
  const groups = Map.groupBy(objects, ({ mode, place }) => `${mode} mode, ${place}:`);
  const lines: string[] = [];
  for (const [heading, group] of groups) {
    lines.push(heading, ...group.map((object) => `  ${lineOf(object)}`));
  }
  return lines;
}

/** What has been removed of each mode; what stays and why; what could not be looked at. */
export function summarise(leftovers: Leftovers): readonly string[] {
  const { owner, modes, objects, unseen } = leftovers;
  const lines = modes.flatMap((mode) => {
    const kinds = Map.groupBy(
      objects.filter((object) => object.mode === mode),
      ({ kind }) => kind,
    );
    // Nobody looked: that is said below.
    if (kinds.size === 0 && mode === 'iptables' && unseen.length > 0) return [];
    if (kinds.size === 0) return [`There were no ${mode} rules of ${owner}.`];
    const counts = [...kinds].map(([kind, { length }]) => count(length, kind, PLURALS[kind]));
    return [`Removed all ${mode} rules of ${owner}.`, `  ${counts.join(', ')}`];
  });
  return [...lines, ...remarks(leftovers)];
}

const PLURALS: Readonly<Partial<Record<Leftover['kind'], string>>> = { address: 'addresses' };

function lineOf({ kind, name, contents }: Leftover): string {
  return `${kind} ${name}${contents === '' ? '' : ` (${contents})`}`;
}

function remarks({ kept, unseen }: Leftovers): readonly string[] {
  const stays = kept.map(
    ({ kind, place, name, reason }) => `  ${kind} ${name} (${place}). ${reason}`,
  );
  return [
    ...(stays.length > 0 ? ['These stay:', ...stays] : []),
    ...(unseen.length > 0 ? ['Not looked at:', ...unseen.map((text) => `  ${text}`)] : []),
  ];
}
