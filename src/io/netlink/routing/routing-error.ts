/** What of routes and rules could not be added or removed. */
export interface RoutingFailure {
  /** The route or rule, as ip(8) writes it. */
  readonly what: string;
  readonly error: Error;
}

/** Adding or removing some of the routes or rules failed; the others are done. */
export class RoutingError extends Error {
  override readonly name = 'RoutingError';
  /** ERR_FOREIGN_ROUTE: nothing failed but for places that others have taken. */
  readonly code: 'ERR_ROUTE' | 'ERR_FOREIGN_ROUTE';
  /** What failed, with the kernel's words. */
  readonly failures: readonly RoutingFailure[];

  constructor(verb: string, failures: readonly RoutingFailure[]) {
    const list = failures.map(({ what, error }) => `${what}: ${error.message}`);
    super(`cannot ${verb} ${list.join('; ')}`, { cause: failures[0]?.error });
    this.failures = failures;
    const isForeign = ({ error }: RoutingFailure) => 'code' in error && error.code === 'ERR_FOREIGN_ROUTE';
    this.code = failures.every(isForeign) ? 'ERR_FOREIGN_ROUTE' : 'ERR_ROUTE';
  }
}
