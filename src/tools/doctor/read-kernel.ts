/** Reads what the kernel and the files that set it up say, in the formats that a capture has. */
import { gunzipSync } from 'node:zlib';
import type { ModuleState } from './facts/facts.ts';
import type { Machine } from './machine.ts';

/** Files of /proc/sys that rules ask about. */
const SETTINGS: readonly string[] = [
  'net/ipv4/ip_forward',
  'net/ipv4/ip_local_port_range',
  'net/ipv4/ip_local_reserved_ports',
  'net/ipv6/conf/all/forwarding',
  'net/ipv6/conf/all/disable_ipv6',
];
/** Folders of which all files are read. */
const SETTING_FOLDERS: readonly string[] = ['net/ipv4/vs', 'net/netfilter', 'net/bridge'];
/** Of each interface. */
const INTERFACE_SETTINGS: readonly string[] = [
  'arp_announce',
  'arp_ignore',
  'route_localnet',
  'rp_filter',
];
const INTERFACES = 'net/ipv4/conf';

/** As `sysctl -a` prints it. */
export function kernelSettings(machine: Machine): string {
  const paths = [
    ...SETTINGS,
    ...SETTING_FOLDERS.flatMap((folder) =>
      machine.list(`/proc/sys/${folder}`).map((name) => `${folder}/${name}`),
    ),
    ...machine
      .list(`/proc/sys/${INTERFACES}`)
      .flatMap((link) => INTERFACE_SETTINGS.map((name) => `${INTERFACES}/${link}/${name}`)),
  ];
  return paths
    .flatMap((path) => {
      const value = machine.readFile(`/proc/sys/${path}`);
      return value.known ? [`${settingName(path)} = ${value.value.toString().trim()}`] : [];
    })
    .join('\n');
}

/** Dots in the name of an interface become slashes, as sysctl(8) writes them. */
function settingName(path: string): string {
  return path
    .split('/')
    .map((step) => step.replaceAll('.', '/'))
    .join('.');
}

/** Modules that ipvs and nftables modes need. */
const MODULES: readonly string[] = [
  'nf_tables',
  'ip_vs',
  ...'rr wrr lc wlc fo ovf lblc lblcr dh sh mh sed nq twos'
    .split(' ')
    .map((name) => `ip_vs_${name}`),
];

/** One line for each module of which something can be found out. */
export function kernelModules(machine: Machine): string {
  const folder = `/lib/modules/${machine.release}`;
  const files = ['modules.dep', 'modules.builtin'].map((name) =>
    readText(machine, `${folder}/${name}`),
  );
  const config = kernelConfig(machine);
  const stateOf = (name: string): ModuleState | undefined => {
    if (machine.list(`/sys/module/${name}`).length > 0) return 'loaded';
    const configured = new RegExp(`^CONFIG_${name.toUpperCase()}=(.)`, 'm').exec(config)?.[1];
    if (configured === 'y') return 'loaded';
    const isFile = (text: string): boolean => text.includes(`/${name}.ko`);
    if (files.some(isFile)) return 'available';
    // A configuration without the module is proof; a folder of modules that lacks it, too.
    if (config !== '' && configured === undefined) return 'absent';
    return files.some((text) => text !== '') ? 'absent' : undefined;
  };
  return MODULES.flatMap((name) => {
    const state = stateOf(name);
    return state === undefined ? [] : [`${name} ${state}`];
  }).join('\n');
}

function kernelConfig(machine: Machine): string {
  const packed = machine.readFile('/proc/config.gz');
  if (packed.known) return gunzipSync(packed.value).toString();
  return readText(machine, `/boot/config-${machine.release}`);
}

function readText(machine: Machine, path: string): string {
  const bytes = machine.readFile(path);
  return bytes.known ? bytes.value.toString() : '';
}

/** Lines of files and of all files of folders, as `file:line`. */
export function bootLines(
  machine: Machine,
  files: readonly string[],
  folders: readonly string[],
  wanted: RegExp,
): string {
  const paths = [
    ...files,
    ...folders.flatMap((folder) => machine.list(folder).map((name) => `${folder}/${name}`)),
  ];
  return paths
    .flatMap((path) =>
      readText(machine, path)
        .split('\n')
        .filter((line) => wanted.test(line))
        .map((line) => `${path}:${line.trim()}`),
    )
    .join('\n');
}
