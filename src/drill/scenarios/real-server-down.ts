/** The scenario in which a real server dies and comes back. */
import type { OpenedConnection } from '../client/client-protocol.js';
import { settles, sleep } from '../wait.js';
import { serversOf } from './known-connections.js';
import { lackingForHealth } from './readiness.js';
import {
  type Course,
  QUIET_MS,
  type Setting,
  STATUS_EVERY_MS,
  step,
  toldOf,
  verify,
} from './scenario-parts.js';
import { askSorryService, sorryComplaints } from './service-clients.js';
import type { Bench } from './site.js';

const HEALTH_TIMEOUT_MS = 30_000;
/** From a director's word that a server is out to the kernel's table without it. */
const TAKEN_OUT_GRACE_MS = 250;
/** For all connections to be seen in the kernel's table. */
const TABLE_TIMEOUT_MS = 5000;
/** New connections that show that a real server is used again. */
const SPREAD_COUNT = 12;

/** A kernel's table that changes while it is read may show a connection in the next reading alone. */
async function serversOfAll(
  bench: Bench,
  { opened, pair }: Setting,
): Promise<ReadonlyMap<OpenedConnection, string>> {
  const asked = toldOf(opened).filter(({ server }) => server === undefined);
  const found = new Map<OpenedConnection, string>();
  await settles(
    async () => {
      for (const [one, server] of await serversOf(bench.lab, pair.master.name, asked)) found.set(one, server);
      return found.size < asked.length ? `${found.size} of ${asked.length}` : undefined;
    },
    { timeoutMs: TABLE_TIMEOUT_MS, everyMs: STATUS_EVERY_MS, signal: bench.options.signal },
  );
  return found;
}

/** Kills the last real server's program, waits until it is out, starts it again and waits until it is in. */
export async function runRealServerDown(bench: Bench, setting: Setting): Promise<Course> {
  const { progress, signal, topology } = bench.options;
  const victim = bench.lab.hosts('real-server').at(-1);
  if (victim === undefined) {
    throw new TypeError(`topology ${topology.name} has no real server`);
  }
  const addresses = victim.cables
    .flatMap(({ address, ipv6 }) => [address, ...(ipv6 === undefined ? [] : [ipv6])])
    .map((address) => address.split('/')[0] ?? address);
  const limits = { timeoutMs: HEALTH_TIMEOUT_MS, everyMs: STATUS_EVERY_MS, signal };
  const complaints: string[] = [];
  const servers = await serversOfAll(bench, setting);
  const isOfVictim = (one: OpenedConnection): boolean =>
    one.server === undefined ? addresses.includes(servers.get(one) ?? '') : one.server === victim.name;
  const others = setting.opened.filter((one) => !isOfVictim(one));
  const before = await askSorryService(bench);
  const faultMs = Date.now();
  bench.observe(faultMs, 'drill', `the server program of ${victim.name} is killed`);
  await bench.killServer(victim.name);
  step(bench, setting, `${victim.name} is dead; waiting for both directors to take it out`);
  const out = await settles(async () => lackingForHealth(await bench.statuses(), addresses, 'down'), limits);
  const takenOutMs = out.done ? Date.now() : null;
  if (takenOutMs === null) {
    complaints.push(`${victim.name} was not taken out: ${out.lacking}`);
  } else {
    bench.observe(takenOutMs, 'drill', `both directors have taken ${victim.name} out`);
  }
  step(bench, setting, 'asking every connection of the other server for an answer');
  const asked = await verify(bench, others);
  await sleep(QUIET_MS, signal);
  const meanwhile = await askSorryService(bench);
  step(bench, setting, `${victim.name} is started again`);
  await bench.startServer(victim.name);
  const startedMs = Date.now();
  bench.observe(startedMs, 'drill', `the server program of ${victim.name} runs again`);
  const back = await settles(async () => lackingForHealth(await bench.statuses(), addresses, 'up'), limits);
  const takenInMs = back.done ? Date.now() : null;
  if (takenInMs === null) {
    complaints.push(`${victim.name} was not taken in again: ${back.lacking}`);
  } else {
    bench.observe(takenInMs, 'drill', `both directors have taken ${victim.name} in`);
    await sleep(TAKEN_OUT_GRACE_MS, signal);
    const spread = await bench.client.send({
      command: 'spread',
      address: topology.vip,
      port: topology.port,
      count: SPREAD_COUNT,
    });
    progress.step(`${topology.name}: new connections went to ${JSON.stringify(spread.servers)}`);
    if ((spread.servers[victim.name] ?? 0) === 0) {
      complaints.push(`of ${SPREAD_COUNT} new connections none went to ${victim.name} after its return`);
    }
  }
  const sorry = { before, meanwhile, after: await askSorryService(bench) };
  complaints.push(...sorryComplaints(topology.services ?? {}, victim.name, sorry));
  const realServer = {
    name: victim.name,
    downFromMs: faultMs,
    takenOutMs,
    startedMs,
    takenInMs,
    endedConnections: setting.opened.filter((one) => one.server === undefined && isOfVictim(one)).length,
    sorry: topology.services?.sorry === undefined ? undefined : sorry,
  };
  // Half of the new requests meet the dead server until it is out, and none before or afterwards.
  const excuse = {
    of: 'all',
    fromMs: faultMs - TAKEN_OUT_GRACE_MS,
    toMs: takenOutMs === null ? Infinity : takenOutMs + TAKEN_OUT_GRACE_MS,
  } as const;
  return { faultMs, takeoverMs: null, ...asked, complaints, realServer, excuse };
}
