/** The peer channel against somebody who hears everything, keeps it, changes it and sends it again. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  createSession,
  HELLO_MS,
  type SessionState,
  SILENT_MS,
  stepSession,
} from '../../src/peer/session.js';
import { openDatagram, type PeerMessage, sealDatagram } from '../../src/peer/wire.js';
import { hello, message } from '../unit/peer/helloes.js';

const mac = (bytes: Uint8Array) => createHmac('sha256', 'k'.repeat(32)).update(bytes).digest();
const count = fc.nat(Number.MAX_SAFE_INTEGER);
const bits = fc.bigInt(1n, 2n ** 64n - 1n);
const ascii = (max: number) => fc.stringMatching(new RegExp(`^[!-~]{1,${max}}$`));

const anyMessage: fc.Arbitrary<PeerMessage> = fc.record({
  session: bits,
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  challenge: bits,
  answer: bits,
  hello: fc.record({
    director: ascii(64),
    version: ascii(32),
    wallClockMs: count,
    stampUs: count,
    echo: fc.option(fc.record({ stampUs: count, heldUs: count }), { nil: undefined }),
    sections: fc.dictionary(ascii(24), fc.stringMatching(/^[0-9a-f]{16}$/), { maxKeys: 16 }),
    roles: fc.array(fc.constantFrom('initialize', 'backup', 'master', 'fault'), { maxLength: 256 }),
    table: fc.option(
      fc.record({ connections: count, lasting: count, established: count, fresh: count, ageMs: count }),
      {
        nil: undefined,
      },
    ),
    gateway: fc.constantFrom('unprobed', 'answers', 'silent'),
    replays: fc.boolean(),
    isComplete: fc.boolean(),
    asks: fc.nat(0xffff_ffff),
    replayed: fc.option(fc.record({ replay: count, messages: count }), { nil: undefined }),
    answer: fc.option(
      fc.record({
        request: count,
        state: fc.constantFrom('waiting', 'running', 'done', 'failed'),
        sent: count,
      }),
      { nil: undefined },
    ),
  }),
});

void t.test('whatever can be said is heard as it was said', async (t) => {
  fc.assert(
    fc.property(anyMessage, fc.boolean(), (said, hasKey) => {
      const key = hasKey ? mac : undefined;
      t.same(openDatagram(sealDatagram(said, key), key), { ok: true, message: said });
    }),
    { numRuns: 300 },
  );
});

void t.test('any bytes, and any change of good ones, are a value', async (t) => {
  const good = sealDatagram(message(), undefined);
  let taken = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.nat(good.length),
      fc.uint8Array({ maxLength: 1400 }),
      (changes, length, noise) => {
        const bytes = Uint8Array.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        for (const one of [bytes, bytes.subarray(0, length), noise]) {
          if (openDatagram(one, undefined).ok) taken += 1;
          if (openDatagram(one, mac).ok) throw new Error('without the key');
        }
      },
    ),
    { numRuns: 20_000 },
  );
  t.ok(taken > 0, 'some changes are of values alone');
});

/** What happens to one of two directors, 0 or 1, or between them. */
type Happening =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'restart'; readonly side: 0 | 1 }
  /** What this side said last arrives, or a copy of it. */
  | { readonly kind: 'arrive'; readonly from: 0 | 1 }
  /** Somebody sends what was said once, to either side. */
  | { readonly kind: 'replay'; readonly to: 0 | 1; readonly which: number };

const side = fc.constantFrom<0 | 1>(0, 1);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ kind: fc.constant('restart' as const), side }),
  fc.record({ kind: fc.constant('arrive' as const), from: side }),
  fc.record({ kind: fc.constant('replay' as const), to: side, which: fc.nat() }),
  fc.record({ kind: fc.constant('replay' as const), to: side, which: fc.nat() }),
);

/** Two directors on a wire that somebody records. */
class World {
  nowMs = 0;
  #random = 1n;
  readonly said: { readonly from: 0 | 1; readonly message: PeerMessage }[] = [];
  readonly sides: [SessionState, SessionState] = [this.#start(), this.#start()];
  /** Taken by each since its last start, in their order. */
  readonly taken: [PeerMessage[], PeerMessage[]] = [[], []];

  #bits(): bigint {
    this.#random = BigInt.asUintN(64, this.#random * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n);
    return this.#random | 1n;
  }

  #start(): SessionState {
    return createSession(this.#bits(), this.#bits(), this.nowMs);
  }

  restart(one: 0 | 1): void {
    this.sides[one] = this.#start();
    this.taken[one] = [];
  }

  #step(one: 0 | 1, input: Parameters<typeof stepSession>[1]): void {
    const before = this.sides[one];
    const { state, effects } = stepSession(before, input, this.nowMs);
    this.sides[one] = state;
    for (const effect of effects) {
      if (effect.type === 'send')
        this.said.push({ from: one, message: { ...effect.header, hello: hello() } });
      if (effect.type === 'taken' && input.type === 'datagram') this.taken[one].push(input.message);
    }
    const isTaken = effects.some(({ type }) => type === 'taken');
    if (input.type !== 'datagram' || isTaken) return;
    // What is discarded changes nothing but the pace and count of answers.
    t.strictSame(state.peer, before.peer);
    t.equal(state.isUp, before.isUp);
    t.equal(state.own.challenge, before.own.challenge);
  }

  hear(to: 0 | 1, heard: PeerMessage): void {
    const input = {
      type: 'datagram',
      message: heard,
      receivedAtMs: this.nowMs,
      nonce: this.#bits(),
    } as const;
    this.#step(to, input);
  }

  /** What was said from there on, and what is answered to it. */
  #deliver(first: number): void {
    for (let next = first; next < this.said.length; next++) {
      const heard = this.said[next];
      if (heard !== undefined) this.hear(heard.from === 0 ? 1 : 0, heard.message);
    }
  }

  /** `delivers`: nothing is lost. */
  pass(ms: number, delivers: boolean): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 50) {
      for (const one of [0, 1] as const) {
        const before = this.said.length;
        if (this.nowMs >= this.sides[one].sendAtMs || this.sides[one].isUp)
          this.#step(one, { type: 'deadline' });
        if (delivers) this.#deliver(before);
      }
    }
  }
}

void t.test(
  'recordings of any age, restarts of both, losses: nothing is taken twice, nor after its session',
  async (t) => {
    fc.assert(
      fc.property(fc.array(happening, { minLength: 10, maxLength: 80 }), (happenings) => {
        const world = new World();
        world.pass(2000, true);
        for (const one of happenings) {
          if (one.kind === 'pass') world.pass(one.ms, one.ms % 2 === 0);
          else if (one.kind === 'restart') world.restart(one.side);
          else if (one.kind === 'arrive') {
            const last = world.said.findLast(({ from }) => from === one.from);
            if (last !== undefined) world.hear(one.from === 0 ? 1 : 0, last.message);
          } else {
            const recorded = world.said[one.which % world.said.length];
            if (recorded !== undefined) world.hear(one.to, recorded.message);
          }
        }
        for (const [index, taken] of world.taken.entries()) {
          const own = world.sides[index === 0 ? 0 : 1].own.session;
          if (taken.some(({ session }) => session === own)) throw new Error('its own words');
          const sessions = taken.map(({ session }) => session);
          for (const [i, { session, sequence }] of taken.entries()) {
            const before = taken[i - 1];
            if (before?.session === session) {
              if (sequence <= before.sequence) throw new Error('taken twice, or late');
            } else if (sessions.indexOf(session) < i) throw new Error('an earlier session again');
          }
        }
        world.pass(2 * HELLO_MS + SILENT_MS, true);
        t.ok(world.sides[0].isUp && world.sides[1].isUp, 'they find each other again');
      }),
      { numRuns: 300 },
    );
  },
);

void t.test('thirty thousand datagrams of a stranger without the key', async (t) => {
  const session = createSession(7n, 8n, 0);
  const known = stepSession(
    session,
    { type: 'datagram', message: message({ session: 9n, answer: 8n }), receivedAtMs: 0, nonce: 10n },
    0,
  ).state;
  let state = known;
  const reasons = new Map<string, number>();
  const sealed = sealDatagram(message({ session: 9n, sequence: 1 }), mac);
  for (let i = 0; i < 30_000; i++) {
    const bytes = Uint8Array.from(sealed);
    // Every third one is the recording as it was.
    if (i % 3 > 0) bytes[i % bytes.length] = (bytes[i % bytes.length] ?? 0) ^ (1 + (i % 255));
    const opened = openDatagram(bytes, mac);
    let reason = opened.ok ? 'taken' : opened.reason;
    if (opened.ok) {
      const input = { type: 'datagram', message: opened.message, receivedAtMs: i, nonce: BigInt(i) } as const;
      const step = stepSession(state, input, i);
      state = step.state;
      for (const effect of step.effects) reason = effect.type === 'discard' ? effect.reason : 'taken';
    }
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  t.equal(reasons.get('taken'), undefined);
  t.ok((reasons.get('bad-mac') ?? 0) > 15_000);
  t.equal(reasons.get('replayed'), 10_000);
  t.strictSame(state, known);
});
