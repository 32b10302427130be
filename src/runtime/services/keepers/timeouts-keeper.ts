/** Sets the connection timeouts of the kernel's IPVS and puts back what was there. */
import { NO_IPVS_SETTINGS } from '../../../config/model.js';
import type { IpvsTimeouts } from '../../../ipvs/model.js';
import { sameTimeouts, timeoutsToBe } from '../../../ipvs/timeouts.js';
import type { Clock, Log } from '../../ports.js';
import type { Ipvs } from '../services-ports.js';

type Kernel = Pick<Ipvs, 'timeouts' | 'setTimeouts'>;

/** What the kernel refused is tried again after so long. */
const RETRY_MS = 2000;

export interface TimeoutsKeeperPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Remembers the values from before, across a crash of this process. */
  save(before: IpvsTimeouts | undefined): Promise<void>;
}

export class TimeoutsKeeper {
  readonly #ports: TimeoutsKeeperPorts;
  #before: IpvsTimeouts | undefined;
  #cancelRetry: () => void = () => {};

  constructor(before: IpvsTimeouts | undefined, ports: TimeoutsKeeperPorts) {
    this.#before = before;
    this.#ports = ports;
  }

  /** Those that are 0 in `wanted` are as they were before. A kernel that refuses is told of and asked again. */
  async apply(wanted: IpvsTimeouts, kernel: Kernel): Promise<void> {
    this.#cancelRetry();
    if (sameTimeouts(wanted, NO_IPVS_SETTINGS.timeouts)) return this.restore(kernel);
    try {
      const now = await kernel.timeouts();
      if (this.#before === undefined) await this.#remember(now);
      await this.#set(timeoutsToBe(wanted, this.#before ?? now), now, kernel);
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the connection timeouts of IPVS could not be set');
      this.#retry(() => this.apply(wanted, kernel));
    }
  }

  /** Puts everything back; what cannot be is tried again, and known to the next start. */
  async restore(kernel: Kernel): Promise<void> {
    this.#cancelRetry();
    const before = this.#before;
    if (before === undefined) return;
    try {
      await this.#set(before, await kernel.timeouts(), kernel);
      await this.#remember(undefined);
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the connection timeouts of IPVS could not be put back');
      this.#retry(() => this.restore(kernel));
    }
  }

  #retry(work: () => Promise<void>): void {
    const { clock } = this.#ports;
    this.#cancelRetry = clock.at(clock.nowMs() + RETRY_MS, () => void work());
  }

  async #set(to: IpvsTimeouts, now: IpvsTimeouts, kernel: Kernel): Promise<void> {
    if (sameTimeouts(to, now)) return;
    await kernel.setTimeouts(to);
    this.#ports.log.info(
      { event: 'ipvs-timeouts', from: now, to },
      `ipvsadm --set ${to.tcpSeconds} ${to.tcpFinSeconds} ${to.udpSeconds}`,
    );
  }

  async #remember(before: IpvsTimeouts | undefined): Promise<void> {
    this.#before = before;
    await this.#ports.save(before);
  }
}
