import t from 'tap';
import { parseLoad, type RequestSample } from '../../../src/drill/client/load.js';
import {
  type Excuse,
  failedRequests,
  requestComplaints,
  requestPoints,
  summarizeRequests,
  withinLimit,
} from '../../../src/drill/report/requests.js';
import { requestLimitMs } from '../../../src/drill/report/verdict.js';

const window = { fromMs: 1000, toMs: 9000 };

function sample(startMs: number, durationMs: number, error = ''): RequestSample {
  return { address: '192.0.2.1', startMs, durationMs, server: error === '' ? 'rs1' : null, error };
}

await t.test('what the load wrote', async (t) => {
  const output = `1200.500 192.0.2.1 1.5 rs1 
1100.250 2001:db8::1 2500.0 - no answer in time
half a li`;
  t.same(parseLoad(output), [
    { address: '2001:db8::1', startMs: 1100.25, durationMs: 2500, server: null, error: 'no answer in time' },
    { address: '192.0.2.1', startMs: 1200.5, durationMs: 1.5, server: 'rs1', error: '' },
  ]);
});

await t.test('the time limit lets a SYN that was lost in the gap be sent again', async (t) => {
  t.equal(requestLimitMs(0), 2500);
  t.equal(requestLimitMs(1000), 2500);
  t.equal(requestLimitMs(1001), 4500);
  t.equal(requestLimitMs(3800), 8500);
  t.equal(requestLimitMs(1e6), 128_500);
  t.equal(requestLimitMs(0, 500), 2500, 'a lab that is quick enough');
  t.equal(requestLimitMs(0, 600), 2800, 'and one that is slow by itself');
});

await t.test('an answer that comes too late is none', async (t) => {
  const reset = sample(3, 9000, 'ECONNRESET');
  t.same(withinLimit([sample(1, 2500), sample(2, 2501), reset], 2500), [
    sample(1, 2500),
    sample(2, 2501, 'no answer in time'),
    reset,
  ]);
});

await t.test('an unplanned fault excuses the resets of what was under way until the takeover', async (t) => {
  const excuse: Excuse = { of: 'resets', fromMs: 3000, toMs: 6000 };
  const cases: [RequestSample, boolean, string][] = [
    [sample(2990, 20, 'ECONNRESET'), true, 'under way when it came'],
    [sample(2900, 20, 'ECONNRESET'), false, 'over before it came'],
    [sample(5999, 5, 'ECONNREFUSED'), true, 'begun before the takeover'],
    [sample(6001, 5, 'ECONNRESET'), false, 'begun after the takeover'],
    [sample(2990, 8500, 'no answer in time'), false, 'nobody is excused from answering'],
  ];
  for (const [one, excused, words] of cases) {
    t.match(failedRequests([one], window, excuse), [{ excused }], words);
    t.equal(requestComplaints([one], excuse).length, excused ? 0 : 1, words);
    t.match(summarizeRequests([one], excuse), { failed: 1, excused: excused ? 1 : 0 }, words);
  }
  t.equal(requestComplaints([sample(2990, 20, 'ECONNRESET')]).length, 1, 'a planned switch excuses nothing');
});

await t.test('a dead real server excuses whatever met it', async (t) => {
  const excuse: Excuse = { of: 'all', fromMs: 3000, toMs: 6000 };
  t.same(requestComplaints([sample(4000, 2500, 'no answer in time')], excuse), []);
  t.same(requestComplaints([sample(6500, 1, 'ECONNREFUSED'), sample(1, 1)], excuse), [
    '1 of 2 new requests failed: 192.0.2.1: ECONNREFUSED',
  ]);
});

await t.test('one sentence a reason, and nothing asked proves nothing', async (t) => {
  const samples = [sample(1, 1, 'ECONNRESET'), sample(2, 1, 'ECONNRESET'), sample(3, 1, 'no answer in time')];
  t.same(requestComplaints(samples), [
    '2 of 3 new requests failed: 192.0.2.1: ECONNRESET',
    '1 of 3 new requests failed: 192.0.2.1: no answer in time',
  ]);
  t.same(requestComplaints([]), ['no new request was made']);
});

await t.test('new requests in numbers', async (t) => {
  t.same(summarizeRequests([sample(0, 5), sample(0, 1), sample(0, 9, 'ECONNRESET')]), {
    made: 3,
    failed: 1,
    excused: 0,
    slowest_ms: 9,
    median_ms: 5,
  });
  t.same(summarizeRequests([]), { made: 0, failed: 0, excused: 0, slowest_ms: 0, median_ms: 0 });
});

await t.test('every failure is drawn, and the slowest answer of each tenth of a second', async (t) => {
  const samples = [sample(1010, 1), sample(1020, 7), sample(1030, 3, 'ECONNRESET'), sample(1110, 2)];
  t.same(requestPoints(samples, window), [
    { t_ms: 20, duration_ms: 7, server: 'rs1' },
    { t_ms: 30, duration_ms: 3, server: null },
    { t_ms: 110, duration_ms: 2, server: 'rs1' },
  ]);
});
