/** The shared libraries that programs need, as this machine's dynamic linker finds them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ImageError } from './errors.ts';

/**
 * Paths of the libraries of these programs, the dynamic linker among them, each once. They work
 * under the same paths elsewhere.
 * @throws ImageError SY_IMAGE_INCOMPLETE: there is no `ldd`, or a library is not installed.
 */
export function librariesOf(programs: readonly string[]): readonly string[] {
  return [...new Set(programs.flatMap((program) => parseLdd(program, ldd(program))))].toSorted();
}

function ldd(program: string): string {
  try {
    return execFileSync('ldd', [program], { encoding: 'utf8' });
  } catch (error) {
    throw new ImageError(
      'SY_IMAGE_INCOMPLETE',
      `cannot list the libraries of ${program}: ${error instanceof Error ? error.message : String(error)}; ` +
        'build the image on a Linux with glibc',
    );
  }
}

/**
 * The paths in what `ldd` prints: lines such as `libm.so.6 => /lib/libm.so.6 (0x7f…)`, a bare path for
 * the dynamic linker, a bare name for what the kernel brings.
 * @throws ImageError SY_IMAGE_INCOMPLETE: a library is not installed.
 */
export function parseLdd(program: string, output: string): readonly string[] {
  const missing = /^\s*(\S+) => not found/m.exec(output)?.[1];
  if (missing !== undefined) {
    throw new ImageError(
      'SY_IMAGE_INCOMPLETE',
      `${program} needs ${missing}; install that library`,
    );
  }
  return [...output.matchAll(/(\/\S+) \(0x[0-9a-f]+\)$/gm)].flatMap(([, path]) => path ?? []);
}

/**
 * The licence texts of the Debian packages that libraries are from, by package. Empty on systems of another
 * kind: whoever hands on an image built there has to look after that.
 */
export function debianCopyrights(libraries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    libraries.flatMap((library) => {
      const name = debianPackageOf(library);
      const file = `/usr/share/doc/${name}/copyright`;
      return name !== undefined && existsSync(file) ? [[name, file]] : [];
    }),
  );
}

/** The package as dpkg knows it: by the path of before or after the merge of `/lib` into `/usr/lib`. */
function debianPackageOf(library: string): string | undefined {
  for (const path of [library, `/usr${library}`]) {
    try {
      return execFileSync('dpkg-query', ['--search', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).split(':')[0];
    } catch {
      // Not under this path, or no dpkg here.
    }
  }
  return undefined;
}
