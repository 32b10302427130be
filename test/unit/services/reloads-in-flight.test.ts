/** Reloads that make probes pointless which are under way, with real sockets: nothing of them is left. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { CheckKind } from '../../../src/config/model-servers.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { httpCheck, oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';
import { FakeKernel, running } from './fake-kernel.js';

const RELOADS = 200;
/** When everything that is made once is there. */
const SETTLED_AFTER = 20;
/** Of each kind; real servers of one host, by their ports. */
const SERVERS = 10;
/** Longer than a reload: the probes are still under way. */
const TIMEOUT_MS = 60_000;
/** What may be left of 180 reloads, for a heap is never the same; one target kept for each of their 9,000 probes is more. */
const MOST_GROWTH_BYTES = 4_000_000;
const SETTLES_WITHIN_MS = 30_000;

const TLS = {
  serverName: undefined,
  verify: false,
  caFile: undefined,
  minVersion: undefined,
  maxVersion: undefined,
};
const KINDS: Readonly<Record<string, { readonly kind: CheckKind; readonly over: 'tcp' | 'udp' }>> = {
  tcp: { kind: { type: 'tcp' }, over: 'tcp' },
  http: { kind: httpCheck(), over: 'tcp' },
  https: { kind: httpCheck({ tls: TLS }), over: 'tcp' },
  udp: { kind: { type: 'udp', send: '00', expect: undefined }, over: 'udp' },
  dns: { kind: { type: 'dns', name: 'web.example', recordType: 'A' }, over: 'udp' },
};
/** All but tcp, whose probes are done in a turn or two. */
const HANGING_KINDS = 4;
/** As the host answers. */
const BAD_KINDS = 3;

/** Takes what is sent, and answers when it is told to. */
class SlowHost {
  readonly #servers: Server[] = [];
  readonly #sockets: UdpSocket[] = [];
  /** What ends each question of a reload, in the order of reloads. */
  #asked: (() => void)[] = [];

  async open(): Promise<{ tcp: number[]; udp: number[] }> {
    const ports: { tcp: number[]; udp: number[] } = { tcp: [], udp: [] };
    for (let i = 0; i < SERVERS; i += 1) {
      const server = createServer((socket) => this.#connected(socket));
      const socket = createSocket('udp4');
      socket.on('message', (message, from) => this.#received(socket, message, from));
      this.#servers.push(server.listen(0, '127.0.0.1'));
      this.#sockets.push(socket.bind(0, '127.0.0.1'));
      await Promise.all([once(server, 'listening'), once(socket, 'listening')]);
      ports.tcp.push((server.address() as AddressInfo).port);
      ports.udp.push(socket.address().port);
    }
    return ports;
  }

  /** Questions that wait for an answer. A connection without a word is a TCP probe, and none. */
  get waiting(): number {
    return this.#asked.length;
  }

  /** Answers the first `count`. */
  answer(count: number): void {
    for (const end of this.#asked.splice(0, count)) end();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.close();
  }

  #connected(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => this.#asked.push(() => socket.destroy()));
    socket.resume();
  }

  #received(socket: UdpSocket, message: Buffer, from: RemoteInfo): void {
    const answer = Buffer.from(message);
    // Of a DNS question: QR, RD, RA and NXDOMAIN (RFC 1035 section 4.1.1).
    if (answer.length > 12) answer.writeUInt16BE(0x8183, 2);
    this.#asked.push(() => socket.send(answer, from.port, from.address));
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

async function until(done: () => boolean): Promise<boolean> {
  const endMs = performance.now() + SETTLES_WITHIN_MS;
  while (!done() && performance.now() < endMs) await setImmediate();
  return done();
}

await t.test(`${RELOADS} reloads with probes under way leave nothing`, async (t) => {
  const host = new SlowHost();
  t.teardown(() => host.close());
  const ports = await host.open();
  /** The interval makes each reload's checks others than those before. */
  const config = (reload: number) =>
    directorConfig({
      virtualServers: Object.entries(KINDS).map(([name, { kind, over }], index) =>
        virtualServer({
          name,
          service: { protocol: 'tcp', address: `192.0.2.${index + 1}`, port: 80 },
          healthChecks: oneCheck(
            tcpCheck({ kind, intervalMs: 2 * TIMEOUT_MS + reload, timeoutMs: TIMEOUT_MS }),
          ),
          realServers: ports[over].map((port) => realServer('127.0.0.1', { port })),
        }),
      ),
    });
  const resources = (): string[] => process.getActiveResourcesInfo().toSorted();
  await setImmediate();
  const before = { descriptors: descriptors(), resources: resources() };

  const kernel = new FakeKernel();
  const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });
  const { service, pass, lines, counted } = await running(config(0), {}, kernel, prober);
  const hanging = HANGING_KINDS * SERVERS;
  await pass(TIMEOUT_MS);
  t.ok(await until(() => host.waiting === hanging), 'probes are under way');
  let heapBytes = 0;
  for (let reload = 1; reload <= RELOADS; reload += 1) {
    await service.reconfigure(config(reload));
    // By the machine's clock alone: no real server is asked twice at a time.
    await pass(TIMEOUT_MS);
    if (!(await until(() => host.waiting === 2 * hanging))) {
      t.fail(`${host.waiting} probes wait after reload ${reload}`);
      break;
    }
    // Of the reload before: of no use to anybody.
    host.answer(hanging);
    // What the test itself keeps.
    lines.length = 0;
    kernel.ops.length = 0;
    if (reload === SETTLED_AFTER) {
      collect();
      heapBytes = process.memoryUsage().heapUsed;
    }
  }
  collect();
  const growth = process.memoryUsage().heapUsed - heapBytes;
  t.ok(growth < MOST_GROWTH_BYTES, `${growth} bytes more than after ${SETTLED_AFTER} reloads`);

  host.answer(hanging);
  const bad = (RELOADS + 1) * BAD_KINDS * SERVERS;
  await until(() => counted().probes.bad === bad);
  t.equal(counted().probes.bad, bad, 'each probe had its outcome');
  await service.stop(false);
  await until(() => descriptors() === before.descriptors && resources().join() === before.resources.join());
  t.equal(descriptors(), before.descriptors, 'as many descriptors as before');
  t.strictSame(resources(), before.resources, 'no timer and no socket');
});
