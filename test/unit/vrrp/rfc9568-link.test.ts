/** Requirements of RFC 9568 on addresses and what neighbours are told; docs/RFC9568.md has the table. */
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { acceptFilterRuleset } from '../../../src/io/host/accept-filter.js';
import { virtualMacAddress } from '../../../src/runtime/election/virtual-mac-keeper.js';
import { addressText, knownAddressBytes } from '../../../src/util/ip-address.js';
import { gratuitousArp } from '../../../src/vrrp/gratuitous-arp.js';
import { unsolicitedNeighbourAdvertisement } from '../../../src/vrrp/neighbour-advertisement.js';
import { Bench, instance } from './group-bench.js';
import { vrrpInstance } from './instances.js';

const VIRTUAL_MAC = Uint8Array.of(0, 0, 0x5e, 0, 1, 51);

function config(addresses: string, more = ''): ReturnType<typeof parseConfig> {
  const text = `version: 1
directors:
  lb1: { priority: 255, address: 10.0.0.1 }
  lb2: { priority: 100, address: 10.0.0.2 }
vrrp:
  instances:
    - name: six
      interface: eth0
      virtual_router_id: 51
      addresses: [${addresses}]
      ${more}
`;
  return parseConfig(text, { name: 'lb1' });
}

await t.test(
  'RFC9568-5.2.9-1 positive: the link-local address is advertised first, wherever it stands',
  async (t) => {
    const result = config('2001:db8::1/64, fe80::1/64, 2001:db8::2/64');
    t.ok(result.ok);
    if (result.ok) t.equal(result.config.instances[0]?.advertised[0], 'fe80::1');
  },
);
await t.test('RFC9568-5.2.9-1 negative: without one there is no virtual router', async (t) => {
  const result = config('2001:db8::1/64');
  t.notOk(result.ok);
  if (!result.ok) t.match(result.faults, [{ message: /link-local/ }]);
});

await t.test('RFC9568-6.1-1 positive: Neighbour Discovery passes before anything is dropped', async (t) => {
  const ruleset = acceptFilterRuleset(['2001:db8::1', '192.168.1.253']);
  const pass = ruleset.indexOf('nd-neighbor-solicit, nd-neighbor-advert } accept');
  t.ok(pass > 0 && pass < ruleset.indexOf('drop'));
});
await t.test('RFC9568-6.1-1 negative: all else to the addresses is dropped', async (t) => {
  const ruleset = acceptFilterRuleset(['2001:db8::1']);
  t.match(ruleset, 'ip6 daddr @ipv6 drop');
  t.equal(ruleset.match(/accept$/gm)?.length, 1, 'one exception');
});

await t.test(
  'RFC9568-6.4.3-6 positive: with Accept_Mode, the default, and for the owner nothing is dropped',
  async (t) => {
    const result = config('192.168.1.253/24');
    t.ok(result.ok);
    if (result.ok) t.equal(result.config.instances[0]?.acceptMode, true);
    t.notMatch(acceptFilterRuleset([]), 'drop');
  },
);
await t.test('RFC9568-6.4.3-6 negative: what is not to be accepted is named and dropped', async (t) => {
  t.match(acceptFilterRuleset(['192.168.1.253']), /elements = \{ 192\.168\.1\.253 \}[^]*ip daddr @ipv4 drop/);
});
await t.test(
  'RFC9568-6.4.3-7 positive: with accept_mode false packets to the addresses are dropped',
  async (t) => {
    const result = config('192.168.1.253/24', 'accept_mode: false');
    t.ok(result.ok);
    if (result.ok) t.equal(result.config.instances[0]?.acceptMode, false);
    t.match(
      acceptFilterRuleset(['192.168.1.253', 'fe80::1']),
      /ip daddr @ipv4 drop\n\s+ip6 daddr @ipv6 drop/,
    );
  },
);
await t.test('RFC9568-6.4.3-7 negative: and packets to no other address', async (t) => {
  const ruleset = acceptFilterRuleset(['192.168.1.253']);
  t.match(ruleset, 'policy accept');
  t.same(ruleset.match(/elements = .*/g), ['elements = { 192.168.1.253 }']);
});

await t.test(
  'RFC9568-8.1.2-4 positive: each IPv4 address is announced with the MAC address that serves it',
  async (t) => {
    const frame = gratuitousArp(VIRTUAL_MAC, knownAddressBytes('192.168.1.253'));
    t.same(frame.subarray(0, 6), new Uint8Array(6).fill(0xff), 'broadcast');
    t.same(frame.subarray(6, 12), VIRTUAL_MAC, 'Ethernet source');
    t.same(frame.subarray(22, 28), VIRTUAL_MAC, 'sender hardware address');
    t.equal(addressText(frame.subarray(28, 32)), '192.168.1.253', 'sender');
    t.equal(addressText(frame.subarray(38, 42)), '192.168.1.253', 'target');
  },
);
await t.test('RFC9568-8.1.2-4 negative: nobody is announced before it is master', async (t) => {
  const bench = new Bench([instance('outside')]);
  t.notOk(bench.at(0, { type: 'start' }).includes('outside announce'));
  t.notOk(bench.hear(100, 'outside', 50).includes('outside announce'));
});
await t.test('RFC9568-8.2.2-6 positive: each IPv6 address is announced: R set, S clear, O set', async (t) => {
  const frame = unsolicitedNeighbourAdvertisement(VIRTUAL_MAC, knownAddressBytes('2001:db8::1'));
  const icmp = frame.subarray(54);
  t.equal(icmp[0], 136);
  t.equal(icmp[4], 0b1010_0000);
  t.equal(addressText(icmp.subarray(8, 24)), '2001:db8::1');
  t.same(icmp.subarray(24), Uint8Array.of(2, 1, ...VIRTUAL_MAC), 'target link-layer address');
});
await t.test('RFC9568-8.2.2-6 negative: an address of the other family is refused', async (t) => {
  t.throws(
    () => unsolicitedNeighbourAdvertisement(VIRTUAL_MAC, knownAddressBytes('192.168.1.253')),
    RangeError,
  );
  t.throws(() => gratuitousArp(VIRTUAL_MAC, knownAddressBytes('fe80::1')), RangeError);
});

await t.test(
  'RFC9568-7.3-1 positive: 00-00-5E-00-01-VRID for IPv4, 00-00-5E-00-02-VRID for IPv6',
  async (t) => {
    t.equal(virtualMacAddress(vrrpInstance({ virtualRouterId: 51 })), '00:00:5e:00:01:33');
    t.equal(virtualMacAddress(vrrpInstance({ virtualRouterId: 1, family: 'ipv6' })), '00:00:5e:00:02:01');
  },
);
await t.test('RFC9568-7.3-1 negative: no two virtual routers of a link share one', async (t) => {
  const all = new Set<string>();
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (let virtualRouterId = 1; virtualRouterId <= 255; virtualRouterId++)
      all.add(virtualMacAddress(vrrpInstance({ virtualRouterId, family })));
  }
  t.equal(all.size, 510);
});
