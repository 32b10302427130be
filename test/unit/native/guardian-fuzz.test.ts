/** The guardian's parser against bytes that make no sense, compiled with the sanitizers where the compiler has them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { encodeDisarm, encodeOrders } from '../../../src/io/vrrp/guardian-orders.js';
import { randomOf } from '../../../src/util/random.js';
import { virtualRoute, virtualRule } from '../vrrp/instances.js';

const inProject = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const GUARDIAN = ['guardian', 'advertisement', 'channels', 'orders', 'successor', 'withdrawal', 'words'].map(
  (name) => inProject(`native/${name}.c`),
);
const PARSER = [inProject('test/unit/native/orders-fuzz.c'), inProject('native/orders.c')];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
/** Frames between two looks at the answers. */
const BATCH = 100;
const MUTATIONS = 3000;
const RANDOM_BODIES = 1000;
const RANDOM_STREAMS = 20;
/** In one process. */
const PARSED = 200_000;
/** Mutations leave holdMs and leaseMs alone: with a short lease the guardian would act. */
const MUTABLE_FROM = 8;
const SEED = 20250401;

/** The same bytes in each run. */
const random = randomOf(SEED);
const below = (limit: number): number => Math.floor(random() * limit);
const randomBytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => below(256)));

function frame(body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(1, 4);
  return Buffer.concat([header, body]);
}

/** Sound orders with everything in them. */
function soundBody(): Buffer {
  const payload = Buffer.from([0x31, 51, 0, 1, 0, 100, 0, 0, 10, 9, 0, 253]);
  const base = {
    interface: 'lo',
    sendInterface: 'lo',
    udpPort: undefined,
    minTtl: 255,
    routes: [],
    rules: [],
    virtualRouterId: 51,
  };
  const address = { address: '10.9.0.253', prefixLength: 32, interface: 'lo' };
  const route = { destination: '10.7.0.0', prefixLength: 16, via: '10.9.0.2', interface: 'lo' };
  const orders = encodeOrders(
    {
      farewells: [
        {
          ...base,
          source: '127.0.0.1',
          destinations: [
            { address: '224.0.0.18', payload },
            { address: '10.9.0.2', payload },
          ],
          addresses: [address, { ...address, address: 'fd09::1', prefixLength: 64 }],
          routes: [virtualRoute({ ...route, metric: 3 })],
          rules: [virtualRule()],
        },
        {
          ...base,
          source: '::1',
          udpPort: 1120,
          destinations: [{ address: 'ff02::12', payload }],
          addresses: [address],
        },
      ],
      holdMs: 0,
      leaseMs: 0,
    },
    () => 1,
  );
  return orders.subarray(8);
}

function mutated(sound: Buffer): Buffer {
  const body = Buffer.from(sound);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    body[MUTABLE_FROM + below(body.length - MUTABLE_FROM)] = below(3) === 0 ? 255 : below(256);
  }
  return below(4) === 0 ? body.subarray(0, below(body.length + 1)) : body;
}

function randomBody(): Buffer {
  const body = randomBytes(below(400));
  // Small counts get further than random ones; no lease, for the same reason as above.
  for (let at = 0; at < Math.min(12, body.length); at++) body[at] = at === 8 ? below(4) : 0;
  return body;
}

interface Outcome {
  readonly answers: string;
  readonly code: unknown;
  readonly words: string;
}

/** Writes each of `parts` when the former one's answers are in: the guardian drops answers that nobody fetches. */
async function feed(guardian: string, parts: readonly Buffer[], answersEach = 0): Promise<Outcome> {
  // In a network namespace of its own where that can be: whatever a mutation means, it happens nowhere.
  const isolated = process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'true']).status === 0;
  const [command, args] = isolated ? ['unshare', ['--net', guardian]] : [guardian, []];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const link = child.stdio[3];
  if (!(link instanceof Socket)) throw new Error('no pipe');
  let answers = '';
  let words = '';
  let written = 0;
  const more = (): void => {
    while (written < parts.length && answers.length >= written * answersEach) {
      link.write(parts[written] ?? Buffer.alloc(0));
      written += 1;
    }
    if (written === parts.length && !link.writableEnded) link.end();
  };
  link.on('data', (chunk: Buffer) => {
    answers += chunk.toString();
    more();
  });
  link.on('error', () => {});
  child.stderr?.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-2000)));
  more();
  const [code]: unknown[] = await once(child, 'close');
  return { answers, code, words };
}

const folder = mkdtempSync(join(tmpdir(), 'guardian-fuzz-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const guardian = join(folder, 'guardian');

function compile(flags: readonly string[], sources = GUARDIAN, output = guardian): boolean {
  const args = ['-std=gnu11', '-g', '-O1', ...flags, ...sources, '-o', output];
  return spawnSync(process.env['CC'] ?? 'cc', args, { timeout: 60_000 }).status === 0;
}

const sanitized = compile(SANITIZERS);
if (!sanitized && !compile([])) {
  t.plan(0, 'no C compiler');
} else {
  t.comment(sanitized ? 'with address and undefined behaviour sanitizers' : 'the compiler has no sanitizers');

  void t.test('each body in a sound frame is answered, and nothing else happens', async (t) => {
    const sound = soundBody();
    const bodies = [
      ...Array.from({ length: MUTATIONS }, () => mutated(sound)),
      ...Array.from({ length: RANDOM_BODIES }, randomBody),
      ...Array.from({ length: BATCH }, () => sound),
    ];
    const parts = Array.from({ length: bodies.length / BATCH }, (_, at) =>
      Buffer.concat(bodies.slice(at * BATCH, (at + 1) * BATCH).map(frame)),
    );
    const { answers, code, words } = await feed(guardian, [...parts, encodeDisarm()], BATCH);
    t.equal(code, 0, code === 0 ? 'ends disarmed' : words);
    t.match(answers, /^[RX]*R{100}$/);
    t.equal(answers.length, bodies.length);
    t.comment(`${answers.replaceAll('X', '').length} taken, ${answers.replaceAll('R', '').length} refused`);
  });

  void t.test('orders are read within what was given, whatever it says', async (t) => {
    const fuzz = join(folder, 'orders-fuzz');
    t.ok(compile(sanitized ? SANITIZERS : [], PARSER, fuzz), 'it compiles');
    const { status, stdout, stderr } = spawnSync(fuzz, [String(SEED), String(PARSED)], {
      input: soundBody(),
      timeout: 120_000,
    });
    t.equal(status, 0, stderr.toString());
    const [taken = 0] = stdout.toString().split(' ').map(Number);
    t.ok(taken > 100 && taken < PARSED, stdout.toString());
    t.comment(stdout.toString());
  });

  void t.test('a stream without sense ends it, unarmed', async (t) => {
    for (let n = 0; n < RANDOM_STREAMS; n++) {
      const { answers, code } = await feed(guardian, [randomBytes(8 + below(3000))]);
      t.ok(code === 2 || code === 0, `status ${String(code)}`);
      t.equal(answers, '');
    }
  });
}
