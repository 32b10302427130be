/** What the log says of notices, where the words depend on what follows from them. */
import t from 'tap';
import { logNotice } from '../../../src/runtime/election/reception/notices.js';
import type { Log } from '../../../src/runtime/ports.js';
import type { Notice } from '../../../src/vrrp/group-types.js';
import { vrrpInstance } from '../vrrp/instances.js';

function words(notice: Notice, change: Parameters<typeof vrrpInstance>[0] = {}): string {
  const said: string[] = [];
  const say = (_: object, text: string): void => void said.push(text);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  logNotice(log, vrrpInstance(change), notice, () => 99);
  return said.join('\n');
}

void t.test('another interval is followed in version 3 and ignored in version 2', async (t) => {
  const notice = { kind: 'interval-mismatch', source: '192.0.2.9', intervalMs: 3000 } as const;
  t.notMatch(words(notice, { version: 3 }), /ignored/);
  t.match(words(notice, { version: 3 }), /the master's interval counts/);
  t.match(words(notice, { version: 2 }), /so it is ignored/);
});

void t.test('a second owner that is beaten is not given way to', async (t) => {
  const notice = { kind: 'rogue-owner', source: '192.0.2.9', backOffMs: 0 } as const;
  t.match(words(notice), /this one stays master/);
  t.match(words({ ...notice, backOffMs: 20_000 }), /giving way for 20 s/);
});

void t.test('a wait for the connection table, and its two ends', async (t) => {
  const source = '192.0.2.9';
  const text = '812 of 1000 connections are here';
  t.match(
    words({ kind: 'awaits-sync', source, atMostMs: 60_000, text }),
    /192\.0\.2\.9 is master with a lower priority: .* or after 60 s; waiting for it: 812 of 1000/,
  );
  t.match(
    words({ kind: 'awaited-sync', source, complete: true, text }),
    /taking over from 192\.0\.2\.9: 812/,
  );
  t.match(
    words({ kind: 'awaited-sync', source, complete: false, text }),
    /without a complete connection table/,
  );
});

void t.test('another cluster is told with a free identifier', async (t) => {
  const notice = { kind: 'other-cluster', source: '192.0.2.9', addresses: ['192.0.2.77'] } as const;
  t.match(words(notice), /192\.0\.2\.9 uses VRID 51 .*192\.0\.2\.77.*99 is free here/);
});
