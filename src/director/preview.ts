/** What `director plan` shows: the changes that would make the kernel equal to the configuration. Pure. */
import type { DirectorConfig, VrrpInstance } from '../config/model.js';
import { desiredServices } from '../ipvs/desired.js';
import type { DumpedService, IpvsOp, SyncDaemon } from '../ipvs/model.js';
import { describeOp, plan } from '../ipvs/plan.js';
import { requiredSyncDaemons } from './requirements.js';

export type Change =
  | { readonly kind: 'ipvs'; readonly text: string; readonly op: IpvsOp }
  | {
      readonly kind: 'sysctl';
      readonly text: string;
      readonly key: string;
      readonly from: string | null;
      readonly to: string;
    }
  | { readonly kind: 'sync-daemon'; readonly text: string; readonly daemon: SyncDaemon }
  | { readonly kind: 'vrrp'; readonly text: string; readonly instance: string };

/** What is there now. */
export interface Present {
  readonly services: readonly DumpedService[];
  readonly owned: ReadonlySet<string>;
  readonly daemons: readonly SyncDaemon[];
  /** Current values by key, undefined where the kernel has none. */
  readonly sysctls: ReadonlyMap<string, string | undefined>;
  /** Instances of the running daemon; undefined when none runs. */
  readonly instances: readonly RunningInstance[] | undefined;
  serves(virtualServer: string, realServer: { address: string; port: number }): boolean;
}

export interface RunningInstance {
  readonly name: string;
  readonly interface: string;
  readonly virtual_router_id: number;
  readonly priority: number;
  readonly state: string;
  readonly advertisement_interval_ms: number;
  readonly addresses: readonly string[];
}

export function preview(
  config: DirectorConfig,
  wantedSysctls: ReadonlyMap<string, string>,
  present: Present,
): readonly Change[] {
  return [
    ...sysctlChanges(wantedSysctls, present),
    ...ipvsChanges(config, present),
    ...daemonChanges(config, present),
    ...vrrpChanges(config.instances, present.instances),
  ];
}

function sysctlChanges(wanted: ReadonlyMap<string, string>, present: Present): Change[] {
  return [...wanted].flatMap(([key, to]): Change[] => {
    const from = present.sysctls.get(key)?.replaceAll(/\s+/g, ' ');
    if (from === to) return [];
    const was = from === undefined ? 'IPVS not loaded' : `is ${from}`;
    return [{ kind: 'sysctl', text: `sysctl -w ${key}='${to}' (${was})`, key, from: from ?? null, to }];
  });
}

function ipvsChanges(config: DirectorConfig, present: Present): Change[] {
  const active = config.virtualServers.filter(({ vrrpInstance }) => {
    const role = present.instances?.find((instance) => instance.name === vrrpInstance)?.state;
    return vrrpInstance === undefined || role === 'master';
  });
  const desired = desiredServices(active, (name, server) => present.serves(name, server));
  return plan(desired, present.services, { ownedKeys: present.owned, prune: true }).map((op) => ({
    kind: 'ipvs',
    text: describeOp(op),
    op,
  }));
}

function daemonChanges(config: DirectorConfig, present: Present): Change[] {
  return requiredSyncDaemons(config)
    .filter(
      (wanted) =>
        !present.daemons.some(
          (running) =>
            running.state === wanted.state &&
            running.interface === wanted.interface &&
            running.syncid === wanted.syncid,
        ),
    )
    .map((daemon) => ({
      kind: 'sync-daemon',
      text: `ipvsadm --start-daemon ${daemon.state} --mcast-interface ${daemon.interface} --syncid ${daemon.syncid}`,
      daemon,
    }));
}

function vrrpChanges(
  wanted: readonly VrrpInstance[],
  running: readonly RunningInstance[] | undefined,
): Change[] {
  const change = (instance: string, text: string): Change => ({
    kind: 'vrrp',
    instance,
    text: `vrrp ${instance}: ${text}`,
  });
  const changes: Change[] = [];
  for (const instance of wanted) {
    const now = running?.find((candidate) => candidate.name === instance.name);
    if (now === undefined) {
      changes.push(
        change(instance.name, `start on ${instance.interface} as virtual router ${instance.virtualRouterId}`),
      );
      continue;
    }
    changes.push(...settingChanges(instance, now).map((text) => change(instance.name, text)));
  }
  for (const now of running ?? []) {
    if (!wanted.some((instance) => instance.name === now.name))
      changes.push(change(now.name, 'hand over and stop'));
  }
  return changes;
}

function settingChanges(wanted: VrrpInstance, now: RunningInstance): string[] {
  const texts: string[] = [];
  if (wanted.interface !== now.interface || wanted.virtualRouterId !== now.virtual_router_id) {
    texts.push(`hand over, then start on ${wanted.interface} as virtual router ${wanted.virtualRouterId}`);
  }
  if (wanted.priority !== now.priority) texts.push(`priority ${now.priority} -> ${wanted.priority}`);
  if (wanted.advertisementIntervalMs !== now.advertisement_interval_ms) {
    texts.push(
      `advertisement interval ${now.advertisement_interval_ms} ms -> ${wanted.advertisementIntervalMs} ms`,
    );
  }
  const addresses = wanted.addresses.map((a) => `${a.address}/${a.prefixLength}`);
  for (const address of addresses) if (!now.addresses.includes(address)) texts.push(`add ${address}`);
  for (const address of now.addresses) if (!addresses.includes(address)) texts.push(`remove ${address}`);
  return texts;
}
