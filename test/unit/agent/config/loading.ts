/** Loads configurations without a machine. */
import assert from 'node:assert/strict';
import { type LoadedConfig, loadConfig } from '../../../../src/agent/config/load.ts';
import type { Settings } from '../../../../src/agent/config/options.ts';
import { AgentError } from '../../../../src/agent/errors.ts';

export type Flags = Readonly<Record<string, string>>;

/** The first lines of a file for kube-proxy. */
export const HEADER =
  'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
/** The first lines of our own document. */
export const OWN_HEADER = 'apiVersion: switchyard.dev/v1alpha1\nkind: SwitchyardConfiguration\n';

const PATH = '/etc/proxy.conf';

/** Without a file. */
export function load(flags: Flags = {}, hostname = 'Host-1'): LoadedConfig {
  return loadConfig({
    flags: new Map(Object.entries(flags)),
    readFile: () => assert.fail('no file is to be read'),
    hostname,
  });
}

/** With a file that says `text`. */
export function loadFile(text: string, flags: Flags = {}): LoadedConfig {
  return loadConfig({
    flags: new Map(Object.entries({ config: PATH, ...flags })),
    readFile: (path) => {
      assert.equal(path, PATH);
      return text;
    },
    hostname: 'host-1',
  });
}

/** With a file for kube-proxy that has these fields. */
export function loadFields(fields: string, flags: Flags = {}): LoadedConfig {
  return loadFile(HEADER + fields, flags);
}

/** The message with which it is refused. */
export function refusal(run: () => unknown): string {
  let message = '';
  assert.throws(run, (error) => {
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.code, 'SY_CONFIG_INVALID');
    ({ message } = error);
    return true;
  });
  return message;
}

/** The settings in which two results differ, with the values of the second one. */
export function differences(from: Settings, to: Settings): object {
  const old = new Map<string, unknown>(Object.entries(from));
  return Object.fromEntries(
    Object.entries(to).filter(
      ([key, value]) => JSON.stringify(old.get(key)) !== JSON.stringify(value),
    ),
  );
}
