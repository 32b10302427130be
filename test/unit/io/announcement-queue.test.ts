import fc from 'fast-check';
import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import {
  AnnouncementQueue,
  BURST_FRAMES,
  BURST_INTERVAL_MS,
  MAX_WAITING,
} from '../../../src/io/vrrp/announcement-queue.js';

/** Virtual time: `runUntil` calls back in order. */
class FakeClock {
  #nowMs = 1_000;
  #timers: { atMs: number; callback: () => void }[] = [];
  nowMs(): number {
    return this.#nowMs;
  }
  at(atMs: number, callback: () => void): () => void {
    const timer = { atMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }
  get pending(): number {
    return this.#timers.length;
  }
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const next = this.#timers.filter((one) => one.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }
}

function setUp(segmentOf?: (name: string) => string) {
  const clock = new FakeClock();
  const sent: { atMs: number; address: string; name: string }[] = [];
  const errors: string[] = [];
  const queue = new AnnouncementQueue({
    clock,
    send: (address) => {
      if (address.interface === 'gone') throw new Error('ENODEV');
      sent.push({ atMs: clock.nowMs() - 1_000, address: address.address, name: address.interface });
    },
    onError: (address, error) => errors.push(`${address.address} ${String(error)}`),
    segmentOf,
  });
  return { clock, sent, errors, queue };
}

function many(count: number, name = 'eth0', from = 0): VirtualAddress[] {
  return Array.from({ length: count }, (_, index) => ({
    address: `10.0.${(from + index) >> 8}.${(from + index) & 255}`,
    prefixLength: 24,
    interface: name,
  }));
}

void t.test('a burst at once, the rest paced; interfaces do not wait for each other', async (t) => {
  const { clock, sent, queue } = setUp();
  queue.add([...many(240, 'eth0'), ...many(240, 'eth1'), ...many(3, 'eth2')]);
  const of = (name: string) => sent.filter((frame) => frame.name === name);
  t.equal(of('eth0').length, BURST_FRAMES);
  t.equal(of('eth1').length, BURST_FRAMES);
  t.equal(of('eth2').length, 3);
  clock.advance(BURST_INTERVAL_MS - 1);
  t.equal(sent.length, 2 * BURST_FRAMES + 3, 'nothing before the pause is over');
  clock.advance(1);
  t.equal(of('eth0').length, 2 * BURST_FRAMES);
  clock.advance(1_000);
  t.equal(of('eth0').at(-1)?.atMs, (240 / BURST_FRAMES - 1) * BURST_INTERVAL_MS);
  t.same(
    of('eth1').map(({ address }) => address),
    many(240).map(({ address }) => address),
    'each once, in order',
  );
  t.equal(clock.pending, 0);
});

void t.test('one that waits is not queued twice, one that was sent is', async (t) => {
  const { clock, sent, queue } = setUp();
  queue.add(many(40));
  queue.add(many(40));
  clock.advance(1_000);
  const times = (address: string) => sent.filter((frame) => frame.address === address).length;
  t.equal(sent.length, 40 + BURST_FRAMES);
  t.equal(times('10.0.0.0'), 2);
  t.equal(times('10.0.0.39'), 1);
});

void t.test('cancelled addresses are not announced', async (t) => {
  const { clock, sent, queue } = setUp();
  queue.add(many(40));
  queue.cancel([...many(10, 'eth0', 20), ...many(10, 'other', 30)]);
  clock.advance(1_000);
  t.equal(sent.length, 30);
  t.notOk(sent.some(({ address }) => address === '10.0.0.20'));
  t.ok(
    sent.some(({ address }) => address === '10.0.0.30'),
    'the same address on another interface stays',
  );
});

void t.test('closed, it sends nothing more and has no timer', async (t) => {
  const { clock, sent, queue } = setUp();
  queue.add(many(40));
  queue.close();
  t.equal(clock.pending, 0);
  clock.advance(1_000);
  t.equal(sent.length, BURST_FRAMES);
});

void t.test('a failure is told and does not stop the rest', async (t) => {
  const { clock, sent, errors, queue } = setUp(() => 'one segment');
  queue.add([...many(1, 'gone'), ...many(40)]);
  clock.advance(1_000);
  t.same(errors, ['10.0.0.0 Error: ENODEV']);
  t.equal(sent.length, 40);
});

void t.test('devices of one segment are paced together', async (t) => {
  const { sent, queue } = setUp(() => 'eth0');
  queue.add([...many(10, 'vrrp.1'), ...many(10, 'vrrp.2')]);
  t.equal(sent.length, BURST_FRAMES);
});

void t.test('the queue is bounded', async (t) => {
  const { errors, queue } = setUp();
  queue.add(many(MAX_WAITING + BURST_FRAMES + 2));
  t.equal(errors.length, BURST_FRAMES + 2);
  t.match(errors[0], /announcements are waiting already/);
});

void t.test('whatever is announced when: never more than a burst without a pause', async () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ waitMs: fc.integer({ min: 0, max: 30 }), count: fc.integer({ min: 1, max: 60 }) }),
        {
          maxLength: 12,
        },
      ),
      (calls) => {
        const { clock, sent, queue } = setUp();
        for (const { waitMs, count } of calls) {
          clock.advance(waitMs);
          queue.add(many(count));
        }
        clock.advance(10_000);
        for (let first = 0; first + BURST_FRAMES < sent.length; first++) {
          const group = sent.slice(first, first + BURST_FRAMES + 1).map(({ atMs }) => atMs);
          const longest = Math.max(...group.slice(1).map((atMs, index) => atMs - (group[index] ?? 0)));
          if (longest < BURST_INTERVAL_MS) return false;
        }
        return new Set(sent.map(({ address }) => address)).size === Math.max(0, ...calls.map((c) => c.count));
      },
    ),
    { numRuns: 200 },
  );
});
