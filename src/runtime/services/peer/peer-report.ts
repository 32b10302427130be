/** What is told of a peer, out of what is known. Pure. */
import { CONDITION_WORDS, conditionOf, differingSections } from '../../../peer/condition.js';
import type { GatewayVerdict, Hello, PeerRole } from '../../../peer/hello.js';
import type { PeerReport } from '../../peer-status.js';
import type { Count } from './table-counter.js';

export interface Own {
  readonly director: string;
  readonly sections: Readonly<Record<string, string>>;
  readonly roles: readonly PeerRole[];
  readonly hearsMaster: boolean;
  readonly gateway: GatewayVerdict;
  readonly held: Count | undefined;
}

export interface KnownPeer {
  readonly name: string;
  readonly address: string;
  readonly isUp: boolean;
  readonly sinceMs: number;
  readonly hello: { readonly said: Hello; readonly atMs: number } | undefined;
  readonly roundTripMs: number | undefined;
  readonly clockOffsetMs: number | undefined;
}

export function peerReport(peer: KnownPeer, own: Own, nowMs: number): PeerReport {
  const { hello } = peer;
  const differing = hello === undefined ? [] : differingSections(own.sections, hello.said.sections);
  const condition = conditionOf({
    isUp: peer.isUp,
    forMs: nowMs - peer.sinceMs,
    hello: hello?.said,
    isSameVrrp: !differing.includes('vrrp'),
    roles: own.roles,
    hearsMaster: own.hearsMaster,
    gateway: own.gateway,
  });
  return {
    name: peer.name,
    address: peer.address,
    condition,
    text: CONDITION_WORDS[condition],
    since_s: Math.max(0, Math.floor((nowMs - peer.sinceMs) / 1000)),
    version: hello?.said.version ?? null,
    differing_sections: differing,
    clock_offset_ms: rounded(peer.clockOffsetMs),
    round_trip_ms: peer.roundTripMs === undefined ? null : Math.round(peer.roundTripMs * 1000) / 1000,
    connections: hello?.said.table?.connections ?? null,
    complete: hello?.said.isComplete ?? null,
    coverage: peer.isUp ? coverageOf(peer.name, hello, own, nowMs) : null,
  };
}

function coverageOf(
  name: string,
  hello: KnownPeer['hello'],
  { director, roles, held }: Own,
  nowMs: number,
): PeerReport['coverage'] {
  if (hello?.said.table === undefined || held === undefined) return null;
  const isOursMaster = roles.includes('master');
  const isTheirsMaster = hello.said.roles.includes('master');
  if (isOursMaster === isTheirsMaster) return null;
  const theirs = hello.said.table;
  const [backup, master] = isOursMaster ? [theirs, held] : [held, theirs];
  const of = Math.max(0, master.established - master.fresh);
  const has = backup.established;
  const ageMs = Math.max(nowMs - hello.atMs + hello.said.table.ageMs, nowMs - held.atMs);
  return {
    of: isOursMaster ? name : director,
    percent: of === 0 ? 100 : Math.min(100, Math.floor((1000 * has) / of) / 10),
    age_s: Math.max(0, Math.floor(ageMs / 1000)),
  };
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value);
}
