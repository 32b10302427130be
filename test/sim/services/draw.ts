/** Draws a history: the files that the operator goes through, and what is done to the host when. All from one seed. */
import {
  type DirectorConfig,
  type IpvsSettings,
  NO_IPVS_SETTINGS,
  type TrackedObject,
} from '../../../src/config/model.js';
import {
  type HealthCheck,
  type HealthChecks,
  type RealServer,
  type VirtualServer,
} from '../../../src/config/model-servers.js';
import { OVERRIDE_ACTIONS, type OverrideOrder } from '../../../src/planning/overrides.js';
import { Random } from '../simulator/random.js';

export const INSTANCE = 'outside';
export const OBJECT = 'disk';
export const SYNC_INTERFACE = 'eth0';
/** Each by its own: a director that stands still for so long has been told of everything. */
export const ACTIONS_MS = 120_000;
/** Of the address that no real server has. */
export const SORRY_SERVER = '10.0.0.99';
/** Of real servers; a second check of some goes to the other. */
export const SERVICE_PORT = 80;
const OTHER_PORT = 81;
const CHECKS_STREAM = 0xc4ec5;
const VARIANTS = 3;
const MOST_SERVERS = 4;
const MOST_REAL_SERVERS = 5;
const FLAP_REFUSALS = 3;

export type Action =
  | { readonly kind: 'reload'; readonly variant: number }
  | { readonly kind: 'role'; readonly master: boolean }
  /** A port of a real server goes or comes. */
  | { readonly kind: 'flap'; readonly address: string; readonly port: number }
  /** The checks of a real server that may ask for a weight now ask for this one; undefined: for that of the file. */
  | { readonly kind: 'weigh'; readonly address: string; readonly weight: number | undefined }
  | { readonly kind: 'object' }
  /** The operator says something of a real server. */
  | { readonly kind: 'order'; readonly order: OverrideOrder }
  /** The services process dies; its parent starts it again after `downMs`. */
  | { readonly kind: 'crash'; readonly downMs: number }
  /** Somebody at the shell: empties the table, takes one virtual server, adds a real server, changes weights, adds his own. */
  | { readonly kind: 'foreign'; readonly what: 'clear' | 'delete' | 'destination' | 'weight' | 'service' }
  | { readonly kind: 'daemon'; readonly what: 'stop' | 'interface' }
  /** The kernel refuses some changes for so long. */
  | { readonly kind: 'refuse'; readonly forMs: number }
  /** The state file cannot be written for so long. */
  | { readonly kind: 'disk-full'; readonly forMs: number };

export interface Timed {
  readonly atMs: number;
  readonly action: Action;
}

export interface HistoryPlan {
  readonly variants: readonly DirectorConfig[];
  readonly actions: readonly Timed[];
  /** At the end the director is stopped, and a successor has the role or not. */
  readonly succeeded: boolean;
  /** Greatest time of one question to the kernel, and of one write. */
  readonly workMs: number;
}

export function drawHistory(seed: number, number: number): HistoryPlan {
  const random = new Random(seed, number);
  // What a stranger made is gone when its time is over, in each variant or in none.
  const exclusive = random.chance(0.2);
  const checks = new Random(seed ^ CHECKS_STREAM, number);
  const variants = Array.from({ length: VARIANTS }, () => drawConfig(random, checks, exclusive));
  const actions: Timed[] = [];
  const count = random.whole(3, 14);
  // Without its state file a process that dies forgets what is its own: not both in one history.
  const diskFull = random.chance(0.2);
  for (let i = 0; i < count; i++) {
    const atMs = random.between(0, ACTIONS_MS);
    actions.push({ atMs, action: drawAction(random, diskFull) });
    // Between any two steps of what follows from it.
    if (!diskFull && random.chance(0.4)) {
      const downMs = random.magnitude(1, 5000);
      actions.push({ atMs: atMs + random.magnitude(0.05, 500), action: { kind: 'crash', downMs } });
      // And what it was about is over when the next one starts.
      if (random.chance(0.5)) actions.push({ atMs: atMs + 500, action: drawAction(random, diskFull) });
    }
  }
  for (let i = checks.whole(0, 3); i > 0; i--) {
    actions.push({ atMs: checks.between(0, ACTIONS_MS), action: drawCheckAction(checks) });
  }
  const sorted = actions.sort((a, b) => a.atMs - b.atMs);
  return { variants, actions: sorted, succeeded: random.chance(0.5), workMs: random.magnitude(0.05, 20) };
}

/**
 * A master whose real servers come and go, `count` times, at any moment of a probe, and whose kernel refuses now and then;
 * nothing else happens.
 */
export function drawFlaps(seed: number, number: number, count: number): HistoryPlan {
  const random = new Random(seed, number);
  const checks = new Random(seed ^ CHECKS_STREAM, number);
  const servers = Array.from({ length: MOST_SERVERS }, (_, i) => drawServer(random, checks, i + 1));
  const flaps = Array.from({ length: count }, (): Timed => {
    const address = realServerAddress(random.whole(1, MOST_REAL_SERVERS));
    const port = random.pick([SERVICE_PORT, SERVICE_PORT, SERVICE_PORT, OTHER_PORT]);
    return { atMs: random.between(0, ACTIONS_MS), action: { kind: 'flap', address, port } };
  });
  const refusals = Array.from({ length: FLAP_REFUSALS }, (): Timed => {
    return {
      atMs: random.between(0, ACTIONS_MS),
      action: { kind: 'refuse', forMs: random.magnitude(10, 10_000) },
    };
  });
  const master: Timed = { atMs: 0, action: { kind: 'role', master: true } };
  return {
    variants: [{ ...drawConfig(random, checks, false), virtualServers: servers }],
    actions: [master, ...[...flaps, ...refusals].sort((a, b) => a.atMs - b.atMs)],
    succeeded: random.chance(0.5),
    workMs: random.magnitude(0.05, 20),
  };
}

function drawAction(random: Random, diskFull: boolean): Action {
  const kind = random.weighted<Exclude<Action['kind'], 'weigh'>>([
    [3, 'reload'],
    [4, 'role'],
    [6, 'flap'],
    [1, 'object'],
    [3, 'order'],
    [3, 'foreign'],
    [1, 'daemon'],
    [2, 'refuse'],
    [diskFull ? 3 : 0, 'disk-full'],
    [diskFull ? 0 : 2, 'crash'],
  ]);
  switch (kind) {
    case 'reload':
      return { kind, variant: random.whole(0, VARIANTS - 1) };
    case 'role':
      return { kind, master: random.chance(0.6) };
    case 'flap':
      return {
        kind,
        address: realServerAddress(random.whole(1, MOST_REAL_SERVERS)),
        port: SERVICE_PORT,
      };
    case 'object':
      return { kind };
    case 'order':
      return { kind, order: drawOrder(random) };
    case 'crash':
      return { kind, downMs: random.magnitude(1, 5000) };
    case 'foreign':
      return { kind, what: random.pick(['clear', 'delete', 'destination', 'weight', 'service']) };
    case 'daemon':
      return { kind, what: random.pick(['stop', 'interface']) };
    default:
      return { kind, forMs: random.magnitude(10, 10_000) };
  }
}

/** Of the checks: the other port of a real server goes or comes, or another weight is asked for. */
function drawCheckAction(random: Random): Action {
  const address = realServerAddress(random.whole(1, MOST_REAL_SERVERS));
  if (random.chance(0.5)) return { kind: 'flap', address, port: OTHER_PORT };
  return { kind: 'weigh', address, weight: random.chance(0.2) ? undefined : random.whole(0, 9) };
}

function drawOrder(random: Random): OverrideOrder {
  return {
    action: random.pick([...OVERRIDE_ACTIONS]),
    virtualServer: random.chance(0.5) ? null : `web-${random.whole(1, MOST_SERVERS)}`,
    address: realServerAddress(random.whole(1, MOST_REAL_SERVERS)),
    port: random.chance(0.5) ? null : SERVICE_PORT,
    weight: random.chance(0.3) ? null : random.whole(0, 3),
  };
}

export function realServerAddress(number: number): string {
  return `10.0.0.${number}`;
}

function drawConfig(random: Random, checks: Random, exclusive: boolean): DirectorConfig {
  const count = random.whole(0, MOST_SERVERS);
  const numbers = Array.from({ length: MOST_SERVERS }, (_, i) => i + 1).slice(0, count);
  const tracked: TrackedObject = {
    name: OBJECT,
    kind: { type: 'file', path: '/tracked' },
    intervalMs: 1000,
    rise: random.whole(1, 2),
    fall: random.whole(1, 2),
    debounceMs: 0,
  };
  return {
    director: 'lb1',
    peers: [],
    saysVrrp: true,
    instances: [],
    syncGroups: [],
    tracked: random.chance(0.5) ? [tracked] : [],
    hooks: [],
    permanentAddresses: false,
    connectionSync: random.chance(0.6) ? { interface: SYNC_INTERFACE, id: random.whole(1, 2) } : undefined,
    peerChannel: undefined,
    ipvs: { ...(random.chance(0.3) ? drawIpvs(random) : NO_IPVS_SETTINGS), exclusive },
    virtualServers: numbers.map((number) => drawServer(random, checks, number)),
    masquerades: [],
    metrics: undefined,
  };
}

function drawIpvs(random: Random): Omit<IpvsSettings, 'exclusive'> {
  const some = () => (random.chance(0.5) ? 0 : random.whole(1, 1000));
  return {
    timeouts: { tcpSeconds: some(), tcpFinSeconds: some(), udpSeconds: some() },
    sysctls: random.chance(0.5) ? { expire_nodest_conn: '0' } : {},
  };
}

const WEIGHING = { type: 'command', command: ['/check'], user: undefined, exitStatusWeight: true } as const;

/** Its times and limits; what else there is to a check is of `checks`. */
function drawCheck(random: Random, checks: Random, port: number | undefined): HealthCheck {
  return {
    kind: checks.chance(0.3) ? WEIGHING : { type: 'tcp' },
    port,
    intervalMs: random.whole(1, 4) * 500,
    timeoutMs: random.whole(1, 4) * 100,
    rise: random.whole(1, 3),
    fall: random.whole(1, 3),
    retry: checks.pick([0, 0, 0, 2]),
    delayBeforeRetryMs: checks.whole(1, 4) * 100,
  };
}

function drawChecks(random: Random, checks: Random): HealthChecks {
  const all = [drawCheck(random, checks, undefined)];
  if (checks.chance(0.4)) all.push(drawCheck(checks, checks, OTHER_PORT));
  return { needs: checks.pick(['any', 'all'] as const), checks: all };
}

function drawServer(random: Random, checks: Random, number: number): VirtualServer {
  const healthChecks = drawChecks(random, checks);
  const drawn: Pick<RealServer, 'address' | 'weight'>[] = [];
  for (let i = 1; i <= MOST_REAL_SERVERS; i++) {
    const weight = random.weighted([
      [6, 1],
      [2, 5],
      [1, 0],
    ]);
    if (random.chance(0.6)) drawn.push({ address: realServerAddress(i), weight });
  }
  const protocol = random.pick(['tcp', 'udp'] as const);
  const scheduler = random.pick(['rr', 'wlc'] as const);
  const forwarding = random.pick(['nat', 'dr', 'fullnat'] as const);
  const whole = (real: Pick<RealServer, 'address' | 'weight'>): RealServer => ({
    ...real,
    port: SERVICE_PORT,
    forwarding,
    tunnel: undefined,
    upperThreshold: 0,
    lowerThreshold: 0,
  });
  const persistence = { timeoutMs: 60_000, netmask: '255.255.255.255', engine: undefined };
  const hasSorry = random.chance(0.3);
  return {
    name: `web-${number}`,
    service: { protocol, address: `192.0.2.${number}`, port: 80 },
    scheduler,
    schedulerFlags: [],
    onePacket: false,
    forwarding,
    persistence: random.chance(0.2) ? persistence : undefined,
    healthChecks: random.chance(0.7) ? healthChecks : undefined,
    vrrpInstance: random.chance(0.6) ? INSTANCE : undefined,
    realServers: drawn.map(whole),
    snatAddress: random.chance(0.5) ? '10.0.0.254' : undefined,
    sorryServer: hasSorry ? whole({ address: SORRY_SERVER, weight: 1 }) : undefined,
    quorum: { up: random.pick([1, 1, 2]), hysteresis: 0 },
    panicThreshold: hasSorry ? 0 : random.pick([0, 0, 0.5]),
    slowStartMs: random.pick([0, 0, 3000]),
    onFailure: random.pick(['remove', 'weight_zero']),
    drainMs: random.pick([0, 5000, 30_000]),
  };
}
