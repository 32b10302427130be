/** When a backup that is short of connections asks for them again. */
import t from 'tap';
import {
  FIRST_PAUSE_MS,
  LAG_MS,
  MAX_PAUSE_MS,
  missingOf,
  NO_LAG,
  REST_FACTOR,
  stepLag,
  WHOLE_MS,
} from '../../../src/peer/lag.js';

const STEP_MS = 1000;

/** Looks once a second; a request takes `askMs`. */
class Backup {
  state = NO_LAG;
  nowMs = 0;
  askMs = 8000;
  #askedUntilMs = 0;
  readonly asks: number[] = [];

  pass(ms: number, missing: number | undefined, isLossy = false): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) {
      this.nowMs += STEP_MS;
      const isAsking = this.nowMs < this.#askedUntilMs;
      const { state, ask } = stepLag(this.state, { missing, isLossy, isAsking }, this.nowMs);
      this.state = state;
      if (!ask) continue;
      this.asks.push(this.nowMs);
      this.#askedUntilMs = this.nowMs + this.askMs;
    }
  }

  get pauses(): number[] {
    return this.asks.slice(1).map((atMs, index) => atMs - (this.asks[index] ?? 0) - this.askMs);
  }
}

void t.test('what is missing', async (t) => {
  const backup = { established: 90, atMs: 10_000 };
  t.equal(missingOf({ established: 100, atMs: 10_000 }, backup), 10);
  t.equal(missingOf({ established: 10, atMs: 9000 }, backup), 0, 'more than the master has');
  t.equal(missingOf({ established: 100, atMs: 12_001 }, backup), undefined);
});

void t.test('one look does not make a loss', async (t) => {
  const backup = new Backup();
  for (let i = 0; i < 20; i++) {
    backup.pass(LAG_MS - STEP_MS, 5);
    backup.pass(STEP_MS, 0);
  }
  t.same(backup.asks, []);
  backup.pass(LAG_MS + STEP_MS, 5);
  t.equal(backup.asks.length, 1);
});

void t.test('looks that cannot tell neither ask nor make anything whole', async (t) => {
  const backup = new Backup();
  backup.pass(LAG_MS, 5);
  backup.pass(600_000, undefined);
  t.same(backup.asks, []);
  backup.pass(STEP_MS, 5);
  t.equal(backup.asks.length, 1);
});

void t.test('what a replay does not bring is asked for ever more seldom', async (t) => {
  const backup = new Backup();
  backup.pass(7_200_000, 1);
  t.ok(backup.asks.length < 20, `${backup.asks.length} replays in two hours`);
  t.ok((backup.pauses[0] ?? 0) <= FIRST_PAUSE_MS + LAG_MS);
  const [second = 0, third = 0] = backup.pauses.slice(1);
  t.ok(third > second);
  t.ok(Math.max(...backup.pauses) <= MAX_PAUSE_MS + LAG_MS + STEP_MS);
  backup.pass(WHOLE_MS + 2 * STEP_MS, 0);
  const before = backup.asks.length;
  backup.pass(30_000, 1);
  t.ok(backup.asks.length > before, 'a table that was whole for long begins anew');
});

void t.test('a table whose replay takes long is left in peace for long', async (t) => {
  const backup = new Backup();
  backup.askMs = 80_000;
  backup.pass(3_600_000, 1);
  t.ok((backup.pauses[0] ?? 0) >= REST_FACTOR * 50_000);
});

void t.test(
  'datagrams that were lost are asked for at once, and ever more seldom while more are lost',
  async (t) => {
    const backup = new Backup();
    backup.pass(STEP_MS, 0, true);
    t.equal(backup.asks.length, 1);
    backup.pass(3_600_000, 0, true);
    t.ok(backup.asks.length > 8 && backup.asks.length < 15, `${backup.asks.length} requests in an hour`);
    t.ok(backup.pauses.every((pause, index) => pause >= (backup.pauses[index - 1] ?? 0)));
  },
);
