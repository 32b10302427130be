/** RFC 5880 section 6.8: two sessions that speak to each other, and one that hears what it should not. */
import fc from 'fast-check';
import t from 'tap';
import {
  type BfdEffect,
  type BfdInput,
  type BfdSession,
  createBfd,
  detectionTimeMs,
  stepBfd,
} from '../../../src/bfd/machine.js';
import { BFD_STATES, type BfdPacket } from '../../../src/bfd/packet.js';
import type { BfdSettings } from '../../../src/config/model.js';

const FAST: BfdSettings = { intervalMs: 15, minReceiveMs: 15, multiplier: 3 };

/** One end, driven by hand: it hears when told to, and its deadlines are kept. */
class End {
  state: BfdSession;
  deadlineMs = 0;
  readonly said: BfdPacket[] = [];
  readonly told: Exclude<BfdEffect, { type: 'send' }>[] = [];
  random = 0.5;

  constructor(settings: BfdSettings, discriminator: number, atMs = 0) {
    this.state = createBfd(settings, discriminator, atMs);
    this.deadlineMs = atMs;
  }

  step(input: BfdInput, nowMs: number): readonly BfdPacket[] {
    const { state, effects, deadlineMs } = stepBfd(this.state, input, nowMs, this.random);
    this.state = state;
    this.deadlineMs = deadlineMs;
    const sent = effects.flatMap((effect) => (effect.type === 'send' ? effect.packet : []));
    for (const effect of effects) if (effect.type !== 'send') this.told.push(effect);
    this.said.push(...sent);
    return sent;
  }

  hear(packet: Partial<BfdPacket>, nowMs: number, receivedAtMs = nowMs): readonly BfdPacket[] {
    const whole: BfdPacket = {
      state: 'down',
      diagnostic: 0,
      poll: false,
      final: false,
      demand: false,
      multiplier: 3,
      discriminator: 22,
      yourDiscriminator: 11,
      desiredMinTxUs: 15_000,
      requiredMinRxUs: 15_000,
      ...packet,
    };
    return this.step({ type: 'packet', packet: whole, receivedAtMs }, nowMs);
  }
}

/** Both ends until `untilMs`; `lost` says which packets do not arrive. */
function converse(
  a: End,
  b: End,
  fromMs: number,
  untilMs: number,
  lost: (from: End, atMs: number) => boolean = () => false,
): void {
  const wires: { readonly from: End; readonly packet: BfdPacket; readonly atMs: number }[] = [];
  const post = (from: End, packets: readonly BfdPacket[], atMs: number): void => {
    for (const packet of packets) if (!lost(from, atMs)) wires.push({ from, packet, atMs: atMs + 0.1 });
  };
  for (let nowMs = fromMs; ; ) {
    const [wire] = wires;
    const next = Math.min(a.deadlineMs, b.deadlineMs, wire?.atMs ?? Number.POSITIVE_INFINITY);
    if (next > untilMs) return;
    nowMs = Math.max(nowMs, next);
    if (wire !== undefined && wire.atMs === next) {
      wires.shift();
      const to = wire.from === a ? b : a;
      const { packet } = wire;
      post(to, to.step({ type: 'packet', packet, receivedAtMs: nowMs }, nowMs), nowMs);
    } else {
      const one = a.deadlineMs <= b.deadlineMs ? a : b;
      post(one, one.step({ type: 'deadline' }, nowMs), nowMs);
    }
  }
}

function pair(theirs: BfdSettings = FAST): [End, End] {
  const ends: [End, End] = [new End(FAST, 11), new End(theirs, 22, 300)];
  converse(...ends, 0, 5000);
  return ends;
}

void t.test('two ends come up, and speak at the slower of what each wants', async (t) => {
  const [a, b] = pair({ intervalMs: 40, minReceiveMs: 60, multiplier: 5 });
  t.equal(a.state.state, 'up');
  t.equal(b.state.state, 'up');
  t.equal(a.state.remote.discriminator, 22);
  t.notOk(a.state.polling || b.state.polling, 'the Poll Sequences are over');
  t.equal(detectionTimeMs(a.state), 5 * 40);
  t.equal(detectionTimeMs(b.state), 3 * 60);
  const before = a.said.length;
  converse(a, b, 5000, 6000);
  // 60 ms, an eighth shorter by the jitter of this end.
  const perSecond = a.said.length - before;
  t.ok(perSecond >= 18 && perSecond <= 20, `${perSecond} packets in a second`);
});

void t.test('slowly while it is not up', async (t) => {
  const a = new End(FAST, 11);
  let nowMs = 0;
  for (let i = 0; i < 5; i++) {
    nowMs = a.deadlineMs;
    a.step({ type: 'deadline' }, nowMs);
  }
  t.equal(nowMs, 4 * 875);
  t.match(a.said[0], { state: 'down', yourDiscriminator: 0, desiredMinTxUs: 1_000_000 });
});

void t.test('silence takes it down when the Detection Time is over, and no sooner', async (t) => {
  const [a, b] = pair();
  const lastMs = a.state.heardAtMs;
  converse(a, b, 5000, lastMs + 44, () => true);
  t.equal(a.state.state, 'up');
  converse(a, b, lastMs + 44, lastMs + 46, () => true);
  t.equal(a.state.state, 'down');
  t.match(a.told.at(-1), { type: 'expired', heardAtMs: lastMs, intervalMs: 15 });
  t.equal(a.said.at(-1)?.diagnostic, 1);
  t.equal(a.said.at(-1)?.yourDiscriminator, 0);
});

void t.test('a third of the packets lost at random does not', async (t) => {
  const [a, b] = pair();
  let n = 0;
  converse(a, b, 5000, 60_000, () => n++ % 3 === 0);
  t.equal(a.state.state, 'up');
  t.notOk(a.told.some(({ type }) => type === 'expired'));
});

void t.test('a peer that says so takes it down, and nothing has expired', async (t) => {
  for (const state of ['down', 'admin-down'] as const) {
    const [a] = pair();
    a.hear({ state }, 5001);
    t.equal(a.state.state, 'down');
    t.equal(a.state.diagnostic, 3);
    for (let nowMs = a.deadlineMs; nowMs < 8000; nowMs = a.deadlineMs) a.step({ type: 'deadline' }, nowMs);
    t.notOk(
      a.told.some(({ type }) => type === 'expired'),
      state,
    );
  }
});

void t.test('one that was never up does not expire', async (t) => {
  const a = new End(FAST, 11);
  a.hear({ state: 'down', yourDiscriminator: 0 }, 10);
  t.equal(a.state.state, 'init');
  for (let nowMs = a.deadlineMs; nowMs < 8000; nowMs = a.deadlineMs) a.step({ type: 'deadline' }, nowMs);
  t.equal(a.state.state, 'down');
  t.same(
    a.told.map(({ type }) => type),
    ['state', 'state'],
  );
});

void t.test('a stop says that it is administratively down, and holds', async (t) => {
  const [a, b] = pair();
  const [said] = a.step({ type: 'stop' }, 5001);
  t.match(said, { state: 'admin-down', diagnostic: 7 });
  a.hear({ state: 'up', poll: true }, 5002);
  t.equal(a.state.state, 'admin-down');
  t.equal(a.said.at(-1), said, 'a Poll is not answered');
  b.hear({ ...said, discriminator: 11, yourDiscriminator: 22 }, 5002);
  t.match(b.state, { state: 'down', diagnostic: 3 });
});

void t.test('a Poll is answered at once with Final', async (t) => {
  const [a] = pair();
  const sent = a.hear({ state: 'up', poll: true }, 5001);
  t.match(sent, [{ final: true, poll: false, state: 'up' }]);
});

void t.test('other intervals are told by a Poll Sequence; a longer one waits for its end', async (t) => {
  const [a] = pair();
  a.step({ type: 'configure', settings: { ...FAST, intervalMs: 100, minReceiveMs: 10 } }, 5001);
  const [said] = a.step({ type: 'deadline' }, a.deadlineMs);
  t.match(said, { poll: true, desiredMinTxUs: 100_000, requiredMinRxUs: 10_000 });
  t.match(a.state, { transmitMs: 15, receiveMs: 15 });
  a.hear({ state: 'up', final: true }, 5030);
  t.match(a.state, { transmitMs: 100, receiveMs: 10, polling: false });
});

void t.test('a peer that wants no packets, or wants to ask for them, gets none', async (t) => {
  for (const wish of [{ requiredMinRxUs: 0 }, { demand: true }]) {
    const [a] = pair();
    a.hear({ state: 'up', ...wish }, 5001);
    a.step({ type: 'deadline' }, a.state.transmitAtMs);
    t.equal(a.state.transmitAtMs, Number.POSITIVE_INFINITY);
    a.hear({ state: 'up' }, a.state.heardAtMs + 20);
    t.ok(a.state.transmitAtMs < Number.POSITIVE_INFINITY, 'until it does again');
  }
});

void t.test('time in which this host stood still is no silence of the peer', async (t) => {
  const [a] = pair();
  a.hear({ state: 'up' }, 5001);
  // Its own packet was due at 5014 at the latest.
  a.step({ type: 'deadline' }, 5040);
  t.equal(a.state.state, 'up');
  t.equal(a.state.detectAtMs, 5040 + 22.5);
  while (a.deadlineMs < 5064) a.step({ type: 'deadline' }, a.deadlineMs);
  t.equal(a.state.state, 'down', 'a peer that is gone is missed an interval and a half later');

  const [b] = pair();
  b.hear({ state: 'up' }, 5001);
  b.step({ type: 'deadline' }, 9000);
  t.equal(b.state.state, 'up', 'a long standstill');
  t.equal(b.state.detectAtMs, 9045);
});

void t.test('a host that is late each time waits for two Detection Times at most', async (t) => {
  const [a] = pair();
  a.hear({ state: 'up' }, 5001);
  let nowMs = 5001;
  while (a.state.state === 'up' && nowMs < 6000) {
    nowMs = a.deadlineMs + 10;
    a.step({ type: 'deadline' }, nowMs);
  }
  t.ok(nowMs <= 5001 + 90 + 10, `down at ${nowMs}`);
});

void t.test('what lay in the queue says nothing of now', async (t) => {
  const [a] = pair();
  a.hear({ state: 'up' }, 9000, 5010);
  t.equal(a.state.state, 'up');
  t.equal(a.state.detectAtMs, 9045);
});

void t.test('garbage in any order', async (t) => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const inputs = fc.array(
    fc.record({
      afterMs: fc.double({ min: 0, max: 3000, noNaN: true }),
      deadline: fc.boolean(),
      state: fc.constantFrom(...BFD_STATES),
      poll: fc.boolean(),
      final: fc.boolean(),
      demand: fc.boolean(),
      multiplier: fc.integer({ min: 1, max: 255 }),
      desiredMinTxUs: fc.oneof(word, fc.constantFrom(0, 1, 15_000)),
      requiredMinRxUs: fc.oneof(word, fc.constantFrom(0, 1, 15_000)),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(inputs, (list) => {
      const a = new End(FAST, 11);
      let nowMs = 0;
      for (const { afterMs, deadline, random, ...packet } of list) {
        nowMs += afterMs;
        a.random = random;
        const before = a.state;
        const sent = deadline ? a.step({ type: 'deadline' }, nowMs) : a.hear(packet, nowMs);
        if (sent.length > 2) throw new Error('more is said than was asked');
        if (Number.isNaN(a.deadlineMs)) throw new Error('a deadline that is none');
        if (deadline && a.deadlineMs < nowMs) throw new Error('a deadline in the past');
        if (before.state === 'down' && a.state.state === 'up' && packet.state !== 'init')
          throw new Error('up at one stroke');
        const interval = a.state.transmitAtMs - nowMs;
        if (a.state.state !== 'up' && deadline && sent.length > 0 && interval < 749)
          throw new Error('fast and not up');
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
