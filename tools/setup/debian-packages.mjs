/**
 * The programs outside npm that the demo and the tests call, and the Debian package of each.
 *
 * In nftables mode the proxy itself calls none of them, in the modes ipvs and iptables only iptables. What is not `indispensable` is used by single tests, which
 * skip and say so where it is missing.
 *
 * @typedef {object} SystemProgram
 * @property {string} command Looked for on `PATH` and in the system folders.
 * @property {string} debianPackage
 * @property {string} reason
 * @property {boolean} indispensable Without it neither the demo nor the tests can run.
 */

/** @type {readonly SystemProgram[]} */
export const systemPrograms = [
  {
    command: 'ip',
    debianPackage: 'iproute2',
    reason: 'builds the network namespaces, links and addresses of the demo and the tests',
    indispensable: true,
  },
  {
    command: 'unshare',
    debianPackage: 'util-linux',
    reason: 'gives the demo its own user and network namespaces where it does not run as root',
    indispensable: false,
  },
  {
    command: 'nft',
    debianPackage: 'nftables',
    reason: 'the reference: reads our tables back, loads the rules we are measured against',
    indispensable: false,
  },
  {
    command: 'ps',
    debianPackage: 'procps',
    reason: 'tells in tests which processes run and how much memory they take',
    indispensable: false,
  },
  {
    command: 'conntrack',
    debianPackage: 'conntrack',
    reason: 'the reference for connection-tracking entries in tests',
    indispensable: false,
  },
  {
    command: 'strace',
    debianPackage: 'strace',
    reason: 'proves in a test that a change starts no process',
    indispensable: false,
  },
  {
    command: 'umoci',
    debianPackage: 'umoci',
    reason: 'checks and unpacks the container image in a test',
    indispensable: false,
  },
  {
    command: 'linux.uml',
    debianPackage: 'user-mode-linux',
    reason: 'a Linux kernel with IPVS for tests, as a process',
    indispensable: false,
  },
  {
    command: 'modprobe',
    debianPackage: 'kmod',
    reason: 'loads the modules of that kernel',
    indispensable: false,
  },
  {
    command: 'cc',
    debianPackage: 'tcc',
    reason: 'builds what that kernel lacks on processors with AMX',
    indispensable: false,
  },
  {
    command: 'ipvsadm',
    debianPackage: 'ipvsadm',
    reason: 'the reference for virtual servers in tests',
    indispensable: false,
  },
  {
    command: 'ipset',
    debianPackage: 'ipset',
    reason: 'the reference for sets of addresses in tests',
    indispensable: false,
  },
  {
    command: 'iptables-legacy',
    debianPackage: 'iptables',
    reason: 'holds the rules of the mode iptables; masquerades and filters beside IPVS',
    indispensable: false,
  },
];

/**
 * @param {readonly SystemProgram[]} programs
 * @param {(command: string) => boolean} isInstalled
 * @returns {readonly SystemProgram[]} Those that are not installed.
 */
export function missingPrograms(programs, isInstalled) {
  return programs.filter(({ command }) => !isInstalled(command));
}

/**
 * The shell commands that install the given programs on Debian and its relatives.
 *
 * @param {readonly SystemProgram[]} programs
 * @returns {readonly (readonly string[])[]} One argument list for each command, in order.
 */
export function installCommands(programs) {
  const packages = [...new Set(programs.map(({ debianPackage }) => debianPackage))];
  return [
    ['apt-get', 'update'],
    ['apt-get', 'install', '--yes', '--no-install-recommends', ...packages],
  ];
}
