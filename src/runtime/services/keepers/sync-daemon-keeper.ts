/** Keeps the kernel's sync daemons as the configuration wants them, whoever stops or deafens them. */

import type { DumpedSyncDaemon, StartedSyncDaemon, SyncDaemon } from '../../../ipvs/model.js';
import { type DaemonChange, planDaemons, sameDaemon } from '../../../ipvs/plan-daemons.js';
import { messageOf } from '../../../util/error-message.js';
import type { Clock, Log } from '../../ports.js';
import { RepairPace } from '../../repair-pace.js';
import type { Ipvs, SyncInterfaces } from '../services-ports.js';
import type { WorkCounts } from '../work-counts.js';

/**
 * The kernel gathers what it has to tell in a buffer, sends that when it is full or IPVS_SYNC_FLUSH_TIME (2 s) old, and
 * looks every IPVS_SYNC_CHECK_PERIOD (1 s). A daemon that is stopped throws it away. Milliseconds, with a little more.
 */
export const SYNC_FLUSH_MS = 3100;

export interface SyncDaemonKeeperPorts {
  readonly clock: Clock;
  readonly ipvs: Pick<Ipvs, 'syncDaemons' | 'startSyncDaemon' | 'stopSyncDaemon'>;
  readonly interfaces: SyncInterfaces;
  readonly log: Log;
  readonly counts: Pick<WorkCounts, 'syncDaemonRepaired'>;
  /** Saves which sync daemons are ours. */
  save(daemons: readonly StartedSyncDaemon[]): Promise<void>;
  /** A daemon that did not run was started. */
  onStarted?(state: SyncDaemon['state']): void;
}

export interface SyncDaemonsStatus {
  /** Those that run as wanted, by the kernel's word. */
  readonly daemons: readonly SyncDaemon['state'][];
  /** Why one does not, as sentences without a full stop. */
  readonly faults: readonly string[];
}

export class SyncDaemonKeeper {
  readonly #ports: SyncDaemonKeeperPorts;
  readonly #pace = new RepairPace();
  #started: readonly StartedSyncDaemon[];
  #wanted: readonly SyncDaemon[] = [];
  /** The configuration changed: what differs is no repair. */
  #fresh = true;
  #told = '';
  #status: SyncDaemonsStatus = { daemons: [], faults: [] };

  constructor(started: readonly StartedSyncDaemon[], ports: SyncDaemonKeeperPorts) {
    this.#started = started;
    this.#ports = ports;
  }

  /** Takes effect with the next `reconcile`. */
  configure(wanted: readonly SyncDaemon[]): void {
    this.#wanted = wanted;
    this.#fresh = true;
  }

  /** As of the last look at the kernel. */
  get status(): SyncDaemonsStatus {
    return this.#status;
  }

  /** Looks at the kernel and repairs what differs. Never rejects: what fails is a fault, told once, and tried again. */
  async reconcile(): Promise<void> {
    if (this.#wanted.length === 0 && this.#started.length === 0) {
      this.#status = { daemons: [], faults: [] };
      return;
    }
    try {
      const { ipvs } = this.#ports;
      let running = await ipvs.syncDaemons();
      let changes = this.#plan(running);
      const refusals = await this.#apply(changes);
      if (refusals !== undefined) {
        running = await ipvs.syncDaemons();
        changes = this.#plan(running);
      }
      const broken = changes.filter(({ works }) => !works).map(({ state }) => state);
      const daemons = running.map(({ state }) => state).filter((state) => !broken.includes(state));
      const wanted = daemons.filter((state) => this.#wanted.some((daemon) => daemon.state === state));
      this.#see({
        daemons: wanted,
        faults: changes.map(({ state, reason }) => withRefusal(reason, refusals?.get(state))),
      });
      await this.#forgetOthers(running);
    } catch (error) {
      this.#see({ daemons: [], faults: [messageOf(error)] });
    }
  }

  /** What was to be started and never ran is not ours: a stranger may start the same one later. */
  async #forgetOthers(running: readonly DumpedSyncDaemon[]): Promise<void> {
    const ours = this.#started.filter((one) =>
      [...running, ...this.#wanted].some((other) => sameDaemon(one, other)),
    );
    if (ours.length < this.#started.length) await this.#own(ours);
  }

  /** Stops those that are ours; when another host has `succeeded` this one, with their buffer empty. */
  async stop(succeeded: boolean): Promise<void> {
    const { ipvs } = this.#ports;
    const running = await ipvs.syncDaemons();
    const ours = running.filter((daemon) => this.#started.some((one) => sameDaemon(one, daemon)));
    if (succeeded && ours.some(({ state }) => state === 'master')) await this.#flushed();
    for (const daemon of ours) {
      await ipvs.stopSyncDaemon(daemon.state, daemon.syncid, daemon.interface);
    }
    await this.#own([]);
    this.#status = { daemons: [], faults: [] };
  }

  #flushed(): Promise<void> {
    const { clock } = this.#ports;
    return new Promise((resolve) => clock.at(clock.nowMs() + SYNC_FLUSH_MS, resolve));
  }

  #plan(running: readonly DumpedSyncDaemon[]): DaemonChange[] {
    const { interfaces } = this.#ports;
    return planDaemons({
      wanted: this.#wanted,
      running,
      started: this.#started,
      indexOf: (name) => interfaces.index(name),
      socketFault: (daemon) => interfaces.socketFault(daemon),
    });
  }

  /** The kernel's words for what it refused, by kind of daemon; undefined when nothing was tried. */
  async #apply(changes: readonly DaemonChange[]): Promise<ReadonlyMap<string, string> | undefined> {
    const { clock } = this.#ports;
    const feasible = changes.filter(({ stop, start }) => stop !== undefined || start !== undefined);
    if (feasible.length === 0 || (!this.#fresh && !this.#pace.due(clock.nowMs()))) return undefined;
    if (!this.#fresh) this.#pace.made(clock.nowMs());
    const refusals = new Map<string, string>();
    for (const change of feasible) {
      try {
        await this.#change(change);
      } catch (error) {
        refusals.set(change.state, messageOf(error));
      }
    }
    return refusals;
  }

  async #change({ state, stop, start, reason }: DaemonChange): Promise<void> {
    const { ipvs, log } = this.#ports;
    if (stop !== undefined) await ipvs.stopSyncDaemon(stop.state, stop.syncid, stop.interface);
    const others = this.#started.filter((daemon) => daemon.state !== state);
    // Known as ours before it runs: a crash in between must not make it a stranger's.
    await this.#own(start === undefined ? others : [...others, start]);
    if (start !== undefined) {
      await ipvs.startSyncDaemon(start);
      this.#ports.onStarted?.(start.state);
    }
    const repair = start !== undefined && !this.#fresh;
    if (repair) this.#ports.counts.syncDaemonRepaired();
    log[repair ? 'warn' : 'info'](
      { event: 'sync-daemon', daemon: start ?? stop, found: reason },
      `${reason}: ${start === undefined ? 'stopped' : 'started'}`,
    );
  }

  #see(status: SyncDaemonsStatus): void {
    this.#status = status;
    const { faults } = status;
    this.#fresh = this.#fresh && faults.length > 0;
    const words = faults.join('; ');
    if (words === this.#told) return;
    const { log } = this.#ports;
    if (words !== '') log.error({ event: 'sync-daemon', faults }, `connection sync: ${words}`);
    else log.info({ event: 'sync-daemon' }, 'connection sync: the daemons run as wanted');
    this.#told = words;
  }

  async #own(daemons: readonly StartedSyncDaemon[]): Promise<void> {
    this.#started = daemons;
    await this.#ports.save(daemons);
  }
}

function withRefusal(reason: string, refusal: string | undefined): string {
  return refusal === undefined ? reason : `${reason} (${refusal})`;
}
