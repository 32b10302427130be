/** Who lacks connections and who replays them: each alone, and the two against each other. */
import t from 'tap';
import type { ReplayAnswer } from '../../../src/peer/hello.js';
import {
  type Around,
  type AskState,
  askProgress,
  askWord,
  HEARD_MS,
  MAX_ASKS,
  MAX_LOSSY_ASKS,
  NO_PEER_MS,
  type ReplayPeer,
  SETTLE_MS,
  STALL_MS,
  stepAsk,
  wantsCount,
} from '../../../src/peer/resync-ask.js';
import {
  NOBODY_SERVED,
  REFRESH_MS,
  REFRESH_REST_FACTOR,
  REPLAY_PAUSE_MS,
  type ServeInput,
  type ServeStep,
  stepServe,
} from '../../../src/peer/resync-serve.js';

const STEP_MS = 500;

/** A director with a gap, among peers that a test moves. */
class Asker {
  state: AskState = { phase: 'unknown' };
  nowMs = 0;
  peers: ReplayPeer[] = [];
  isMaster = false;
  held = 0;
  /** Without one, the kernel does not tell. */
  tells = true;
  #nonce = 100;
  readonly requests: number[] = [];

  constructor() {
    this.step('gap');
  }

  step(type: 'gap' | 'kept' | 'look'): void {
    this.#nonce += 1;
    const around: Around = {
      isMaster: this.isMaster,
      peers: this.peers,
      held: this.tells ? { lasting: this.held, atMs: this.nowMs } : undefined,
    };
    this.state = stepAsk(this.state, { type }, around, { nowMs: this.nowMs, nonce: this.#nonce });
    const request = this.state.phase === 'asking' && this.state.peer !== undefined ? this.state.request : 0;
    if (request !== 0 && request !== this.requests.at(-1)) this.requests.push(request);
  }

  pass(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += STEP_MS;
      this.step('look');
    }
  }

  answer(state: ReplayAnswer['state'], sent = 0): void {
    this.peers = this.peers.map((peer) => ({
      ...peer,
      answer: { request: this.requests.at(-1) ?? 0, state, sent },
    }));
    this.step('look');
  }

  get said(): string {
    const { complete, text } = askProgress(this.state);
    return `${complete ? 'complete' : 'waits'}: ${text}`;
  }

  /** What the election hears. */
  get word(): boolean {
    return askWord(this.state).complete;
  }
}

function tableOf(lasting: number, fresh = 0) {
  return { connections: lasting, lasting, fresh };
}

function peer(overrides: Partial<ReplayPeer> = {}): ReplayPeer {
  return {
    name: 'lb1',
    isMaster: true,
    replays: true,
    table: tableOf(1000),
    answer: undefined,
    lost: undefined,
    ...overrides,
  };
}

void t.test('a table that was kept needs nothing', async (t) => {
  const state = stepAsk(
    { phase: 'unknown' },
    { type: 'kept' },
    { isMaster: false, peers: [], held: undefined },
    { nowMs: 0, nonce: 1 },
  );
  t.same(askProgress(state), { complete: true, text: 'the table was kept' });
});

void t.test(
  'a master asks no backup, whose news of its own connections are old; another master it asks',
  async (t) => {
    const asker = new Asker();
    asker.peers = [peer({ isMaster: false })];
    asker.isMaster = true;
    asker.step('look');
    t.same(asker.requests, []);
    t.equal(asker.said, 'complete: this director is master, and nobody has what its table lacks');

    const split = new Asker();
    split.peers = [peer()];
    split.isMaster = true;
    split.step('look');
    t.equal(split.requests.length, 1);
  },
);

void t.test('asked, sent, counted, complete', async (t) => {
  const asker = new Asker();
  t.equal(asker.said, 'waits: waits for a peer that can replay its table');
  asker.peers = [peer({ name: 'lb3', isMaster: false, table: tableOf(5000) }), peer()];
  asker.step('look');
  t.match(asker.state, { peer: 'lb1' }, 'a master before one with more');
  asker.answer('running', 400);
  t.equal(asker.said, 'waits: receives the connections of lb1');
  asker.held = 990;
  asker.answer('done', 1000);
  asker.pass(SETTLE_MS - STEP_MS);
  t.equal(asker.said, 'waits: counts what lb1 has sent: 1000', 'some may be on their way');
  asker.pass(STEP_MS);
  t.equal(asker.said, 'complete: 990 of 1000 connections of lb1 are here');
  t.equal(asker.word, true);
  t.equal(asker.requests.length, 1);
});

void t.test('a table that has all when the last was sent is complete at once', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.held = 1000;
  asker.step('look');
  asker.answer('done', 1000);
  asker.pass(STEP_MS);
  t.equal(asker.said, 'complete: 1000 of 1000 connections of lb1 are here');
});

void t.test('a count is wanted when all was sent, and when all must be here', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.step('look');
  const wanted = (countedAtMs?: number) => {
    const held = countedAtMs === undefined ? undefined : { lasting: 0, atMs: countedAtMs };
    return wantsCount(asker.state, { held }, asker.nowMs);
  };
  t.notOk(wanted(), 'nothing was sent yet');
  asker.answer('done', 1000);
  const doneAtMs = asker.nowMs;
  t.ok(wanted());
  t.ok(wanted(doneAtMs - 1), 'one of before says nothing');
  t.notOk(wanted(doneAtMs));
  asker.pass(SETTLE_MS - STEP_MS);
  t.notOk(wanted(doneAtMs));
  asker.tells = false;
  asker.pass(STEP_MS);
  t.ok(wanted(doneAtMs));
  t.notOk(wanted(doneAtMs + SETTLE_MS));
});

void t.test('what is missing is asked for again, and not for ever', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.held = 870;
  asker.step('look');
  for (let round = 0; round < 10; round++) {
    asker.answer('done', 1000);
    asker.pass(SETTLE_MS);
  }
  t.equal(asker.requests.length, MAX_ASKS);
  t.equal(asker.said, 'complete: 870 of 1000 connections of lb1 are here, coverage 87 %');
});

void t.test('a replay whose datagrams were lost is asked for again, whatever counts say', async (t) => {
  const asker = new Asker();
  asker.peers = [peer({ lost: 7 })];
  asker.held = 1100;
  asker.step('look');
  asker.answer('done', 1000);
  asker.pass(HEARD_MS - STEP_MS);
  t.equal(asker.requests.length, 1, 'the last may be on their way');
  for (let round = 0; round < 10; round++) {
    asker.pass(HEARD_MS);
    asker.answer('done', 1000);
  }
  t.equal(asker.requests.length, 11, 'more often than one that has other reasons');
  asker.peers = asker.peers.map((one) => ({ ...one, lost: 0 }));
  asker.pass(STEP_MS);
  t.equal(asker.said, 'complete: 1100 of 1000 connections of lb1 are here');
});

void t.test('a network that goes on losing is not asked for ever', async (t) => {
  const asker = new Asker();
  asker.peers = [peer({ lost: 7 })];
  asker.held = 1000;
  asker.step('look');
  for (let round = 0; round < 3 * MAX_LOSSY_ASKS; round++) {
    asker.answer('done', 1000);
    asker.pass(HEARD_MS);
  }
  t.equal(asker.requests.length, MAX_LOSSY_ASKS + 1);
  t.equal(asker.said, 'complete: 7 datagrams of lb1 were lost');
  t.equal(asker.word, false, 'the election waits as long as it is told to');
});

void t.test('an empty table of the peer is all there is', async (t) => {
  const asker = new Asker();
  asker.peers = [peer({ table: tableOf(0) })];
  asker.step('look');
  asker.answer('done', 0);
  asker.pass(SETTLE_MS);
  t.equal(asker.said, 'complete: 0 of 0 connections of lb1 are here');
});

void t.test('a lone director does not wait for ever, and asks one that comes late', async (t) => {
  const asker = new Asker();
  asker.pass(NO_PEER_MS - STEP_MS);
  t.match(asker.said, /^waits/);
  asker.pass(STEP_MS);
  t.equal(asker.said, 'complete: no peer answers');
  t.equal(asker.word, false, 'the election waits as long as it is told to');
  asker.pass(3_600_000);
  asker.peers = [peer()];
  asker.pass(STEP_MS);
  t.match(asker.said, /^waits: receives/);
});

void t.test('a peer of another release cannot', async (t) => {
  const asker = new Asker();
  asker.peers = [peer({ replays: false })];
  asker.pass(NO_PEER_MS);
  t.equal(asker.said, 'complete: no peer can replay its table, such as lb1');
  t.equal(asker.word, false, 'the election waits as long as it is told to');
});

void t.test('the peer restarts in the middle', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.step('look');
  asker.answer('running', 100);
  asker.peers = [];
  asker.pass(2000);
  asker.peers = [peer()];
  asker.pass(STEP_MS);
  t.equal(asker.requests.length, 1, 'it is asked the same: it knows nothing of it yet');
  t.match(asker.said, /^waits: receives/);
  asker.answer('done', 10);
  asker.held = 10;
  asker.pass(SETTLE_MS);
  t.match(asker.said, /^complete: 10 of 10/);
});

void t.test('the peer falls silent in the middle', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.step('look');
  asker.answer('running', 100);
  asker.peers = [];
  asker.pass(NO_PEER_MS + STEP_MS);
  t.equal(asker.said, 'complete: no peer answers');
});

void t.test(
  'a peer that says nothing of the request, or stands still, is asked again at most so often',
  async (t) => {
    const asker = new Asker();
    asker.peers = [peer()];
    asker.pass(MAX_ASKS * (STALL_MS + STEP_MS) + STEP_MS);
    t.equal(asker.requests.length, MAX_ASKS);
    t.equal(asker.said, 'complete: lb1 does not begin its replay');
  },
);

void t.test('a peer that fails', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.step('look');
  for (let i = 0; i < 5; i++) asker.answer('failed');
  t.equal(asker.said, 'complete: lb1 cannot replay its table');
});

void t.test('a kernel that does not tell its table', async (t) => {
  const asker = new Asker();
  asker.tells = false;
  asker.peers = [peer()];
  asker.step('look');
  asker.answer('done', 5);
  asker.pass(STALL_MS);
  t.equal(asker.said, 'complete: this kernel does not tell its table');
});

void t.test('a gap in the middle begins anew', async (t) => {
  const asker = new Asker();
  asker.peers = [peer()];
  asker.step('look');
  asker.answer('done', 5);
  asker.step('gap');
  asker.held = 5;
  asker.pass(SETTLE_MS);
  t.equal(asker.requests.length, 2);
  t.match(asker.said, /^waits/, 'the answer to the request before is none');
});

function startOf({ action }: ServeStep): string | undefined {
  return action?.type === 'serve' ? action.peer : undefined;
}

void t.test('requests are served one after the other, at a pace', async (t) => {
  let state = NOBODY_SERVED;
  const step = (input: ServeInput, nowMs: number) => {
    const done = stepServe(state, input, { nowMs, refreshes: false });
    state = done.state;
    return done;
  };
  t.equal(startOf(step({ type: 'asked', peer: 'lb1', request: 0 }, 0)), undefined, 'nothing is asked for');
  t.equal(startOf(step({ type: 'asked', peer: 'lb1', request: 5 }, 0)), 'lb1');
  t.equal(startOf(step({ type: 'asked', peer: 'lb1', request: 5 }, 1)), undefined, 'the same again');
  t.equal(startOf(step({ type: 'asked', peer: 'lb3', request: 6 }, 2)), undefined, 'one at a time');
  const done = step({ type: 'done', peer: 'lb1', sent: 20 }, 4);
  t.same(done.state.answers['lb1'], { request: 5, state: 'done', sent: 20 });
  t.equal(startOf(done), undefined, 'not at once');
  t.equal(done.deadlineMs, REPLAY_PAUSE_MS);
  t.equal(startOf(step({ type: 'deadline' }, REPLAY_PAUSE_MS)), 'lb3');
  step({ type: 'failed', peer: 'lb3' }, REPLAY_PAUSE_MS + 1);
  t.equal(state.answers['lb3']?.state, 'failed');
  let started = 0;
  for (let i = 0; i < 10_000; i++) {
    const nowMs = 20_000 + i;
    if (startOf(step({ type: 'asked', peer: 'lb1', request: 1000 + i }, nowMs)) !== undefined) {
      started += 1;
      step({ type: 'done', peer: 'lb1', sent: 0 }, nowMs);
    }
  }
  t.equal(started, 10_000 / REPLAY_PAUSE_MS, 'a flood of requests');
});

void t.test('what nobody asked for comes at leisure, and makes room for who asks', async (t) => {
  let state = NOBODY_SERVED;
  const step = (input: ServeInput, nowMs: number, refreshes = true): ServeStep => {
    const done = stepServe(state, input, { nowMs, refreshes });
    state = done.state;
    return done;
  };
  t.match(step({ type: 'deadline' }, 0, false), { action: undefined, deadlineMs: Number.POSITIVE_INFINITY });
  t.equal(step({ type: 'deadline' }, 50_000, false).action, undefined);
  t.match(step({ type: 'deadline' }, 50_001), { action: undefined, deadlineMs: 50_000 + REFRESH_MS });
  t.match(step({ type: 'deadline' }, 60_000), { action: { type: 'refresh' } });
  t.equal(step({ type: 'deadline' }, 61_000).action, undefined, 'it runs');
  t.equal(step({ type: 'refreshed' }, 62_000).deadlineMs, 62_000 + 2000 * REFRESH_REST_FACTOR);
  t.match(step({ type: 'deadline' }, 200_000), { action: { type: 'refresh' } });
  t.match(step({ type: 'asked', peer: 'lb2', request: 7 }, 200_100), { action: { type: 'end-refresh' } });
  t.match(step({ type: 'refreshed' }, 200_200), { action: { type: 'serve', peer: 'lb2' } });
  t.equal(step({ type: 'deadline' }, 900_000).action, undefined, 'one at a time');
  t.match(step({ type: 'done', peer: 'lb2', sent: 3 }, 900_001), { action: { type: 'refresh' } });
});

void t.test('who asks no more is not served', async (t) => {
  const now = { nowMs: 0, refreshes: false };
  const first = stepServe(NOBODY_SERVED, { type: 'asked', peer: 'lb1', request: 1 }, now).state;
  const second = stepServe(first, { type: 'asked', peer: 'lb3', request: 2 }, now).state;
  const left = stepServe(second, { type: 'asked', peer: 'lb3', request: 0 }, now).state;
  t.same(Object.keys(left.answers), ['lb1']);
});

void t.test('what has ended since it was sent is not missed, nor what came a moment ago', async (t) => {
  const asker = new Asker();
  asker.peers = [peer({ table: tableOf(1000) })];
  asker.step('look');
  asker.held = 600;
  asker.answer('done', 1000);
  asker.peers = asker.peers.map((one) => ({ ...one, table: tableOf(800, 200) }));
  asker.pass(2 * SETTLE_MS);
  t.equal(asker.said, 'complete: 600 of 1000 connections of lb1 are here');
  t.ok(asker.word);
});
