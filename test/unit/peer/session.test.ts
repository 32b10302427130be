/** Two sessions against each other, and what is old, false or reflected between them. */
import t from 'tap';
import {
  ANSWER_PAUSE_MS,
  createSession,
  HELLO_MS,
  type SessionState,
  SILENT_MS,
  stepSession,
} from '../../../src/peer/session.js';
import type { PeerMessage } from '../../../src/peer/wire.js';
import { hello } from './helloes.js';

/** A director that keeps what it sent, as somebody on the wire would. */
class Side {
  state: SessionState;
  readonly sent: PeerMessage[] = [];
  readonly told: string[] = [];
  #nonce: bigint;

  constructor(session: bigint, nowMs: number) {
    this.#nonce = session * 1000n;
    this.state = createSession(session, this.#next(), nowMs);
  }

  #next(): bigint {
    this.#nonce += 1n;
    return this.#nonce;
  }

  step(input: Parameters<typeof stepSession>[1], nowMs: number): void {
    const { state, effects } = stepSession(this.state, input, nowMs);
    this.state = state;
    for (const effect of effects) {
      if (effect.type === 'send') this.sent.push({ ...effect.header, hello: hello() });
      else if (effect.type === 'discard') this.told.push(effect.reason);
      else this.told.push(effect.type === 'up' ? `up ${effect.isNew ? 'new' : 'again'}` : effect.type);
    }
  }

  hear(message: PeerMessage | undefined, nowMs: number): void {
    if (message === undefined) throw new Error('nothing was sent');
    this.step({ type: 'datagram', message, receivedAtMs: nowMs, nonce: this.#next() }, nowMs);
  }

  due(nowMs: number): PeerMessage {
    this.step({ type: 'deadline' }, nowMs);
    const last = this.sent.at(-1);
    if (last === undefined) throw new Error('nothing is due');
    return last;
  }

  take(): string[] {
    return this.told.splice(0);
  }
}

/** lb1 and lb2 that know each other at 0. */
function pair(): [Side, Side] {
  const [a, b] = [new Side(1n, 0), new Side(2n, 0)];
  b.hear(a.due(0), 0);
  a.hear(b.sent.at(-1), 0);
  b.hear(a.due(50), 50);
  if (!a.state.isUp || !b.state.isUp) throw new Error('they do not hear each other');
  a.take();
  b.take();
  return [a, b];
}

void t.test('three datagrams, and both know that the other one hears', async (t) => {
  const [a, b] = [new Side(1n, 0), new Side(2n, 0)];
  const first = a.due(0);
  t.match(first, { session: 1n, sequence: 1, answer: 0n });
  b.hear(first, 0);
  t.same(b.take(), ['unproven']);
  a.hear(b.sent.at(-1), 0);
  t.same(a.take(), ['up new', 'taken']);
  b.hear(a.due(50), 50);
  t.same(b.take(), ['up new', 'taken']);
});

void t.test('both start at once', async (t) => {
  const [a, b] = [new Side(1n, 0), new Side(2n, 0)];
  const [fromA, fromB] = [a.due(0), b.due(0)];
  a.hear(fromB, 1);
  b.hear(fromA, 1);
  a.hear(b.sent.at(-1), 2);
  b.hear(a.sent.at(-1), 2);
  t.ok(a.state.isUp && b.state.isUp);
});

void t.test('a hello that is not younger is not taken', async (t) => {
  const [a, b] = pair();
  const old = b.due(HELLO_MS);
  const young = b.due(2 * HELLO_MS);
  a.hear(young, 2000);
  t.same(a.take(), ['taken']);
  const before = a.state;
  a.hear(old, 2001);
  a.hear(young, 2002);
  t.same(a.take(), ['replayed', 'replayed']);
  t.equal(a.state, before);
});

void t.test('its own words come back', async (t) => {
  const [a] = pair();
  a.hear(a.due(1000), 1000);
  t.same(a.take(), ['reflected']);
});

void t.test('a peer that restarts is taken, and its old words no more', async (t) => {
  const [a, old] = pair();
  const recorded = [...old.sent, old.due(1000)];
  const b = new Side(3n, 1500);
  a.hear(b.due(1500), 1500);
  t.same(a.take(), ['unproven']);
  b.hear(a.sent.at(-1), 1500);
  a.hear(b.due(1550), 1550);
  t.same(a.take(), ['up new', 'taken']);
  const before = a.state;
  for (const [i, message] of recorded.entries()) a.hear(message, 1560 + i);
  t.same(new Set(a.take()), new Set(['unproven']));
  t.strictSame(a.state.peer, before.peer);
  t.equal(a.state.own.challenge, before.own.challenge);
});

void t.test('a director that restarts takes nothing that was said to the one before', async (t) => {
  const [, b] = pair();
  const recorded = [...b.sent, b.due(1000)];
  const a = new Side(4n, 1000);
  for (const message of recorded) a.hear(message, 1000);
  t.same(new Set(a.take()), new Set(['unproven']));
  t.equal(a.state.peer, undefined);
});

void t.test('recordings in any number are answered at a pace', async (t) => {
  const [a, old] = pair();
  const sentBefore = a.sent.length;
  const recorded = { ...old.due(1000), session: 99n };
  for (let i = 0; i < 1000; i++) a.hear(recorded, 1000 + i / 10);
  t.ok(
    a.sent.length - sentBefore <= 1 + Math.ceil(100 / ANSWER_PAUSE_MS),
    `${a.sent.length - sentBefore} answers`,
  );
  t.ok(a.state.isUp);
});

void t.test('silence, and words again', async (t) => {
  const [a, b] = pair();
  for (let atMs = 1000; atMs < 50 + SILENT_MS; atMs += 1000) a.due(atMs);
  t.ok(a.state.isUp, 'three are lost: not yet');
  a.due(50 + SILENT_MS);
  t.same(a.take(), ['silent']);
  t.notOk(a.state.isUp);
  a.hear(b.due(5000), 5000);
  t.same(a.take(), ['up again', 'taken']);
  t.equal(a.state.sinceMs, 5000);
});
