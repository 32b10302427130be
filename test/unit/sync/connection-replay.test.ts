import t from 'tap';
import { OneReplayAtATime, type ReplayReport } from '../../../src/runtime/services/sync/connection-replay.js';

/** Replays that end when the test says so. */
class Replays {
  readonly begun: (readonly number[] | 'all')[] = [];
  readonly #ends: { resolve(report: ReplayReport): void; reject(error: Error): void }[] = [];
  readonly replay = new OneReplayAtATime((buckets) => {
    this.begun.push(buckets === undefined ? 'all' : [...buckets]);
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }));
  });

  async end(result: ReplayReport | Error): Promise<void> {
    const next = this.#ends.shift();
    if (result instanceof Error) next?.reject(result);
    else next?.resolve(result);
    await new Promise(setImmediate);
  }
}

const REPORT = { connections: 3, messages: 1, untellable: 0 };
const OTHER = { connections: 5, messages: 2, untellable: 1 };

void t.test('one at a time; what is asked for meanwhile is done together behind it', async (t) => {
  const replays = new Replays();
  const first = replays.replay.replay(new Set([1]));
  const asked = [new Set([2]), new Set([3, 2])].map((buckets) => replays.replay.replay(buckets));
  t.strictSame(replays.begun, [[1]]);
  await replays.end(REPORT);
  t.same(await first, REPORT);
  t.strictSame(replays.begun, [[1], [2, 3]]);
  await replays.end(OTHER);
  t.same(await Promise.all(asked), [OTHER, OTHER]);
  void replays.replay.replay();
  t.strictSame(replays.begun, [[1], [2, 3], 'all'], 'nothing runs any more');
});

void t.test('all covers any', async (t) => {
  const replays = new Replays();
  void replays.replay.replay();
  void replays.replay.replay(new Set([1]));
  void replays.replay.replay();
  void replays.replay.replay(new Set([2]));
  await replays.end(REPORT);
  t.strictSame(replays.begun, ['all', 'all']);
});

void t.test('one that fails does not stop the next one', async (t) => {
  const replays = new Replays();
  const first = replays.replay.replay();
  const next = replays.replay.replay(new Set([7]));
  const refusal = t.rejects(first, /no sync daemon/);
  await replays.end(new Error('no sync daemon'));
  await refusal;
  t.strictSame(replays.begun, ['all', [7]]);
  await replays.end(REPORT);
  t.same(await next, REPORT);
});
