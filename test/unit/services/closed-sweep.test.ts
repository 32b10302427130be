/** A backup's sweep of closed connections: its pace, and its end. */
import t from 'tap';
import type { Log } from '../../../src/runtime/ports.js';
import { ClosedSweep, SWEEP_MS, SWEEP_REST_FACTOR } from '../../../src/runtime/services/closed-sweep.js';
import { HandClock, settled } from '../hand-clock.js';

function open() {
  const clock = new HandClock();
  const kernel = { sweeps: 0, aborted: 0, finish: (): void => {}, refuses: false };
  const lines: string[] = [];
  const log: Log = {
    debug: (_, words) => void lines.push(words),
    info: () => {},
    warn: () => {},
    error: () => {},
  };
  const sweep = new ClosedSweep({
    clock,
    log,
    backupOf: () => new Set(['192.0.2.51']),
    forgetClosed: async (_, signal) => {
      kernel.sweeps += 1;
      await new Promise<void>((resolve) => {
        kernel.finish = resolve;
      });
      if (signal.aborted) kernel.aborted += 1;
      signal.throwIfAborted();
      if (kernel.refuses) throw new Error('EPERM: operation not permitted');
      return 3;
    },
  });
  return { clock, kernel, lines, sweep };
}

void t.test('the longer it takes, the longer it rests', async (t) => {
  const { clock, kernel, lines, sweep } = open();
  sweep.begin();
  await clock.advance(2000);
  kernel.finish();
  await settled();
  await clock.advance(2000 * SWEEP_REST_FACTOR - 1);
  t.equal(kernel.sweeps, 1);
  await clock.advance(1);
  t.equal(kernel.sweeps, 2);
  kernel.refuses = true;
  kernel.finish();
  await settled();
  await clock.advance(SWEEP_MS);
  t.equal(kernel.sweeps, 3, 'a refusal is not the end');
  t.match(lines, ['forgot 3 closed connections', /are not forgotten: EPERM/]);
});

void t.test('one that ends in the middle forgets nothing more, and does not come again', async (t) => {
  const { clock, kernel, sweep } = open();
  sweep.begin();
  sweep.end();
  kernel.finish();
  await settled();
  t.equal(kernel.aborted, 1);
  await clock.advance(3_600_000);
  t.equal(kernel.sweeps, 1);
});

void t.test('one that begins anew ends the one before', async (t) => {
  const { clock, kernel, sweep } = open();
  sweep.begin();
  const { finish } = kernel;
  sweep.begin();
  finish();
  kernel.finish();
  await settled();
  await clock.advance(SWEEP_MS);
  t.equal(kernel.sweeps, 3, 'one of them goes on');
});
