/** How readily the kernel ends this process when memory runs out (proc_pid_oom_score_adj(5)). */
import { ERRNO } from './errors.ts';
import { type Advice, writePseudoFile } from './pseudo-file.ts';

const ADVICE: Advice = new Map([
  [ERRNO.EACCES, 'A lower score than now needs the capability CAP_SYS_RESOURCE.'],
  [ERRNO.EINVAL, 'It must be from -1000 (never ended) to 1000 (ended first).'],
]);

/**
 * Sets the score of this process; processes that it starts inherit it.
 *
 * @param score From -1000 (never ended) to 1000 (ended first).
 * @throws KernelError `PERMISSION` when it may not be lowered, `CALL` when it is out of range.
 */
export function setOomScore(score: number, path = '/proc/self/oom_score_adj'): void {
  writePseudoFile(path, `${score}\n`, `setting the out-of-memory score to ${score}`, ADVICE);
}
