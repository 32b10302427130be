import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { SOURCE_NAT_REMOVAL, sourceNatChain, sourceNatRuleset } from '../../../src/planning/source-nat.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';

const real = (host: number, port = 80) => realServer(`10.0.0.${host}`, { port, forwarding: 'fullnat' });
const of = (virtualServers: readonly VirtualServer[]) =>
  sourceNatRuleset({ virtualServers, masquerades: [] });
const WEB = virtualServer({ realServers: [real(2), real(3, 8000)] });

void t.test('where no real server has it there is nothing', (t) => {
  t.equal(of([]), undefined);
  t.equal(of([virtualServer({ realServers: [realServer('10.0.0.2')] })]), undefined);
  t.end();
});

void t.test('one table, made anew in one transaction: what was asked for, and who answers it', (t) => {
  const text = of([WEB]);
  const chain = sourceNatChain(text);
  t.match(chain, /^postrouting_[0-9a-f]{8}$/);
  t.equal(
    text,
    `${SOURCE_NAT_REMOVAL}table inet lvs_director_nat {
  set translated_0 {
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    elements = { 192.0.2.51 . 80 . 10.0.0.2 . 80, 192.0.2.51 . 80 . 10.0.0.3 . 8000 }
  }
  chain ${chain} {
    type nat hook postrouting priority 100; policy accept;
    meta l4proto tcp ct original ip daddr . ct original proto-dst . ip daddr . tcp dport @translated_0 masquerade
  }
}
`,
  );
  t.end();
});

void t.test('a set and a rule for each way to know a connection, and each source', (t) => {
  const { realServers } = WEB;
  const servers = [
    WEB,
    onPort(WEB, 443),
    { ...WEB, snatAddress: '10.0.0.1' },
    { ...WEB, service: { fwmark: 7, family: 'ipv4' as const }, realServers: [real(2, 0)] },
    onPort({ ...WEB, realServers: [real(2, 0)] }, 0),
    virtualServer({
      service: { protocol: 'udp', address: '2001:db8::1', port: 53 },
      snatAddress: 'fd00::1',
      realServers: [realServer('fd00::2', { port: 53, forwarding: 'fullnat' })],
    }),
    { ...WEB, realServers: [realServer('10.0.0.7', { forwarding: 'dr' })], sorryServer: realServers[0] },
  ];
  const text = of(servers) ?? '';
  const rules = text.split('\n').filter((line) => / (masquerade|snat .*)$/.test(line));
  t.same(
    rules.map((line) => line.trim()),
    [
      'meta l4proto tcp ct original ip daddr . ct original proto-dst . ip daddr . tcp dport @translated_0 masquerade',
      'meta l4proto tcp ct original ip daddr . ct original proto-dst . ip daddr . tcp dport @translated_1 snat ip to 10.0.0.1',
      'meta mark . ip daddr @translated_2 masquerade',
      'meta l4proto tcp ct original ip daddr . ip daddr @translated_3 masquerade',
      'meta l4proto udp ct original ip6 daddr . ct original proto-dst . ip6 daddr . udp dport @translated_4 snat ip6 to fd00::1',
    ],
  );
  t.match(text, 'elements = { 7 . 10.0.0.2 }');
  t.match(text, 'elements = { 192.0.2.51 . 10.0.0.2 }');
  t.match(text, 'elements = { 2001:db8::1 . 53 . fd00::2 . 53 }');
  t.notMatch(text, '10.0.0.7');
  t.end();
});

void t.test('masquerade: what leaves by an interface, but for what stays in its network', (t) => {
  const masquerades = [
    { source: '10.10.10.0/24', interface: 'eth0', snatAddress: undefined },
    { source: 'fd00::/64', interface: 'eth0.100', snatAddress: '2001:db8::1' },
  ];
  const text = sourceNatRuleset({ virtualServers: [], masquerades }) ?? '';
  t.match(text, '    oifname "eth0" ip saddr 10.10.10.0/24 ip daddr != 10.10.10.0/24 masquerade\n');
  t.match(text, 'oifname "eth0.100" ip6 saddr fd00::/64 ip6 daddr != fd00::/64 snat ip6 to 2001:db8::1\n');
  const odd = [{ source: '10.0.0.0/8', interface: 'a"b', snatAddress: undefined }];
  t.throws(() => sourceNatRuleset({ virtualServers: [], masquerades: odd }), RangeError);
  t.end();
});
