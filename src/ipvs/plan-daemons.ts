/** From wanted and running sync daemons to what has to be stopped and started. */
import type { DumpedSyncDaemon, StartedSyncDaemon, SyncDaemon } from './model.js';

/** What a daemon gets that is started without saying otherwise (`start_sync_thread`, ip_vs_sync.c). */
const KERNEL_DEFAULTS = { group: '224.0.0.81', port: 8848, ttl: 1 } as const;
/** Bytes of a sync message at an MTU of 1500: what a master sends at most, and a backup takes at least. */
export const SYNC_MESSAGE_BYTES = 1472;

export interface DaemonsNow {
  readonly wanted: readonly SyncDaemon[];
  /** The kernel's list. */
  readonly running: readonly DumpedSyncDaemon[];
  /** Those that this director started, with the interface index of that time. */
  readonly started: readonly StartedSyncDaemon[];
  /** IFLA_IFINDEX of an interface, undefined when there is none of that name. */
  readonly indexOf: (interfaceName: string) => number | undefined;
  /** What the kernel tells of a daemon's socket that keeps it from its work; undefined when nothing does. */
  readonly socketFault: (daemon: SyncDaemon) => string | undefined;
}

/** One daemon that is not as wanted. */
export interface DaemonChange {
  readonly state: SyncDaemon['state'];
  /** Whether one runs all the same that speaks or hears, though not as wanted. */
  readonly works: boolean;
  /** To be stopped first. */
  readonly stop: DumpedSyncDaemon | undefined;
  /** To be started then; undefined when none is wanted or it cannot be. */
  readonly start: StartedSyncDaemon | undefined;
  /** What is the matter, as a sentence without its full stop. */
  readonly reason: string;
}

/**
 * Changes that bring the kernel's sync daemons to what is wanted. Without the wanted interface nothing is stopped: a
 * daemon that runs elsewhere is better than none. One that is neither wanted nor started by this director is left
 * alone, unless it is in the way: the kernel runs one of each kind.
 */
export function planDaemons(now: DaemonsNow): DaemonChange[] {
  return (['master', 'backup'] as const).flatMap((state) => {
    const of = <T extends SyncDaemon>(daemons: readonly T[]): T | undefined =>
      daemons.find((daemon) => daemon.state === state);
    const running = of(now.running);
    const wanted = of(now.wanted);
    if (wanted === undefined) {
      if (running === undefined || !now.started.some((ours) => sameDaemon(ours, running))) return [];
      const reason = `${nameOf(running)} is not wanted`;
      return [{ state, works: true, stop: running, start: undefined, reason }];
    }
    return changeOf(wanted, running, of(now.started), now) ?? [];
  });
}

function changeOf(
  wanted: SyncDaemon,
  running: DumpedSyncDaemon | undefined,
  started: StartedSyncDaemon | undefined,
  { indexOf, socketFault }: DaemonsNow,
): DaemonChange | undefined {
  const { state } = wanted;
  const index = indexOf(wanted.interface);
  if (index === undefined) {
    const works = running !== undefined && indexOf(running.interface) !== undefined;
    const still = works ? `: the one on ${running.interface} goes on` : '';
    const reason = `there is no interface ${wanted.interface} for the ${state} sync daemon${still}`;
    return { state, works, stop: undefined, start: undefined, reason };
  }
  const start = { ...wanted, interfaceIndex: index };
  if (running === undefined) {
    return { state, works: false, stop: undefined, start, reason: `${nameOf(wanted)} does not run` };
  }
  const other = settingsFault(wanted, running);
  if (other !== undefined) return { state, works: true, stop: running, start, reason: other };
  const deaf = indexFault(start, started) ?? socketFault(wanted);
  return deaf === undefined ? undefined : { state, works: false, stop: running, start, reason: deaf };
}

/** Attributes that a kernel before 4.3 does not tell count as they should be. */
function settingsFault(wanted: SyncDaemon, running: DumpedSyncDaemon): string | undefined {
  const { group = KERNEL_DEFAULTS.group, port = KERNEL_DEFAULTS.port, ttl = KERNEL_DEFAULTS.ttl } = running;
  const name = `the ${running.state} sync daemon`;
  if (!sameDaemon(wanted, running)) {
    return `${name} runs on ${running.interface} with syncid ${running.syncid}`;
  }
  if (group !== KERNEL_DEFAULTS.group || port !== KERNEL_DEFAULTS.port || ttl !== KERNEL_DEFAULTS.ttl) {
    return `${name} uses ${group} port ${port} with TTL ${ttl}`;
  }
  const { maxLength = SYNC_MESSAGE_BYTES } = running;
  const fits = running.state === 'master' ? maxLength <= SYNC_MESSAGE_BYTES : maxLength >= SYNC_MESSAGE_BYTES;
  return fits ? undefined : `${name} has messages of ${maxLength} bytes`;
}

/** The kernel lists a daemon whose interface is gone as if it ran, also when there is another one of that name. */
function indexFault(wanted: StartedSyncDaemon, started: StartedSyncDaemon | undefined): string | undefined {
  const known = started !== undefined && sameDaemon(started, wanted) ? started.interfaceIndex : undefined;
  if (known === wanted.interfaceIndex) return undefined;
  return known === undefined
    ? `${nameOf(wanted)} was started by another program`
    : `${nameOf(wanted)} is deaf: the interface was made anew since it started`;
}

export function sameDaemon(a: SyncDaemon, b: SyncDaemon): boolean {
  return a.state === b.state && a.interface === b.interface && a.syncid === b.syncid;
}

function nameOf({ state, interface: name, syncid }: SyncDaemon): string {
  return `the ${state} sync daemon on ${name} with syncid ${syncid}`;
}
