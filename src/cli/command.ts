/** One command of `director`. Its file composes parts and prints; it decides nothing. */
export interface Command {
  readonly name: string;
  /** One line for `director --help`. */
  readonly summary: string;
  /** Full text of `director NAME --help`. */
  readonly usage: string;
  /** Returns the exit status: 0 done, 1 it failed, 2 the configuration or the arguments are wrong. */
  run(argv: readonly string[]): Promise<number>;
}

/** The arguments are wrong: `main` prints the message with a pointer to `--help` and exits with 2. */
export class UsageError extends Error {
  readonly code = 'ERR_USAGE';
}

/** An operational failure that needs no stack: `main` prints `director: message` and exits with 1. */
export class OperationalError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
