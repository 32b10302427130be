/** Which hooks an event calls, in which order, and what they are told. */
import type { DirectorConfig, Hook, HookEvent } from '../config/model.js';
import type { Notice, VrrpState } from '../vrrp/group-types.js';

/** What the election reports. */
export type VrrpEvent =
  | {
      readonly kind: 'role';
      readonly instance: string;
      readonly from: VrrpState;
      readonly to: VrrpState;
      readonly reason: string;
    }
  | { readonly kind: 'notice'; readonly instance: string; readonly notice: Notice };

/** One event that hooks may be called for. */
export interface HookCall {
  readonly instance: string;
  readonly event: HookEvent;
  readonly from: VrrpState;
  /** The state now; for `still-master` the same as `from`. */
  readonly to: VrrpState;
  readonly reason: string;
  /** When the services process heard of it, in milliseconds since 1970. */
  readonly atEpochMs: number;
  /** Events before this one for which no hook was run, because the hooks were too slow. */
  readonly skipped: number;
}

/** Events of one instance that wait for its hooks; at least 2. */
export const MAX_WAITING_EVENTS = 16;

/** Undefined for notices that no hook can be called for. */
export function hookCall(event: VrrpEvent, atEpochMs: number): HookCall | undefined {
  const common = { instance: event.instance, atEpochMs, skipped: 0 };
  if (event.kind === 'role') {
    return { ...common, event: event.to, from: event.from, to: event.to, reason: event.reason };
  }
  if (event.notice.kind !== 'still-master') return undefined;
  const { source, priority } = event.notice;
  const reason = `${source} advertises priority ${priority}`;
  return { ...common, event: 'still-master', from: 'master', to: 'master', reason };
}

/**
 * The waiting events of one instance with one more, in order. Two `still-master` in a row are one. When there are too
 * many, a `still-master` goes, or else the oldest change: the one after it then starts where that one started, so
 * that a hook always sees an unbroken chain of states. The last event always stays.
 */
export function enqueue(waiting: readonly HookCall[], call: HookCall): HookCall[] {
  const last = waiting.at(-1);
  if (last !== undefined && last.event === 'still-master' && call.event === 'still-master') {
    return [...waiting.slice(0, -1), { ...call, skipped: last.skipped + 1 }];
  }
  const all = [...waiting, call];
  if (all.length <= MAX_WAITING_EVENTS) return all;
  const repeated = all.findIndex(({ event }) => event === 'still-master');
  const index = repeated === -1 || repeated === all.length - 1 ? 0 : repeated;
  const [dropped, next] = [all[index], all[index + 1]];
  if (dropped === undefined || next === undefined) return all;
  const merged = { ...next, from: dropped.from, skipped: next.skipped + dropped.skipped + 1 };
  return [...all.slice(0, index), merged, ...all.slice(index + 2)];
}

/** In the order of the configuration. */
export function hooksFor(hooks: readonly Hook[], { instance, event }: HookCall): Hook[] {
  return hooks.filter(
    (hook) => hook.on.includes(event) && (hook.instances === undefined || hook.instances.includes(instance)),
  );
}

/** The contract with hooks (docs/HOOKS.md): variables are only ever added. */
export function hookEnvironment(config: DirectorConfig, call: HookCall): Record<string, string> {
  const instance = config.instances.find(({ name }) => name === call.instance);
  const group = config.syncGroups.find(({ instances }) => instances.includes(call.instance));
  const addresses =
    instance?.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`) ?? [];
  return {
    LVS_DIRECTOR_EVENT: call.event,
    LVS_DIRECTOR_STATE: call.to,
    LVS_DIRECTOR_FROM: call.from,
    LVS_DIRECTOR_REASON: oneLine(call.reason),
    LVS_DIRECTOR_INSTANCE: call.instance,
    LVS_DIRECTOR_GROUP: group?.name ?? '',
    LVS_DIRECTOR_PRIORITY: instance === undefined ? '' : String(instance.priority),
    LVS_DIRECTOR_VRID: instance === undefined ? '' : String(instance.virtualRouterId),
    LVS_DIRECTOR_INTERFACE: instance?.interface ?? '',
    LVS_DIRECTOR_ADDRESSES: addresses.join(' '),
    LVS_DIRECTOR_DIRECTOR: config.director,
    LVS_DIRECTOR_TIME: new Date(call.atEpochMs).toISOString(),
    LVS_DIRECTOR_SKIPPED: String(call.skipped),
  };
}

/** A variable of the environment ends at a zero byte, and a script reads a line. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
