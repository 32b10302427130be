/** The simulator's guardian and the one in C let go of the same addresses at the same times, whatever they hear. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { VirtualAddress } from '../../src/config/model.js';
import { encodeOrders } from '../../src/io/vrrp/guardian-orders.js';
import type { GuardianFarewell, GuardianOrders } from '../../src/runtime/ports.js';
import { encodeAdvertisement } from '../../src/vrrp/packet.js';
import { freshSeed } from './fresh-seed.js';
import { EventQueue } from './simulator/event-queue.js';
import { Guardian, type GuardianHost, type GuardianWorld } from './simulator/guardian.js';
import { GROUP_ADDRESS, meaningOf, TTL } from './simulator/packet.js';
import { Random } from './simulator/random.js';

const SEQUENCES = 100_000;
/** Handed to the C program at once. */
const BATCH = 10_000;
const OWN = '192.0.2.1';
const PEERS = ['192.0.2.2', '192.0.2.3'] as const;
const FRAME_HEADER = 8;

interface Heard {
  readonly atMs: number;
  readonly interface: string;
  readonly source: string;
  readonly payload: Uint8Array;
}

interface Sequence {
  readonly orders: GuardianOrders;
  readonly sent: readonly boolean[];
  readonly heard: readonly Heard[];
}

function advertisement(router: number, priority: number, source: string): Uint8Array {
  return encodeAdvertisement(
    {
      version: 3,
      family: 'ipv4',
      virtualRouterId: router + 1,
      priority,
      advertisementIntervalMs: 1000,
      addresses: addressesOf(router).map(({ address }) => address),
    },
    { checksum: 'rfc5798', source, destination: GROUP_ADDRESS },
  );
}

function addressesOf(router: number): VirtualAddress[] {
  return [{ address: `198.51.100.${router + 1}`, prefixLength: 32, interface: interfaceOf(router) }];
}

function interfaceOf(router: number): string {
  return `eth${router % 2}`;
}

function farewellOf(router: number): GuardianFarewell {
  return {
    interface: interfaceOf(router),
    sendInterface: interfaceOf(router),
    source: OWN,
    destinations: [{ address: GROUP_ADDRESS, payload: advertisement(router, 0, OWN) }],
    udpPort: undefined,
    minTtl: TTL,
    virtualRouterId: router + 1,
    addresses: addressesOf(router),
    routes: [],
    rules: [],
  };
}

function drawSequence(random: Random): Sequence {
  const routers = Array.from({ length: random.whole(1, 4) }, (_, router) => router);
  const holdMs = Math.round(random.magnitude(50, 3000));
  const heard = Array.from({ length: random.whole(0, 6) }, () => {
    const router = random.whole(0, 4);
    const source = random.pick(PEERS);
    const priority = random.chance(0.3) ? 0 : random.whole(1, 254);
    const atMs = Math.round(random.between(0, 1.3 * holdMs));
    return { atMs, interface: interfaceOf(router), source, payload: advertisement(router, priority, source) };
  });
  return {
    orders: { farewells: routers.map(farewellOf), holdMs, leaseMs: 0 },
    sent: routers.map(() => random.chance(0.85)),
    heard: heard.toSorted((a, b) => a.atMs - b.atMs),
  };
}

/** `0@150 1@1250`: the numbers of the farewells with the times of their removal. */
function byTheModel({ orders, sent, heard }: Sequence): string {
  const queue = new EventQueue<() => void>();
  const gone: string[] = [];
  let nowMs = 0;
  const host: GuardianHost = {
    number: 0,
    clockRate: 1,
    standsStill: false,
    nowMs: () => nowMs,
    worldMs: (atMs) => atMs,
    guardianActs: () => {},
    release: (addresses) => {
      const number = orders.farewells.findIndex((farewell) => farewell.addresses === addresses);
      gone.push(`${number}@${nowMs}`);
    },
  };
  let asked = 0;
  const world: GuardianWorld = {
    get nowMs() {
      return nowMs;
    },
    at: (atMs, run) => queue.push(atMs, run),
    send: () => sent[asked++] ?? false,
    trace: () => {},
    count: () => {},
  };
  const guardian = new Guardian(host, world, () => {});
  guardian.order(orders);
  guardian.pipeClosed();
  const runUntil = (limitMs: number): void => {
    while (queue.nextMs <= limitMs) {
      nowMs = queue.nextMs;
      queue.pop()?.();
    }
    nowMs = limitMs;
  };
  for (const { atMs, source, payload } of heard) {
    runUntil(atMs);
    const meaning = meaningOf(payload, source);
    const router = meaning.virtualRouterId - 1;
    guardian.hear({
      router,
      from: 1,
      sentMs: atMs,
      source,
      destination: GROUP_ADDRESS,
      ttl: TTL,
      payload,
      advertisement: meaning,
    });
  }
  runUntil(Number.MAX_SAFE_INTEGER);
  return gone.join(' ');
}

function bytesOf({ orders, sent, heard }: Sequence): Buffer {
  const body = encodeOrders(orders, () => 1).subarray(FRAME_HEADER);
  return Buffer.concat([
    u32(body.length),
    body,
    Buffer.from(sent.map(Number)),
    u32(heard.length),
    ...heard.flatMap(({ atMs, interface: name, source, payload }) => [
      u32(atMs),
      Buffer.from([Number(name.slice(3)), TTL, ...bytesOfAddress(source), ...bytesOfAddress(GROUP_ADDRESS)]),
      Buffer.from([payload.length & 255, payload.length >> 8]),
      payload,
    ]),
  ]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function bytesOfAddress(text: string): number[] {
  return text.split('.').map(Number);
}

const folder = mkdtempSync(join(tmpdir(), 'guardian-replay-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
t.setTimeout(600_000);

void t.test(`${SEQUENCES} sequences of a fresh seed`, (t) => {
  const inProject = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
  const program = join(folder, 'guardian-replay');
  const sources = ['orders', 'successor', 'withdrawal', 'advertisement'].map((name) =>
    inProject(`native/${name}.c`),
  );
  const args = [
    '-std=gnu11',
    '-O1',
    '-D_GNU_SOURCE',
    inProject('test/sim/guardian-replay.c'),
    ...sources,
    '-o',
    program,
  ];
  const compiled = spawnSync(process.env['CC'] ?? 'cc', args, { timeout: 60_000 });
  t.equal(compiled.status, 0, compiled.stderr.toString());
  const seed = freshSeed();
  const random = new Random(seed);
  let different = 0;
  const removals = new Set<number>();
  for (let done = 0; done < SEQUENCES; done += BATCH) {
    const sequences = Array.from({ length: BATCH }, () => drawSequence(random));
    const { status, stdout, stderr } = spawnSync(program, {
      input: Buffer.concat(sequences.map(bytesOf)),
      maxBuffer: 2 ** 26,
      timeout: 60_000,
    });
    if (status !== 0) t.fail(`seed ${seed}: ${stderr.toString()}`);
    const lines = stdout.toString().split('\n');
    for (const [number, sequence] of sequences.entries()) {
      const ours = sorted(byTheModel(sequence));
      const theirs = sorted(lines[number] ?? '');
      removals.add(theirs.length);
      if (ours === theirs) continue;
      different += 1;
      if (different <= 3) t.equal(ours, theirs, `seed ${seed}, sequence ${done + number}`);
    }
  }
  t.equal(different, 0);
  t.ok(removals.size > 10, 'not always the same');
  t.end();
});

/** At one moment in whatever order. */
function sorted(line: string): string {
  return line.split(' ').toSorted().join(' ');
}
