/**
 * Whether `node_modules` is what `package-lock.json` asks for.
 *
 * npm leaves a copy of the lock file's entries in `node_modules/.package-lock.json` when an
 * installation is complete; comparing the two takes a millisecond, `npm ci` many seconds.
 *
 * @param {string} wantedLock Text of `package-lock.json`.
 * @param {string} installedLock Text of `node_modules/.package-lock.json`.
 * @returns {boolean}
 */
export function isInstalled(wantedLock, installedLock) {
  const wanted = lockedPackages(wantedLock);
  const installed = lockedPackages(installedLock);
  const complete = [...wanted].every(([path, entry]) => {
    const found = installed.get(path);
    // The optional ones are left out where they are for another platform.
    if (found === undefined) return field(entry, 'optional') === true;
    return ['version', 'integrity'].every((key) => field(entry, key) === field(found, key));
  });
  return complete && [...installed.keys()].every((path) => wanted.has(path));
}

/**
 * @param {string} lockFile
 * @returns {Map<string, unknown>} The entries by their path, without that of the project itself.
 */
function lockedPackages(lockFile) {
  const packages = field(JSON.parse(lockFile), 'packages');
  const entries = typeof packages === 'object' && packages !== null ? packages : {};
  return new Map(Object.entries(entries).filter(([path]) => path !== ''));
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown} The property of that name; `undefined` if there is none.
 */
export function field(value, name) {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
