/** Remembers which problems were told, so that the same one is not told again as long as it lasts. */
export class ReportOnce {
  readonly #told = new Map<string, ReadonlySet<string>>();

  /**
   * Takes all problems that `subject` has now and returns those that are new. A problem that is no longer
   * among them is forgotten: when it comes back it is new again.
   */
  news(subject: string, problems: readonly string[]): readonly string[] {
    const before = this.#told.get(subject);
    const now = new Set(problems);
    if (now.size === 0) this.#told.delete(subject);
    else this.#told.set(subject, now);
    return [...now].filter((problem) => before?.has(problem) !== true);
  }
}
