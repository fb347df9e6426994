/** One value of an object that could not be used, and what was done instead. */
export interface Problem {
  /** Path of the value inside the object, like `spec.ports[1].port`. */
  readonly field: string;
  /** What is wrong with it and what follows. */
  readonly message: string;
}

/** What a decoder made of a value: the object (`undefined`: none that could be served) and what it left out. */
export interface Decoded<T> {
  readonly object: T | undefined;
  readonly problems: readonly Problem[];
}
