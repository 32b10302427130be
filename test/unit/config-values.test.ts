import t from 'tap';
import { isNetmask, parseHostAddress, parseIpv4, splitPrefix } from '../../src/config/address.js';
import { formatDuration, parseDuration } from '../../src/config/duration.js';
import { nearest, suggestion } from '../../src/config/nearest.js';

void t.test('durations', async (t) => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['1s', 1000],
    ['1.5s', 1500],
    ['40.95s', 40_950],
    ['1.001s', 1001],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['0s', 0],
  ] as const) {
    t.equal(parseDuration(text), ms, text);
  }
  for (const text of [
    '1',
    '',
    's',
    '1 s',
    '1S',
    '+1s',
    '-1s',
    '1e3s',
    '.5s',
    '1.s',
    '0.5ms',
    '1min',
    '9999999999s',
  ]) {
    t.equal(parseDuration(text), undefined, text);
  }
});

void t.test('durations are written with the unit people would take', async (t) => {
  const written = [0, 10, 1001, 1000, 40_950, 60_000, 90_000, 3_600_000].map(formatDuration);
  t.same(written, ['0ms', '10ms', '1001ms', '1s', '40.95s', '1m', '1.5m', '1h']);
});

void t.test('IPv4 addresses', async (t) => {
  t.match(parseIpv4('255.255.255.255'), { ok: true, value: 2 ** 32 - 1 });
  t.match(parseIpv4('1.2.3.4'), { ok: true, value: 0x01020304 });
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', 'a.b.c.d', '1.2.3.-4']) {
    t.equal(parseIpv4(text).ok, false, text);
  }
  t.match(parseIpv4('::1'), { ok: false, reason: /IPv6/ });
  for (const text of ['0.0.0.0', '224.0.0.18', '255.255.255.255', '240.0.0.1']) {
    t.equal(parseHostAddress(text).ok, false, text);
  }
  t.ok(parseHostAddress('223.255.255.254').ok);
  t.same(splitPrefix('10.0.0.1/8'), { address: '10.0.0.1', prefixLength: 8 });
});

void t.test('netmasks', async (t) => {
  for (const text of ['255.255.255.255', '255.255.255.0', '128.0.0.0', '255.254.0.0'])
    t.ok(isNetmask(text), text);
  for (const text of ['0.0.0.0', '255.0.255.0', '0.0.0.255', '255.255.255.1', '/24'])
    t.notOk(isNetmask(text), text);
});

void t.test('the nearest word', async (t) => {
  const keys = ['name', 'addresses', 'virtual_router_id', 'interval'];
  t.equal(nearest('adresses', keys), 'addresses');
  t.equal(nearest('virtual-router-id', keys), 'virtual_router_id');
  t.equal(nearest('nmae', keys), 'name');
  t.equal(nearest('Interval', keys), 'interval');
  t.equal(nearest('colour', keys), undefined);
  t.equal(nearest('a'.repeat(10_000), keys), undefined);
  t.equal(suggestion('colour', keys), '');
});
