import t from 'tap';
import { lookLines } from '../../../src/cli/sync/watch.js';
import { MAX_SENDERS, SyncStream } from '../../../src/sync/stream.js';

/** Two entries of version 1 with syncid 51; a byte behind them makes the size wrong. */
const ENTRY = '0006002400000000000100010050005000000000000003840a0000010a0000020a000003';
const message = (more = '') => Uint8Array.from(Buffer.from(`0033005002010000${ENTRY}${ENTRY}${more}`, 'hex'));

void t.test('counts by sender, syncid and version', async (t) => {
  const stream = new SyncStream();
  for (let sent = 0; sent < 3; sent += 1) stream.hear('10.0.0.2', message());
  stream.hear('10.0.0.1', message('00'));
  stream.hear('10.0.0.2', Uint8Array.of(0, 51));
  t.strictSame(stream.take(), [
    {
      source: '10.0.0.1',
      syncid: undefined,
      version: undefined,
      messages: 1,
      connections: 0,
      malformed: { 'wrong size': 1 },
    },
    { source: '10.0.0.2', syncid: 51, version: 1, messages: 3, connections: 6, malformed: {} },
    {
      source: '10.0.0.2',
      syncid: undefined,
      version: undefined,
      messages: 1,
      connections: 0,
      malformed: { 'short header': 1 },
    },
  ]);
  t.strictSame(stream.take(), [], 'and begins anew');
});

void t.test('a thousand forged sources are a bounded number of lines', async (t) => {
  const stream = new SyncStream();
  for (let host = 0; host < 1000; host += 1) stream.hear(`10.0.${host >> 8}.${host & 255}`, message());
  const senders = stream.take();
  t.equal(senders.length, MAX_SENDERS + 1);
  t.match(
    senders.find(({ source }) => source === 'others'),
    { messages: 1000 - MAX_SENDERS, connections: 2 * (1000 - MAX_SENDERS) },
  );
});

void t.test('lines of a look', async (t) => {
  const senders = [
    { source: '10.0.0.1', syncid: 51, version: 1, messages: 30, connections: 600, malformed: {} },
    {
      source: 'fd00::1',
      syncid: undefined,
      version: undefined,
      messages: 4,
      connections: 0,
      malformed: { 'wrong size': 3, 'short header': 1 },
    },
  ] as const;
  const date = new Date(2026, 0, 1, 9, 5, 7);
  const [one, other, ...more] = lookLines({ seconds: 2, senders, known: 1234, missed: 0 }, date);
  t.match(one, /^09:05:07 10\.0\.0\.1 +51 +1 +15 +300 +1234 0$/);
  t.match(other, /^09:05:07 fd00::1 +- +- +2 +0 +1234 3 wrong size, 1 short header$/);
  t.same(more, []);
  t.match(lookLines({ seconds: 1, senders: [], known: 0, missed: 7 }, date), [/7 packets came too fast/]);
});
