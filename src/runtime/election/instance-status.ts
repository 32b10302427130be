/** What `director status` tells of an instance, without what is counted elsewhere. */
import { instanceSettings } from '../../planning/settings.js';
import type { InstanceState } from '../../vrrp/group-types.js';
import type { InstanceStatus } from '../status.js';
import type { GroupRunner } from './group-runner.js';

type Status = Omit<InstanceStatus, 'maintenance'>;

/** `countersOf` an interface is called once for each: the kernel is asked, and hundreds of instances may share one. */
export function instanceStatuses(
  instances: readonly { readonly state: InstanceState; readonly runner: GroupRunner }[],
  nowMs: number,
  countersOf: (interfaceName: string) => Record<string, number>,
  conflictOf: (instance: string) => string | undefined,
): readonly Status[] {
  const names = new Set(instances.map(({ state }) => state.config.interface));
  const shared = new Map([...names].map((name) => [name, countersOf(name)]));
  return instances.map(({ state, runner }) => ({
    ...instanceStatus(state, runner, nowMs),
    source_conflict: conflictOf(state.config.name) ?? null,
    counters: { ...runner.counters(state.config.name), ...shared.get(state.config.interface) },
  }));
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
    handing_over: runner.state.phase === 'handing-over',
  };
}
