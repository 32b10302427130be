/** What `director status` tells of an instance, without what is counted elsewhere. */
import { instanceSettings } from '../director/settings.js';
import type { InstanceState } from '../vrrp/group-types.js';
import type { GroupRunner } from './group-runner.js';
import type { InstanceStatus } from './status.js';

export function instanceStatus(
  state: InstanceState,
  runner: GroupRunner,
  nowMs: number,
): Omit<InstanceStatus, 'maintenance' | 'counters'> {
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
