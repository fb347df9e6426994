import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  installCommands,
  missingPrograms,
  systemPrograms,
} from '../../../tools/setup/debian-packages.mjs';
import { isInstalled } from '../../../tools/setup/npm-packages.mjs';

const lock = (packages: Readonly<Record<string, object>>): string => JSON.stringify({ packages });

const project = { '': { version: '1.0.0' } };
const a = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' } };
const b = { 'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' } };

describe('isInstalled', () => {
  it('accepts an installation with the same packages', () => {
    assert.ok(isInstalled(lock({ ...project, ...a, ...b }), lock({ ...b, ...a })));
  });

  it('accepts that a package for another platform is absent', () => {
    const foreign = { 'node_modules/c': { version: '1.0.0', optional: true } };
    assert.ok(isInstalled(lock({ ...a, ...foreign }), lock(a)));
  });

  it('refuses an absent, a surplus, another and an altered package', () => {
    const newer = { 'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' } };
    const altered = { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-x' } };
    assert.ok(!isInstalled(lock({ ...a, ...b }), lock(a)));
    assert.ok(!isInstalled(lock(a), lock({ ...a, ...b })));
    assert.ok(!isInstalled(lock(a), lock(newer)));
    assert.ok(!isInstalled(lock(a), lock(altered)));
  });
});

describe('system programs', () => {
  it('asks for nothing where every program is there', () => {
    assert.deepEqual(
      missingPrograms(systemPrograms, () => true),
      [],
    );
  });

  it('installs each package once, and only those whose program is missing', () => {
    const program = { reason: 'a test', indispensable: true };
    const missing = missingPrograms(
      [
        { ...program, command: 'one', debianPackage: 'first' },
        { ...program, command: 'two', debianPackage: 'first' },
        { ...program, command: 'three', debianPackage: 'second' },
        { ...program, command: 'here', debianPackage: 'third' },
      ],
      (command) => command === 'here',
    );
    assert.deepEqual(installCommands(missing), [
      ['apt-get', 'update'],
      ['apt-get', 'install', '--yes', '--no-install-recommends', 'first', 'second'],
    ]);
  });
});
