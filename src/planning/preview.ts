/** What `director plan` shows: the changes that would make the kernel equal to the configuration. Pure. */
import type { DirectorConfig, SyncGroup, VrrpInstance } from '../config/model.js';
import { withDrains } from '../ipvs/drain.js';
import type { DumpedService, IpvsOp, IpvsTimeouts, SyncDaemon } from '../ipvs/model.js';
import { describeOp, EVERY_KEY, plan } from '../ipvs/plan.js';
import { sameDaemon } from '../ipvs/plan-daemons.js';
import { sameTimeouts, timeoutsToBe } from '../ipvs/timeouts.js';
import { desiredServices, drainLimits, sorryInUse, wholeServices } from './desired.js';
import { groupsOf, planGroups } from './groups.js';
import { requiredSyncDaemons } from './requirements.js';
import {
  type InstanceSettings,
  instanceSettings,
  listDifferences,
  settingDifferences,
  trackText,
} from './settings.js';
import { SOURCE_NAT_TABLE, sourceNatChain, sourceNatRuleset } from './source-nat.js';

export type Change =
  | { readonly kind: 'ipvs'; readonly text: string; readonly op: IpvsOp }
  | {
      readonly kind: 'sysctl';
      readonly text: string;
      readonly key: string;
      readonly from: string | null;
      readonly to: string;
    }
  | { readonly kind: 'ipvs-timeouts'; readonly text: string; readonly to: IpvsTimeouts }
  | { readonly kind: 'source-nat'; readonly text: string }
  | { readonly kind: 'sync-daemon'; readonly text: string; readonly daemon: SyncDaemon }
  | { readonly kind: 'vrrp'; readonly text: string; readonly instance: string };

/** What is there now. */
export interface Present {
  readonly services: readonly DumpedService[];
  readonly owned: ReadonlySet<string>;
  /** Undefined where there is no IPVS to ask. */
  readonly timeouts: IpvsTimeouts | undefined;
  /** From before the running director, where it set others. */
  readonly timeoutsBefore: IpvsTimeouts | undefined;
  /** What nft lists of our table; undefined where there is none. */
  readonly sourceNat: string | undefined;
  readonly daemons: readonly SyncDaemon[];
  /** Those of `daemons` that the running director started. */
  readonly ownDaemons: readonly SyncDaemon[];
  /** Current values by key, undefined where the kernel has none. */
  readonly sysctls: ReadonlyMap<string, string | undefined>;
  /** Values from before the running director, of the sysctls that it set. */
  readonly sysctlsBefore: ReadonlyMap<string, string>;
  /** Instances of the running daemon; undefined when none runs. */
  readonly instances: readonly RunningInstance[] | undefined;
  /** Sync groups of the running daemon. */
  readonly syncGroups: readonly RunningGroup[];
  serves(virtualServer: string, realServer: { address: string; port: number }): boolean;
  /** That the checks of the running director ask for. */
  weight(virtualServer: string, realServer: { address: string; port: number }): number | undefined;
}

export interface RunningGroup extends Pick<SyncGroup, 'name' | 'instances'> {
  /** Undefined from a director of an earlier release. */
  readonly track?: readonly { readonly object: string; readonly weight?: number | undefined }[] | undefined;
}

export interface RunningInstance {
  readonly name: string;
  readonly interface: string;
  readonly virtual_router_id: number;
  readonly priority: number;
  readonly state: string;
  readonly advertisement_interval_ms: number;
  readonly addresses: readonly string[];
  /** Undefined from a director of an earlier release. */
  readonly settings?: Partial<InstanceSettings> | undefined;
}

export function preview(
  config: DirectorConfig,
  wantedSysctls: ReadonlyMap<string, string>,
  present: Present,
): readonly Change[] {
  return [
    ...sysctlChanges(wantedSysctls, present),
    ...sourceNatChanges(config, present),
    ...timeoutChanges(config, present),
    ...ipvsChanges(config, present),
    ...daemonChanges(config, present),
    ...vrrpChanges(config, present),
  ];
}

/** The kernel prints lists with tabs. */
function spaced(value: string | undefined): string | undefined {
  return value?.replaceAll(/\s+/g, ' ');
}

function sysctlChanges(wanted: ReadonlyMap<string, string>, present: Present): Change[] {
  const change = (key: string, to: string, note: (from: string | undefined) => string): Change[] => {
    const from = spaced(present.sysctls.get(key));
    if (from === to) return [];
    return [
      { kind: 'sysctl', text: `sysctl -w ${key}='${to}' (${note(from)})`, key, from: from ?? null, to },
    ];
  };
  const putBack = [...present.sysctlsBefore].filter(([key]) => !wanted.has(key));
  return [
    ...putBack.flatMap(([key, to]) =>
      change(key, spaced(to) ?? to, (from) => `is ${from}; its value from before the director`),
    ),
    ...[...wanted].flatMap(([key, to]) =>
      change(key, to, (from) => (from === undefined ? missing(key) : `is ${from}`)),
    ),
  ];
}

function missing(key: string): string {
  return key.startsWith('net.ipv4.vs.') ? 'IPVS not loaded' : 'not there';
}

function sourceNatChanges(config: DirectorConfig, { sourceNat: listed }: Present): Change[] {
  const wanted = sourceNatRuleset(config);
  if (wanted === undefined && listed === undefined) return [];
  if (wanted !== undefined && sourceNatChain(wanted) === sourceNatChain(listed)) return [];
  const verb = listed === undefined ? 'add' : wanted === undefined ? 'delete' : 'replace';
  return [{ kind: 'source-nat', text: `nft: ${verb} table ${SOURCE_NAT_TABLE} (source translation)` }];
}

function timeoutChanges({ ipvs }: DirectorConfig, { timeouts: now, timeoutsBefore }: Present): Change[] {
  if (now === undefined) return [];
  const to = timeoutsToBe(ipvs.timeouts, timeoutsBefore ?? now);
  if (sameTimeouts(to, now)) return [];
  const text = `ipvsadm --set ${to.tcpSeconds} ${to.tcpFinSeconds} ${to.udpSeconds}`;
  return [{ kind: 'ipvs-timeouts', text, to }];
}

function ipvsChanges(config: DirectorConfig, present: Present): Change[] {
  const active = config.virtualServers.filter(({ vrrpInstance }) => {
    const role = present.instances?.find((instance) => instance.name === vrrpInstance)?.state;
    return vrrpInstance === undefined || role === 'master';
  });
  const sorry = sorryInUse(active, present.services);
  const desired = desiredServices(active, {
    serves: (name, server) => present.serves(name, server),
    weight: (name, server) => present.weight(name, server),
    wasSorry: (key) => sorry.has(key),
  });
  const whole = withDrains(
    desired,
    () => wholeServices(active),
    present.services,
    {},
    0,
    () => drainLimits(active),
  );
  const ownedKeys = config.ipvs.exclusive ? EVERY_KEY : present.owned;
  return plan(whole.desired, present.services, { ownedKeys, prune: true }).map((op) => ({
    kind: 'ipvs',
    text: describeOp(op),
    op,
  }));
}

function daemonChanges(config: DirectorConfig, present: Present): Change[] {
  const wanted = requiredSyncDaemons(config);
  const change = (daemon: SyncDaemon, text: string): Change => ({ kind: 'sync-daemon', text, daemon });
  const unwanted = present.daemons.filter((running) => {
    if (wanted.some((daemon) => sameDaemon(daemon, running))) return false;
    // The kernel has one of each kind: another's is in the way of ours.
    const inTheWay = wanted.some((daemon) => daemon.state === running.state);
    return inTheWay || present.ownDaemons.some((own) => sameDaemon(own, running));
  });
  const missing = wanted.filter((daemon) => !present.daemons.some((running) => sameDaemon(daemon, running)));
  return [
    ...unwanted.map((daemon) => change(daemon, `ipvsadm --stop-daemon ${daemon.state}`)),
    ...missing.map((daemon) =>
      change(
        daemon,
        `ipvsadm --start-daemon ${daemon.state} --mcast-interface ${daemon.interface} --syncid ${daemon.syncid}`,
      ),
    ),
  ];
}

function vrrpChanges(config: DirectorConfig, present: Present): Change[] {
  const change = (instance: string, text: string): Change => ({
    kind: 'vrrp',
    instance,
    text: `vrrp ${instance}: ${text}`,
  });
  const running = present.instances ?? [];
  const groups = groupsOf(running, present.syncGroups);
  const going = running.filter((now) => config.instances.some((wanted) => isSameRouter(wanted, now)));
  const mates = (now: RunningInstance) =>
    groups.find(({ instances }) => instances.includes(now))?.instances ?? [];
  const leave = (now: RunningInstance) =>
    mates(now).some((one) => going.includes(one)) ? 'stop, its sync group goes on' : 'hand over and stop';
  const changes: Change[] = [];
  for (const group of planGroups(config)) {
    const tracking = groupTrackChanges(config, present.syncGroups, group.name);
    const matches = group.instances.map((wanted) => running.find((now) => isSameRouter(wanted, now)));
    for (const [index, wanted] of group.instances.entries()) {
      const same = matches[index];
      const now = same ?? running.find((candidate) => candidate.name === wanted.name);
      const place = `start on ${wanted.interface} as virtual router ${wanted.virtualRouterId}`;
      if (now === undefined) {
        changes.push(change(wanted.name, place));
        continue;
      }
      const texts = [
        ...(same === undefined
          ? [`${leave(now)}, then ${place}`]
          : goingOn(wanted, same, matches, mates(same))),
        ...settingChanges(wanted, now),
        ...tracking,
      ];
      changes.push(...texts.map((text) => change(wanted.name, text)));
    }
  }
  for (const now of running) {
    const isNamed = config.instances.some(({ name }) => name === now.name);
    if (!going.includes(now) && !isNamed) changes.push(change(now.name, leave(now)));
  }
  return changes;
}

/** Whoever speaks for the same virtual router goes on as it is, whatever it is called. */
function isSameRouter(wanted: VrrpInstance, now: RunningInstance): boolean {
  return (
    wanted.interface === now.interface &&
    wanted.virtualRouterId === now.virtual_router_id &&
    wanted.family === (now.settings?.family ?? wanted.family)
  );
}

/** What happens to an instance that keeps its role; `before` are those of its sync group until now. */
function goingOn(
  { name }: VrrpInstance,
  now: RunningInstance,
  matches: readonly (RunningInstance | undefined)[],
  before: readonly RunningInstance[],
): string[] {
  const isSameGroup = before.length === matches.length && before.every((one) => matches.includes(one));
  return [
    ...(name === now.name ? [] : [`goes on, renamed from ${now.name}`]),
    ...(isSameGroup ? [] : ['goes on, its sync group changes']),
  ];
}

/** What a sync group tracks weighs on each of its instances. */
function groupTrackChanges(
  config: DirectorConfig,
  running: readonly RunningGroup[],
  name: string,
): readonly string[] {
  const wanted = config.syncGroups.find((group) => group.name === name);
  const now = running.find((group) => group.name === name)?.track;
  if (wanted === undefined || now === undefined) return [];
  return listDifferences(
    wanted.track.map(trackText),
    now.map(({ object, weight }) => trackText({ object, weight })),
    `with its group track`,
    'with its group no longer track',
  );
}

function settingChanges(wanted: VrrpInstance, now: RunningInstance): string[] {
  const texts: string[] = [];
  if (wanted.priority !== now.priority) texts.push(`priority ${now.priority} -> ${wanted.priority}`);
  if (wanted.advertisementIntervalMs !== now.advertisement_interval_ms) {
    texts.push(
      `advertisement interval ${now.advertisement_interval_ms} ms -> ${wanted.advertisementIntervalMs} ms`,
    );
  }
  const addresses = wanted.addresses.map((a) => `${a.address}/${a.prefixLength}`);
  const before = new Set(now.addresses.map(withoutPrefix));
  const kept = new Set(addresses.map(withoutPrefix).filter((address) => before.has(address)));
  return [
    ...texts,
    ...settingDifferences(instanceSettings(wanted), now.settings ?? {}, kept),
    ...listDifferences(addresses, now.addresses, 'add', 'remove'),
  ];
}

function withoutPrefix(text: string): string {
  return text.split('/')[0] ?? text;
}
