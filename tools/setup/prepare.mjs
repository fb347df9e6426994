/**
 * Makes this machine ready for `npm start` and `npm test`; npm runs it before both.
 *
 * Installs the npm packages where they are missing or outdated and, as root, the Debian packages
 * that are missing. Says nothing where there is nothing to do. Plain JavaScript on Node.js 20 and
 * built-in modules only: it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installCommands, missingPrograms, systemPrograms } from './debian-packages.mjs';
import { field, isInstalled } from './npm-packages.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const isRoot = process.getuid?.() === 0;

/** Where `npm run` looks for programs: first of all in the Node.js that comes from npm. */
const searchPath = [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);

/** @param {string} text */
function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

/**
 * @param {string} text What is wrong and what to do about it.
 * @returns {never}
 */
function fail(text) {
  say(text);
  process.exit(1);
}

/**
 * Runs a program quietly; its output appears only when it fails.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {boolean} Whether it succeeded.
 */
function run(program, args, env) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return true;
  process.stderr.write(error === undefined ? stdout + stderr : `${program}: ${error.message}\n`);
  return false;
}

/**
 * Says what is being done and, once it is, how long it took.
 *
 * @param {string} what
 * @param {() => boolean} work
 * @returns {boolean} Whether it succeeded.
 */
function progress(what, work) {
  say(`${what} …`);
  const begin = performance.now();
  const done = work();
  if (done) say(`done in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  return done;
}

function npmPackagesInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const wanted = readFileSync(join(root, 'package-lock.json'), 'utf8');
  return isInstalled(wanted, readFileSync(installed, 'utf8'));
}

function installNpmPackages() {
  // The Node.js and npm that are running us, not those of a node_modules that is about to be
  // replaced. No package needs its install scripts: the native ones come with their binaries.
  const node = process.env['npm_node_execpath'];
  const npm = process.env['npm_execpath'];
  const args = ['ci', '--ignore-scripts', '--loglevel=error'];
  const installed = progress('installing the npm packages (npm ci)', () =>
    node === undefined || npm === undefined
      ? run('npm', args, process.env)
      : run(node, [npm, ...args], process.env),
  );
  if (!installed) fail('npm ci failed, see above; repair the cause and run the command again');
}

/** @param {string} command */
function onPath(command) {
  // The system folders are not on the PATH of every user, but what we start looks there too.
  const folders = [...searchPath.split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(join(folder, command)));
}

function installSystemPrograms() {
  const missing = missingPrograms(systemPrograms, onPath);
  if (missing.length === 0) return;
  const commands = installCommands(missing);
  const names = missing.map(({ debianPackage }) => debianPackage).join(', ');
  if (isRoot && onPath('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    progress(`installing the Debian packages ${names}`, () =>
      commands.every(([program = '', ...args]) =>
        run(program, ['-o', 'DPkg::Lock::Timeout=120', ...args], env),
      ),
    );
  }
  const absent = missingPrograms(missing, onPath);
  if (absent.length === 0) return;
  for (const { command, debianPackage, reason } of absent) {
    say(`${command} (package ${debianPackage}) is missing: ${reason}`);
  }
  const sudo = isRoot ? '' : 'sudo ';
  say(`install with: ${commands.map((words) => sudo + words.join(' ')).join(' && ')}`);
  if (absent.some(({ indispensable }) => indispensable)) {
    fail('this cannot go on without them; run the command above, then this one again');
  }
}

function checkNode() {
  const manifest = readFileSync(join(root, 'package.json'), 'utf8');
  const wanted = String(field(field(JSON.parse(manifest), 'engines'), 'node'));
  const { stdout } = spawnSync('node', ['--version'], {
    env: { ...process.env, PATH: searchPath },
    encoding: 'utf8',
  });
  const [wantedMajor = 0, wantedMinor = 0] = versionNumbers(wanted);
  const [major = 0, minor = 0] = versionNumbers(stdout);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  fail(
    `Node.js ${stdout.trim()} is too old and npm has none for ${process.platform} ${process.arch}; ` +
      `install Node.js ${wantedMajor}.${wantedMinor} or newer`,
  );
}

/**
 * @param {string} text A version (`v24.21.0`) or a lowest version (`>=24.11.0`).
 * @returns {readonly number[]}
 */
function versionNumbers(text) {
  return (text.match(/\d+/g) ?? []).map(Number);
}

if (process.platform !== 'linux') {
  fail(`the demo and the tests program the Linux kernel and cannot run on ${process.platform}`);
}
if (!npmPackagesInstalled()) installNpmPackages();
checkNode();
installSystemPrograms();
