/** `switchyard proxy`: what kube-proxy does, with its flags and its configuration file. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { SYSTEM_CLOCK } from '../agent/clock.ts';
import { addOptions } from '../agent/config/add-options.ts';
import { type LoadedConfig, loadConfig } from '../agent/config/load.ts';
import { printYaml } from '../agent/config/print.ts';
import { readConfigFile } from '../agent/config/read-file.ts';
import { ConfigWatcher } from '../agent/config/watch-config.ts';
import { describeError } from '../agent/describe-error.ts';
import { KUBE_PROXY } from '../agent/kube-proxy.ts';
import { Log } from '../agent/log.ts';
import { removeRules } from './cleanup.ts';
import type { Output } from './output.ts';
import { serve, setUp } from './serve.ts';
import { writeAtomically } from './write-atomically.ts';

/** A process that was told to stop ends after this long at the latest, in milliseconds. */
const STOP_MS = 500;

/** Flags as they were given, by name without dashes. */
type Given = ReadonlyMap<string, string>;

/** A configuration and the text it was read from. */
interface Loaded extends LoadedConfig {
  /** `undefined` without a file. */
  readonly file: { readonly path: string; readonly text: string } | undefined;
}

/** Adds the command. Its arguments must go through `normaliseFlags` before. */
export function addProxyCommand(program: Command, output: Output): void {
  const command = program
    .command('proxy')
    .summary('serve Services on this node, in the place of kube-proxy')
    .description(
      'Follows Services, EndpointSlices and the Node, in a cluster or in YAML files, and programs the kernel.\n' +
        "Takes kube-proxy's flags and configuration file; docs/flags.md lists all of them.\n" +
        'Runs until SIGTERM or SIGINT; what is programmed then stays (see: switchyard cleanup).',
    );
  const given = addOptions(command);
  command.action(async () => run(given(), output));
}

async function run(given: Given, output: Output): Promise<void> {
  const loaded = load(given);
  const { settings } = loaded;
  if (settings.version === 'true' || settings.version === 'raw') {
    output.out(
      `switchyard ${packageJson.version}, in the manner of kube-proxy ${KUBE_PROXY.version}\n`,
    );
  } else if (settings.writeConfigTo !== '') {
    await writeAtomically(settings.writeConfigTo, printYaml(settings));
  } else if (settings.cleanup) {
    await removeRules(loaded, output);
  } else if (settings.initOnly) {
    await setUp(loaded, openLog(loaded, output), stopSignal());
  } else {
    let next: Loaded | undefined = loaded;
    const stop = stopSignal();
    while (next !== undefined) next = await serveUntilChanged(given, next, output, stop);
  }
}

function load(given: Given): Loaded {
  let file: Loaded['file'];
  const readFile = (path: string): string => {
    const text = readConfigFile(path);
    file = { path, text };
    return text;
  };
  const config = loadConfig({ flags: given, readFile, hostname: hostname() });
  return { ...config, file };
}

function openLog({ settings }: LoadedConfig, output: Output): Log {
  const { logFormat: format, verbosity, vmodule } = settings;
  const write = output.error;
  return new Log({ format, verbosity, vmodule, write, time: () => new Date(), pid: process.pid });
}

/** Aborts when the process is told to stop. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      stop.abort();
      // Whatever is under way: every transaction is whole or not at all, so leaving is safe.
      setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  }
  return stop.signal;
}

/** Serves as configured. Resolves to another configuration to go on with, or `undefined` when it was stopped. */
async function serveUntilChanged(
  given: Given,
  loaded: Loaded,
  output: Output,
  stop: AbortSignal,
): Promise<Loaded | undefined> {
  const log = openLog(loaded, output);
  const main = log.part('main');
  for (const warning of loaded.warnings) main.warning(warning);
  let changed: Loaded | undefined;
  const change = new AbortController();
  using _watcher =
    loaded.file &&
    new ConfigWatcher({
      path: loaded.file.path,
      loaded: loaded.file.text,
      clock: SYSTEM_CLOCK,
      onChange: () => {
        try {
          changed = load(given);
          change.abort();
        } catch (error) {
          main.error('The new configuration cannot be used; the one before stays in force', {
            err: describeError(error),
          });
        }
      },
    });
  await serve(loaded, log, AbortSignal.any([stop, change.signal]));
  if (stop.aborted || changed === undefined) {
    main.info('Stopped; what is programmed stays');
    return undefined;
  }
  main.info('The configuration has changed; starting again with it. What is programmed stays');
  return changed;
}
