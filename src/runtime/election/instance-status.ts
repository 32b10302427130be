/** What `director status` tells of an instance, without what is counted elsewhere. */
import { instanceSettings } from '../../planning/settings.js';
import type { InstanceState, SyncProgress } from '../../vrrp/group-types.js';
import type { ElectionReport, InstanceReport } from '../election-report.js';
import type { InstanceStatus } from '../status.js';
import type { Channels } from './channels.js';
import type { GroupRunner } from './group-runner.js';
import type { Reception } from './reception/reception.js';

type Status = Omit<InstanceStatus, 'maintenance'>;

interface Running {
  readonly state: InstanceState;
  readonly runner: GroupRunner;
}

export type InstanceReports = Pick<ElectionReport, 'discards'> & {
  readonly instances: readonly Omit<InstanceReport, 'maintenance'>[];
};

export class InstanceTeller {
  readonly #reception: Pick<Reception, 'counters'>;
  readonly #channels: Pick<Channels, 'counters' | 'conflictOf'>;

  constructor(reception: Pick<Reception, 'counters'>, channels: Pick<Channels, 'counters' | 'conflictOf'>) {
    this.#reception = reception;
    this.#channels = channels;
  }

  statuses(instances: readonly Running[], nowMs: number): readonly Status[] {
    const discards = this.#discards(instances);
    return instances.map(({ state, runner }) => ({
      ...instanceStatus(state, runner, nowMs),
      source_conflict: this.#channels.conflictOf(state.config.name) ?? null,
      counters: { ...runner.counters(state.config.name), ...discards[state.config.interface] },
    }));
  }

  /** The same for metrics: no settings and no sentences. */
  reports(instances: readonly Running[], nowMs: number): InstanceReports {
    return {
      discards: this.#discards(instances),
      instances: instances.map(({ state, runner }) => ({
        name: state.config.name,
        interface: state.config.interface,
        state: state.state,
        sinceMs: nowMs - state.sinceMs,
        priority: state.config.priority,
        effectivePriority: state.priority,
        faults: runner.state.faults.length,
        awaitsSync: state.awaitsSync,
        isIncomplete: runner.troubleOf(state.config.name) !== undefined,
        isSourceTaken: this.#channels.conflictOf(state.config.name) !== undefined,
        counters: runner.counters(state.config.name),
      })),
    };
  }

  /** Messages that were not taken. Each interface once: the kernel is asked, and hundreds of instances may share one. */
  #discards(instances: readonly Running[]): ElectionReport['discards'] {
    const names = new Set(instances.map(({ state }) => state.config.interface));
    return Object.fromEntries(
      [...names].map((name) => [
        name,
        { ...this.#reception.counters(name), ...this.#channels.counters(name) },
      ]),
    );
  }
}

function awaitedSync(
  { awaitsSync, config: { preempt }, lowerMasterSinceMs = 0 }: InstanceState,
  { text }: SyncProgress,
  nowMs: number,
): NonNullable<Status['awaits_sync']> | null {
  if (!awaitsSync || preempt.mode !== 'synced') return null;
  const leftMs = lowerMasterSinceMs + preempt.atMostMs - nowMs;
  return { text, at_most_s: Math.max(0, Math.ceil(leftMs / 1000)) };
}

function instanceStatus(
  state: InstanceState,
  runner: GroupRunner,
  nowMs: number,
): Omit<Status, 'counters' | 'source_conflict'> {
  const { config } = state;
  return {
    name: config.name,
    interface: config.interface,
    virtual_router_id: config.virtualRouterId,
    state: state.state,
    priority: config.priority,
    advertisement_interval_ms: config.advertisementIntervalMs,
    since_s: Math.round((nowMs - state.sinceMs) / 1000),
    master: state.master ?? null,
    addresses: config.addresses.map((a) => `${a.address}/${a.prefixLength}`),
    settings: instanceSettings(config),
    effective_priority: state.priority,
    faults: runner.state.faults,
    missing: runner.troubleOf(config.name) ?? null,
    awaits_sync: awaitedSync(state, runner.state.sync, nowMs),
    handing_over: runner.state.phase === 'handing-over',
  };
}
