/**
 * The layer of iptables, for the modes ipvs and iptables: both variants with their extensions, libraries and licences,
 * as they are installed on this machine.
 */
import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ImageError } from './errors.ts';
import { debianCopyrights, librariesOf } from './libraries.ts';
import { BIN, LICENSES, type Member, copy, link, read } from './members.ts';
import type { TarFiles } from './tar.ts';

/** One program each, which does what the name says that it is called by. */
const NFT = 'xtables-nft-multi';
const LEGACY = 'xtables-legacy-multi';

/** The names that `src/kernel/iptables/variant.ts` calls, without what they end with. */
const NAMES = [
  ['iptables', NFT],
  ['iptables-nft', NFT],
  ['iptables-legacy', LEGACY],
  ['ip6tables', NFT],
  ['ip6tables-nft', NFT],
  ['ip6tables-legacy', LEGACY],
] as const;
const ENDINGS = ['', '-save', '-restore'] as const;

/** Those of ebtables and arptables have other names. */
const EXTENSION = /^lib(?:xt|ipt|ip6t)_\w+\.so$/;
/** libxtables has the folder of the extensions as text, in whatever way the distribution configured it. */
const EXTENSIONS_FOLDER = /(?<=\0)\/[\w./+-]+\/xtables(?=\0)/;
/** How Debian refers to the text of a licence. */
const COMMON_LICENSE = /\/usr\/share\/common-licenses\/[\w.-]*\w/g;

/**
 * The layer; what the layers below have is not in it again.
 * @param folders Where the programs are looked for, the first one first.
 * @throws ImageError SY_IMAGE_INCOMPLETE: iptables is not installed, or without one of its variants.
 */
export function iptablesLayer(below: TarFiles, folders: readonly string[]): TarFiles {
  const programs = [NFT, LEGACY].map((name) => findProgram(name, folders));
  const folder = extensionsFolder(librariesOf(programs));
  const extensions = readdirSync(folder)
    .filter((name) => EXTENSION.test(name))
    .map((name) => join(folder, name));
  const loaded = [...programs, ...extensions.filter((path) => !isLink(path))];
  const libraries = librariesOf(loaded).filter((path) => !below.has(path.slice(1)));
  const copyrights = debianCopyrights([...programs, ...libraries]);
  return new Map([
    ...programs.map((path) => copy(`${BIN}/${basename(path)}`, path, true)),
    ...NAMES.flatMap(([name, program]) =>
      ENDINGS.map((ending) => link(`${BIN}/${name}${ending}`, program)),
    ),
    ...extensions.map((path): Member =>
      isLink(path) ? link(path.slice(1), readlinkSync(path)) : copy(path.slice(1), path),
    ),
    ...libraries.map((path) => copy(path.slice(1), path)),
    ...[...copyrights].map(([name, file]) => copy(`${LICENSES}/${name}/copyright`, file)),
    // The GPL has to come along, and Debian's copyright files only name it.
    ...commonLicenses([...copyrights.values()]).map((path) => copy(path.slice(1), path)),
  ]);
}

function isLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink();
}

function findProgram(name: string, folders: readonly string[]): string {
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new ImageError(
    'SY_IMAGE_INCOMPLETE',
    `cannot find ${name} in ${folders.join(', ')}: the image takes iptables from this machine; ` +
      'install iptables 1.8.5 or later (apt-get install iptables), or leave out --with-iptables',
  );
}

function extensionsFolder(libraries: readonly string[]): string {
  const library = libraries.find((path) => basename(path).startsWith('libxtables.so'));
  const folder =
    library && EXTENSIONS_FOLDER.exec(read(library).toString('latin1'))?.find(existsSync);
  if (folder !== undefined) return folder;
  throw new ImageError(
    'SY_IMAGE_INCOMPLETE',
    'cannot find the folder from which iptables loads its extensions; install iptables as a package of the distribution',
  );
}

function commonLicenses(copyrights: readonly string[]): readonly string[] {
  const named = copyrights.flatMap((file) => read(file).toString().match(COMMON_LICENSE) ?? []);
  return [...new Set(named)].filter((path) => existsSync(path)).toSorted();
}
