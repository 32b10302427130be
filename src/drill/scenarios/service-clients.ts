/** Clients of the virtual servers that a topology has beside its first one. */
import type { OpenedConnection, VerifiedConnection } from '../client/client-protocol.js';
import type { Services } from '../lab/topology.js';
import { persistentClients, verifyClients } from '../report/connections.js';
import type { ServicesReport } from '../report/report.js';
import type { Bench } from './site.js';

/** UDP ports that ask, each so often: together they ask every 50 ms. */
const UDP_FLOWS = 10;
const UDP_EVERY_MS = 500;
/** Connections over IPv6, of each use: together as many as one kind has over IPv4. */
const IPV6_SHARE = 3;
/** New connections that show who serves. */
const SORRY_COUNT = 4;

/** Who answered where the dead real server is the only one. */
export type SorryCourse = NonNullable<ServicesReport['sorry_server']>;

interface Opened {
  readonly opened: readonly OpenedConnection[];
  readonly failed: readonly string[];
}

const NONE: Opened = { opened: [], failed: [] };

/** Opens what the topology's other virtual servers are judged by. */
export async function openServices(bench: Bench): Promise<Opened> {
  const { connections, topology } = bench.options;
  const { ipv6, udp } = topology.services ?? {};
  const all: Opened[] = [
    await openPersistentClients(bench),
    ipv6 === undefined
      ? NONE
      : await bench.client.send({
          command: 'open',
          address: ipv6,
          port: topology.port,
          count: Math.ceil(connections / IPV6_SHARE),
        }),
    udp === undefined
      ? NONE
      : await bench.client.send({ command: 'flows-open', ...udp, count: UDP_FLOWS, everyMs: UDP_EVERY_MS }),
  ];
  return { opened: all.flatMap((one) => one.opened), failed: all.flatMap((one) => one.failed) };
}

async function openPersistentClients(bench: Bench): Promise<Opened> {
  const { persistent } = bench.options.topology.services ?? {};
  if (persistent === undefined) {
    return NONE;
  }
  const { answers } = await bench.client.send({ command: 'ask-from', ...persistent });
  return persistentClients(answers);
}

/**
 * Asks for them again. Those of one real server ask one after the other: a director that does not know them deals them out anew,
 * and is seen by that.
 */
export async function verifyPersistentClients(
  bench: Bench,
  opened: readonly OpenedConnection[],
): Promise<readonly VerifiedConnection[]> {
  const { persistent } = bench.options.topology.services ?? {};
  if (persistent === undefined || opened.length === 0) {
    return [];
  }
  const inOrder = opened.toSorted((a, b) => (a.server ?? '').localeCompare(b.server ?? ''));
  const clients = inOrder.flatMap(({ client }) => client ?? []);
  const { answers } = await bench.client.send({ command: 'ask-from', ...persistent, clients });
  return verifyClients(inOrder, answers);
}

/** Says which UDP flows have had no answer to what they asked since `sinceMs`; undefined when all have. */
export async function unansweredFlows(
  bench: Bench,
  flows: readonly OpenedConnection[],
  sinceMs: number,
): Promise<string | undefined> {
  if (flows.length === 0) {
    return undefined;
  }
  const { requests } = await bench.client.send({ command: 'flows-requests' });
  const answered = new Set(
    requests.filter(({ sentMs, server }) => sentMs >= sinceMs && server !== null).map(({ port }) => port),
  );
  const lacking = flows.filter(({ port }) => !answered.has(port));
  return lacking.length === 0 ? undefined : `${lacking.length} UDP flows without an answer`;
}

/** How many new connections each server answered, where a sorry server stands in; empty where the topology has none. */
export async function askSorryService(bench: Bench): Promise<Readonly<Record<string, number>>> {
  const { sorry } = bench.options.topology.services ?? {};
  if (sorry === undefined) {
    return {};
  }
  const { address, port } = sorry;
  const { servers, failed } = await bench.client.send({
    command: 'spread',
    address,
    port,
    count: SORRY_COUNT,
  });
  return failed === 0 ? servers : { ...servers, nobody: failed };
}

/** The sorry server has to answer while the only real server is dead, and neither before nor after. */
export function sorryComplaints({ sorry }: Services, realServer: string, course: SorryCourse): string[] {
  if (sorry === undefined) {
    return [];
  }
  const wanted = { before: realServer, meanwhile: sorry.server, after: realServer };
  const when = { before: 'beforehand', meanwhile: `while ${realServer} was dead`, after: 'after its return' };
  return (['before', 'meanwhile', 'after'] as const)
    .filter((phase) => Object.keys(course[phase]).join() !== wanted[phase])
    .map(
      (phase) =>
        `${sorry.address}:${sorry.port} was answered by ${Object.keys(course[phase]).join(' and ')} ${when[phase]}, not by ${wanted[phase]}`,
    );
}
