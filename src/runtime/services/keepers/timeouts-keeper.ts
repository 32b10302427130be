/** Keeps the connection timeouts of the kernel's IPVS, whatever others set, and puts back what was there. */
import { NO_IPVS_SETTINGS } from '../../../config/model.js';
import type { IpvsTimeouts } from '../../../ipvs/model.js';
import { sameTimeouts, timeoutsToBe } from '../../../ipvs/timeouts.js';
import { workInTurn } from '../../../util/in-turn.js';
import { Looks } from '../../looks.js';
import type { Clock, Log } from '../../ports.js';
import { RepairPace } from '../../repair-pace.js';
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
  /** What is kept, and where. */
  #kept: { readonly wanted: IpvsTimeouts; readonly kernel: Kernel } | undefined;
  /** The last repair was, which was told. */
  #isRefused = false;
  readonly #pace = new RepairPace();
  readonly #inTurn = workInTurn();
  readonly #looks: Looks;

  constructor(before: IpvsTimeouts | undefined, ports: TimeoutsKeeperPorts) {
    this.#before = before;
    this.#ports = ports;
    this.#looks = new Looks(ports.clock, () => this.#inTurn(() => this.#look()));
  }

  /** Those that are 0 in `wanted` are as they were before. A kernel that refuses is told of and asked again. */
  apply(wanted: IpvsTimeouts, kernel: Kernel): Promise<void> {
    return this.#inTurn(() => this.#apply(wanted, kernel));
  }

  async #apply(wanted: IpvsTimeouts, kernel: Kernel): Promise<void> {
    this.#cancelRetry();
    this.#kept = undefined;
    this.#looks.stop();
    if (sameTimeouts(wanted, NO_IPVS_SETTINGS.timeouts)) return this.#restore(kernel);
    try {
      const now = await kernel.timeouts();
      if (this.#before === undefined) await this.#remember(now);
      await this.#set(timeoutsToBe(wanted, this.#before ?? now), now, kernel);
      this.#kept = { wanted, kernel };
      this.#looks.start();
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the connection timeouts of IPVS could not be set');
      this.#retry(() => this.apply(wanted, kernel));
    }
  }

  /** Somebody may have said `ipvsadm --set`. Those that are not wanted are his affair. A kernel that refuses is asked again. */
  async #look(): Promise<void> {
    if (this.#kept === undefined) return;
    const { wanted, kernel } = this.#kept;
    const { clock, log } = this.#ports;
    try {
      const now = await kernel.timeouts();
      const to = timeoutsToBe(wanted, now);
      if (sameTimeouts(to, now) || !this.#pace.due(clock.nowMs())) return;
      const isNews = this.#pace.made(clock.nowMs());
      await this.#set(to, now, kernel);
      if (isNews)
        log.warn(
          { event: 'ipvs-timeouts', from: now, to },
          'somebody changed the connection timeouts of IPVS: repaired',
        );
      this.#isRefused = false;
    } catch (error) {
      if (!this.#isRefused)
        log.error({ err: error }, 'the connection timeouts of IPVS could not be repaired');
      this.#isRefused = true;
    }
  }

  /** Puts everything back; what cannot be is tried again, and known to the next start. */
  restore(kernel: Kernel): Promise<void> {
    return this.#inTurn(() => this.#restore(kernel));
  }

  async #restore(kernel: Kernel): Promise<void> {
    this.#cancelRetry();
    this.#kept = undefined;
    this.#looks.stop();
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
