/**
 * A backup forgets connections that are closed. A client's port is used again within a minute or two, and the kernel keeps a closed
 * connection for two: a new one of that port, of which a new master was not told yet, would be sent to the real server of the old one.
 */
import { messageOf } from '../../util/error-message.js';
import type { Clock, Log } from '../ports.js';

export const SWEEP_MS = 10_000;
/** And so many times as long as it took: reading a large table costs a processor. */
export const SWEEP_REST_FACTOR = 20;

export interface ClosedSweepPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Virtual addresses of which this host is not master, canonical. */
  readonly backupOf: () => ReadonlySet<string>;
  /** Rejects with the signal's reason, or with what the kernel says. */
  readonly forgetClosed: (virtualAddresses: ReadonlySet<string>, signal: AbortSignal) => Promise<number>;
}

export class ClosedSweep {
  readonly #ports: ClosedSweepPorts;
  #cancel: (() => void) | undefined;
  #sweeping: AbortController | undefined;

  constructor(ports: ClosedSweepPorts) {
    this.#ports = ports;
  }

  /** Sweeps now, and from then on at leisure. */
  begin(): void {
    this.end();
    void this.#sweep(new AbortController());
  }

  /** Of connections that go by this host from now on nothing may be forgotten. */
  end(): void {
    this.#cancel?.();
    this.#sweeping?.abort(new Error('this director is master'));
    this.#sweeping = undefined;
  }

  async #sweep(sweeping: AbortController): Promise<void> {
    const { clock, log, backupOf, forgetClosed } = this.#ports;
    this.#sweeping = sweeping;
    const begunMs = clock.nowMs();
    const virtualAddresses = backupOf();
    if (virtualAddresses.size > 0) {
      try {
        const connections = await forgetClosed(virtualAddresses, sweeping.signal);
        log.debug({ event: 'sweep', connections }, `forgot ${connections} closed connections`);
      } catch (error) {
        if (sweeping.signal.aborted) return;
        log.debug(
          { event: 'sweep', err: error },
          `closed connections are not forgotten: ${messageOf(error)}`,
        );
      }
    }
    if (this.#sweeping !== sweeping) return;
    const nowMs = clock.nowMs();
    const restMs = Math.max(SWEEP_MS, SWEEP_REST_FACTOR * (nowMs - begunMs));
    this.#cancel = clock.at(nowMs + restMs, () => void this.#sweep(sweeping));
  }
}
