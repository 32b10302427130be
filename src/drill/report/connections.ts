/** What became of the client's connections, by kind. Pure. */
import {
  CONNECTION_KINDS,
  type ConnectionKind,
  type ConnectionUse,
  type FlowRequest,
  type OpenedConnection,
  type PortAnswer,
  type VerifiedConnection,
} from '../client/client-protocol.js';
import type { Services } from '../lab/topology.js';
import type { Span } from './measure.js';

export interface ConnectionsOfKind {
  readonly opened: number;
  readonly survived: number;
}

/** Those of TCP over IPv4 are in every topology. */
export type Connections = Readonly<
  Record<ConnectionUse, ConnectionsOfKind> &
    Partial<Record<Exclude<ConnectionKind, ConnectionUse>, ConnectionsOfKind>>
>;

/** The kinds that any of the scenarios has, in the order in which they are shown. */
export function kindsOf(scenarios: readonly { readonly connections: Connections }[]): ConnectionKind[] {
  return CONNECTION_KINDS.filter((kind) =>
    scenarios.some(({ connections }) => connections[kind] !== undefined),
  );
}

/** A connection's name: ports alone are none, since IPv4, IPv6 and UDP count them apart. */
export function nameOf({ kind, port, client }: OpenedConnection): string {
  return `${kind} ${client ?? port}`;
}

/** Counts the connections that were asked; those that ended with their dead real server were not, and do not count. */
export function countConnections(
  { ipv6, udp, persistent }: Services,
  opened: readonly OpenedConnection[],
  verified: readonly VerifiedConnection[],
): Connections {
  const counted = new Set(verified.map(nameOf));
  const countOf = (kind: ConnectionKind): ConnectionsOfKind => ({
    opened: opened.filter((one) => one.kind === kind && counted.has(nameOf(one))).length,
    survived: verified.filter((one) => one.kind === kind && one.survived).length,
  });
  return {
    busy: countOf('busy'),
    'one-request': countOf('one-request'),
    idle: countOf('idle'),
    ...(ipv6 === undefined ? {} : { ipv6: countOf('ipv6') }),
    ...(udp === undefined ? {} : { udp: countOf('udp') }),
    ...(persistent === undefined ? {} : { persistent: countOf('persistent') }),
  };
}

/**
 * Clients of a service with persistence, by what its ports answered: opened when all of a client's answers were one real server's,
 * failed otherwise.
 */
export function persistentClients(answers: readonly PortAnswer[]): {
  readonly opened: readonly OpenedConnection[];
  readonly failed: readonly string[];
} {
  const opened: OpenedConnection[] = [];
  const failed: string[] = [];
  for (const client of new Set(answers.map((answer) => answer.client))) {
    const own = answers.filter((answer) => answer.client === client);
    const server = own[0]?.server ?? null;
    if (server !== null && own.every((answer) => answer.server === server)) {
      opened.push({ kind: 'persistent', port: 0, client, server });
    } else {
      failed.push(`persistent: ${client} was answered by ${whoAnswered(own)}`);
    }
  }
  return { opened, failed };
}

function whoAnswered(answers: readonly PortAnswer[]): string {
  return answers
    .map(({ port, server, error }) => `${server ?? `nobody (${error})`} at port ${port}`)
    .join(', ');
}

/** A client with persistence has survived when all ports are answered by the real server that it had. */
export function verifyClients(
  opened: readonly OpenedConnection[],
  answers: readonly PortAnswer[],
): VerifiedConnection[] {
  return opened.map((one) => {
    const own = answers.filter((answer) => answer.client === one.client);
    const survived = own.length > 0 && own.every((answer) => answer.server === one.server);
    const reason = survived ? '' : `${one.client} had ${one.server} and was answered by ${whoAnswered(own)}`;
    return { ...one, survived, reason };
  });
}

/** An answer this late may still be under way when the observation ends. */
const ANSWER_UNDER_WAY_MS = 1000;

/** The requests of `window` of which it is known whether they were answered, oldest first. */
export function settledRequests(requests: readonly FlowRequest[], window: Span): FlowRequest[] {
  return requests.filter(
    ({ sentMs, answeredMs }) =>
      sentMs >= window.fromMs &&
      sentMs <= window.toMs &&
      (answeredMs !== null || sentMs <= window.toMs - ANSWER_UNDER_WAY_MS),
  );
}

/**
 * Stretches in which every request was lost, from the first lost one to the next that was answered. A client that was not given a
 * processor sent nothing meanwhile, and so is not taken for a network that answers nothing.
 */
export function lostStretches(requests: readonly FlowRequest[], window: Span): Span[] {
  const spans: Span[] = [];
  let since: number | undefined;
  for (const { sentMs, answeredMs } of requests) {
    if (answeredMs === null) {
      since ??= sentMs;
    } else if (since !== undefined) {
      spans.push({ fromMs: since, toMs: sentMs });
      since = undefined;
    }
  }
  return since === undefined ? spans : [...spans, { fromMs: since, toMs: window.toMs }];
}

/**
 * A request that was under way when the fault came is lost by it, from then on: in a lab whose processor is busy, an answer takes
 * half a second.
 */
export function lostBy(spans: readonly Span[], faultMs: number): Span[] {
  return spans.map((span) => {
    const wasUnderWay = span.fromMs < faultMs && faultMs - span.fromMs <= ANSWER_UNDER_WAY_MS;
    return wasUnderWay ? { ...span, fromMs: Math.min(faultMs, span.toMs) } : span;
  });
}

/**
 * A flow has survived when a request sent since `askedMs` was answered, and none since the fault by another real server than the one
 * that it had.
 */
export function verifyFlows(
  opened: readonly OpenedConnection[],
  requests: readonly FlowRequest[],
  faultMs: number,
  askedMs: number,
): VerifiedConnection[] {
  return opened.map((one) => {
    const own = requests.filter(({ port, sentMs }) => port === one.port && sentMs >= faultMs);
    const other = own.find(({ server }) => server !== null && server !== one.server);
    const answered = own.some(({ sentMs, server }) => sentMs >= askedMs && server !== null);
    let reason = '';
    if (other !== undefined) {
      reason = `it had ${one.server} and was answered by ${other.server}`;
    } else if (!answered) {
      reason = 'no answer any more';
    }
    return { ...one, survived: reason === '', reason };
  });
}

/**
 * How long after `sinceMs` the last request of a dead real server's flows was lost, before another one answered; null when one of
 * them was not answered again.
 */
export function movedAfterMs(
  flows: readonly OpenedConnection[],
  requests: readonly FlowRequest[],
  sinceMs: number,
): number | null {
  const last = flows.map(({ port, server }) => {
    const own = requests.filter((request) => request.port === port && request.sentMs >= sinceMs);
    const first = own.findIndex((request) => request.server !== null && request.server !== server);
    // Of a client that was not given a processor nothing was lost meanwhile.
    return first < 0 ? undefined : (own.slice(0, first).at(-1)?.sentMs ?? sinceMs);
  });
  return last.every((atMs) => atMs !== undefined) ? Math.max(0, ...last.map((atMs) => atMs - sinceMs)) : null;
}
