/** The real servers of `npm run bench:checks`: who they are, how some of them die, and when each is due to be probed. */
import type { HealthCheck, RealServer, VirtualServer } from '../../../src/config/model-servers.js';
import { createHealth, stepHealth } from '../../../src/health/health.js';
import { httpCheck, realServer, tcpCheck, virtualServer } from '../../unit/config/servers.js';

/** All real servers are addresses of one host. */
export const SERVERS_NETWORK = '10.20.0.0/16';
export const INTERVAL_MS = 1000;
export const TIMEOUT_MS = 1000;
export const RISE = 2;
export const FALL = 3;

/** A probe this long after its slot is late. */
export const LATE_MS = 200;

export const KINDS = ['tcp', 'http'] as const;
export type Kind = (typeof KINDS)[number];
/** Nobody listens any more; no packet is answered; the program takes the connection and says nothing, which a TCP check cannot see. */
export const DEATHS = ['refused', 'silent', 'mute'] as const;
export type Death = (typeof DEATHS)[number];
/** Of each kind and death. */
export const VICTIMS = 10;

/** How many there are of each kind, 1 to 20,000 together. */
export type Counts = Readonly<Record<Kind, number>>;

export interface Victim extends Pick<RealServer, 'address' | 'port'> {
  readonly kind: Kind;
  readonly death: Death;
}

const CHECKS: Readonly<Record<Kind, HealthCheck>> = {
  tcp: tcpCheck({ intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS, rise: RISE, fall: FALL }),
  http: tcpCheck({
    kind: httpCheck(),
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
    rise: RISE,
    fall: FALL,
  }),
};
const PORTS: Readonly<Record<Kind, number>> = { tcp: 7000, http: 8000 };

/** What dies together has a port of its own. */
export function portOf(kind: Kind, death: Death | undefined): number {
  return PORTS[kind] + (death === undefined ? 0 : 1 + DEATHS.indexOf(death));
}

export function deathsOf(kind: Kind): readonly Death[] {
  return kind === 'tcp' ? ['refused', 'silent'] : DEATHS;
}

/** The first of each kind are the victims. */
function serversOf(kind: Kind, counts: Counts): RealServer[] {
  const first = kind === 'tcp' ? 0 : counts.tcp;
  return Array.from({ length: counts[kind] }, (_, i) => {
    const number = first + i + 1;
    const port = portOf(kind, deathsOf(kind)[Math.floor(i / VICTIMS)]);
    return realServer(`10.20.${number >> 8}.${number & 0xff}`, { port });
  });
}

/** One virtual server of each kind. */
export function checkedServers(counts: Counts): VirtualServer[] {
  return KINDS.map((kind) =>
    virtualServer({
      name: kind,
      healthChecks: { needs: 'all', checks: [CHECKS[kind]] },
      realServers: serversOf(kind, counts),
    }),
  );
}

export function victims(counts: Counts): Victim[] {
  return KINDS.flatMap((kind) =>
    deathsOf(kind).flatMap((death) =>
      serversOf(kind, counts)
        .filter(({ port }) => port === portOf(kind, death))
        .map(({ address, port }) => ({ kind, death, address, port })),
    ),
  );
}

/**
 * When each is due to be probed, by `ADDRESS PORT`: milliseconds of CLOCK_MONOTONIC modulo the interval. The machine itself
 * tells, for whom each wake is in time and each answer comes at once.
 */
export function slots(counts: Counts): Map<string, number> {
  const found = new Map<string, number>();
  // The first probes of a start are not in their slots yet.
  let nowMs = 0;
  let step = createHealth(checkedServers(counts), nowMs);
  while (nowMs < 3 * INTERVAL_MS) {
    for (const effect of step.effects) {
      if (effect.type !== 'probe') continue;
      found.set(`${effect.address} ${effect.port}`, nowMs % INTERVAL_MS);
      stepHealth(step.state, { type: 'outcome', id: effect.id, ok: true }, nowMs);
    }
    // Without a pause the next are due now.
    step = stepHealth(step.state, { type: 'deadline' }, nowMs);
    if (step.effects.length === 0) nowMs = step.deadlineMs ?? Number.POSITIVE_INFINITY;
  }
  return found;
}
