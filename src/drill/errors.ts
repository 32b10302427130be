/** The drill could not be carried out: the lab, a program in it or the machine is at fault, not the failover. */
export type DrillErrorCode =
  | 'ERR_DRILL_LAB'
  | 'ERR_DRILL_PROCESS'
  | 'ERR_DRILL_TIMEOUT'
  | 'ERR_DRILL_UNSUPPORTED';

export class DrillError extends Error {
  readonly code: DrillErrorCode;
  constructor(code: DrillErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DrillError';
    this.code = code;
  }
}

/** The user ended the drill (Ctrl-C). */
export class DrillInterrupted extends Error {
  readonly code = 'ERR_DRILL_INTERRUPTED';
  constructor() {
    super('interrupted');
    this.name = 'DrillInterrupted';
  }
}
