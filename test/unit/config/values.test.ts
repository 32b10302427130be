import t from 'tap';
import {
  canonicalPrefix,
  isNetmask,
  parseAddress,
  parseHostAddress,
  refuseHostPrefix,
  refuseNetwork,
  splitPrefix,
} from '../../../src/config/address.js';
import { formatDuration, parseDuration } from '../../../src/config/duration.js';
import { nearest, suggestion } from '../../../src/config/nearest.js';
import { isLinkLocal } from '../../../src/util/ip-address.js';

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

void t.test('addresses', async (t) => {
  t.match(parseAddress('255.255.255.255'), { ok: true, family: 'ipv4' });
  t.match(parseAddress('1.2.3.4'), { ok: true, bytes: Uint8Array.of(1, 2, 3, 4) });
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', 'a.b.c.d', '1.2.3.-4']) {
    t.match(parseAddress(text), { ok: false, reason: /not an IPv4 address/ }, text);
  }
  t.match(parseAddress('2001:db8::1'), { ok: true, family: 'ipv6' });
  t.match(parseAddress('2001:db8::g'), { ok: false, reason: /not an IPv6 address/ });
  t.match(parseAddress('fe80::1%eth0'), { ok: false, reason: /has a zone/ });
});

void t.test('addresses of hosts', async (t) => {
  for (const text of [
    '0.0.0.0',
    '224.0.0.18',
    '255.255.255.255',
    '240.0.0.1',
    '::',
    '::1',
    'ff02::12',
    '::ffff:10.0.0.1',
  ]) {
    t.equal(parseHostAddress(text).ok, false, text);
  }
  for (const text of ['223.255.255.254', '2001:db8::1', 'fe80::1', '::2'])
    t.ok(parseHostAddress(text).ok, text);
  t.same(['fe80::1', 'febf::1', 'fec0::1', '10.0.0.1'].map(isLinkLocal), [true, true, false, false]);
});

void t.test('prefixes', async (t) => {
  t.same(splitPrefix('10.0.0.1/8'), { address: '10.0.0.1', prefixLength: 8 });
  t.equal(canonicalPrefix('2001:DB8:0::01/64'), '2001:db8::1/64');
  for (const text of ['10.0.0.1/31', '10.0.0.0/31', '10.0.0.1/1', '2001:db8::/127', '2001:db8::ffff/112'])
    t.equal(refuseHostPrefix(text), undefined, text);
  for (const [text, reason] of [
    ['10.0.0.0/30', /network itself/],
    ['10.0.0.3/30', /broadcast/],
    ['2001:db8::/126', /anycast/],
    ['2001:db8::1/0', /expected 1 to 128/],
    ['2001:db8::1/129', /expected 1 to 128/],
    ['2001:db8::1', /write it as 2001:db8::1\/64/],
  ] as const) {
    t.match(refuseHostPrefix(text), reason, text);
  }
  for (const text of ['0.0.0.0/0', '10.0.0.0/9', '10.0.0.1/32', '::/0', '2001:db8::/33'])
    t.equal(refuseNetwork(text), undefined, text);
  t.match(refuseNetwork('10.200.0.1/9'), /did you mean 10\.128\.0\.0\/9\?/);
  t.match(refuseNetwork('2001:db8:ffff::/33'), /did you mean 2001:db8:8000::\/33\?/);
  t.match(refuseNetwork('10.0.0.1'), /write \/32/);
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
