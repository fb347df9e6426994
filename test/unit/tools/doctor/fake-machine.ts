/** A machine that is a table of files and of what programs print. */
import { known, unknown } from '../../../../src/tools/doctor/facts/facts.ts';
import type { Machine } from '../../../../src/tools/doctor/machine.ts';

/** What a machine holds; what is not here is not there. */
export interface FakeMachine {
  readonly release?: string;
  readonly isRoot?: boolean;
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly links?: Readonly<Record<string, string>>;
  /** By command line. */
  readonly outputs?: Readonly<Record<string, string>>;
  /** By path of the metrics server. */
  readonly answers?: Readonly<Record<string, string>>;
}

/** @param ran Gets every command line that is run. */
export function fakeMachine(parts: FakeMachine, ran: string[] = []): Machine {
  const {
    release = '6.12.30',
    isRoot = true,
    files = {},
    links = {},
    outputs = {},
    answers = {},
  } = parts;
  const paths = [...Object.keys(files), ...Object.keys(links)];
  return {
    release,
    cpus: 4,
    isRoot,
    run: async (program, args) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      const output = outputs[line];
      return output === undefined ? unknown(`${program} is not installed`) : known(output);
    },
    readFile: (path) => {
      const content = files[path];
      return content === undefined
        ? unknown(`${path} cannot be read (ENOENT)`)
        : known(Buffer.from(content));
    },
    list: (path) => {
      const inside = paths.filter((name) => name.startsWith(`${path}/`));
      const names = inside.map((name) => name.slice(path.length + 1).split('/')[0] ?? '');
      return [...new Set(names)].toSorted();
    },
    readLink: (path) => links[path],
    get: async (_port, path) => {
      const answer = answers[path];
      return answer === undefined ? unknown('it does not answer') : known(answer);
    },
  };
}
