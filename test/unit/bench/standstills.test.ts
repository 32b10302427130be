/** Which changes of role a processor that stood still accounts for. */
import t from 'tap';
import { causeOf } from '../../bench/support/standstills.js';

const times = { intervalMs: 10, masterDownMs: 36.1 };
/** The old master was last heard at 1000, the new one at 1037. */
const takeover = { fromMs: 1000, toMs: 1037, source: '192.168.7.12' };
const standstill = (fromMs: number, toMs: number) => ({ processor: 0, fromMs, toMs });

void t.test('a takeover while the old master had no processor', async (t) => {
  const stood = standstill(1012, 1098);
  t.equal(causeOf(takeover, [standstill(200, 300), stood], times), stood);
});

void t.test('the way back when the standstill ends', async (t) => {
  const stood = standstill(1012, 1098);
  t.equal(causeOf({ fromMs: 1097, toMs: 1099, source: '192.168.7.11' }, [stood], times), stood);
});

void t.test('no cause: too short, over before, or begun after it was due', async (t) => {
  for (const other of [standstill(1005, 1015), standstill(900, 990), standstill(1020, 1098)]) {
    t.equal(causeOf(takeover, [other], times), undefined);
  }
  t.equal(causeOf(takeover, [], times), undefined);
});
