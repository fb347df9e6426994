/** Whether a test runs in the guest, for tests of what only its kernel has. */
import { readFileSync } from 'node:fs';

/** Why tests of the guest's kernel are skipped here; `false` in the guest. */
export const skipOutsideUml: string | false = readFileSync('/proc/cpuinfo', 'utf8').includes(
  'User Mode Linux',
)
  ? false
  : 'runs under user-mode Linux: npm run test:uml';
