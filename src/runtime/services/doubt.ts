/**
 * Whether this director's own checks are to be believed when they say that a real server has failed. A director that is cut off
 * sees all of them fail. Believed at once, that would end every connection as soon as the network is whole again and this
 * director is, or becomes, the one that forwards.
 */
import type { Clock, Log } from '../ports.js';
import type { RoleReport } from './services-messages.js';

/** After the last sign: checks with the usual interval and `rise` have found by then who lives. */
export const DOUBT_MS = 10_000;

export interface DoubtPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** The doubt is over. */
  readonly over: () => void;
}

export class Doubt {
  readonly #ports: DoubtPorts;
  #untilMs = Number.NEGATIVE_INFINITY;
  #cancel: () => void = () => {};

  constructor(ports: DoubtPorts) {
    this.#ports = ports;
  }

  /**
   * A master hears a weaker one that does not give way, so it is not heard itself; or an instance has just left its fault. Says whether
   * there was none up to now.
   */
  raise(): boolean {
    const { clock, log, over } = this.#ports;
    const nowMs = clock.nowMs();
    const isNew = nowMs >= this.#untilMs;
    this.#untilMs = nowMs + DOUBT_MS;
    this.#cancel();
    this.#cancel = clock.at(this.#untilMs, over);
    if (isNew)
      log.info(
        { event: 'doubt' },
        'this director may have been cut off: for some seconds real servers that fail keep their connections, with weight 0',
      );
    return isNew;
  }

  /** Nor does one whose instances are in fault, and none of them master, know what it lacks. */
  isOpen(roles: readonly (RoleReport | undefined)[]): boolean {
    if (this.#ports.clock.nowMs() < this.#untilMs) return true;
    const states = roles.map((role) => role?.state);
    return states.includes('fault') && !states.includes('master');
  }

  close(): void {
    this.#cancel();
  }
}
