import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import {
  gateElements,
  HAND_OVER_REMOVAL,
  handOverRuleset,
  planHandOver,
} from '../../../src/planning/hand-over.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';

const WEB = virtualServer({
  realServers: [realServer('10.0.0.2', { forwarding: 'nat' }), realServer('10.0.0.3', { forwarding: 'dr' })],
});

const OUTSIDE = { name: 'outside', addresses: [{ address: '192.0.2.51' }] };
const INSIDE = { name: 'inside', addresses: [{ address: '2001:db8::51' }] };
const FOR_EVER = () => Number.POSITIVE_INFINITY;

const of = (virtualServers: readonly VirtualServer[], own: readonly string[] = []) =>
  planHandOver([INSIDE, OUTSIDE], virtualServers, new Set(own));

void t.test('one table: packets of connections nobody knows, and answers that are not translated', (t) => {
  const six = virtualServer({
    service: { protocol: 'tcp', address: '2001:db8::51', port: 80 },
    realServers: [realServer('fd00::2', { forwarding: 'dr' })],
  });
  t.equal(
    handOverRuleset(of([WEB, six]), (instance) =>
      instance === 'outside' ? 4200.5 : Number.POSITIVE_INFINITY,
    ),
    `${HAND_OVER_REMOVAL}table inet lvs_director_hand_over {
  set waits_0 {
    type inet_proto
    flags timeout
    elements = { tcp timeout 4201ms }
  }
  set virtual_ipv4_waits_0 {
    type ipv4_addr . inet_service
    elements = { 192.0.2.51 . 80 }
  }
  set real_ipv4_waits_0 {
    type ipv4_addr . inet_service
    elements = { 10.0.0.2 . 80 }
  }
  set waits_1 {
    type inet_proto
    flags timeout
    elements = { tcp }
  }
  set virtual_ipv6_waits_1 {
    type ipv6_addr . inet_service
    elements = { 2001:db8::51 . 80 }
  }
  chain input {
    type filter hook input priority 200; policy accept;
    meta l4proto @waits_0 fib daddr . iif type local tcp flags & syn == 0x0 ip daddr . tcp dport @virtual_ipv4_waits_0 counter drop
    meta l4proto @waits_1 fib daddr . iif type local tcp flags & syn == 0x0 ip6 daddr . tcp dport @virtual_ipv6_waits_1 counter drop
  }
  chain forward {
    type filter hook forward priority 200; policy accept;
    meta l4proto @waits_0 ip saddr . tcp sport @real_ipv4_waits_0 counter drop
  }
}
`,
  );
  t.end();
});

void t.test('a gate holds TCP while its instance waits', (t) => {
  const plan = of([WEB]);
  const gate = { table: 'lvs_director_hand_over', set: 'waits_0', key: Uint8Array.of(6) };
  t.strictSame(gateElements(plan, ['outside', 'inside'], FOR_EVER), [
    { ...gate, timeoutMs: Number.POSITIVE_INFINITY },
  ]);
  t.strictSame(
    gateElements(plan, ['outside'], () => 5000),
    [{ ...gate, timeoutMs: 5000 }],
  );
  t.strictSame(
    gateElements(plan, ['outside'], () => 0),
    [{ ...gate, timeoutMs: 1 }],
    'as good as none',
  );
  t.notMatch(
    handOverRuleset(plan, () => 0),
    /tcp timeout|\{ tcp \}/,
  );
  t.end();
});

void t.test('nothing of what may be this host’s own connections', (t) => {
  t.equal(of([WEB], ['10.0.0.3']).size, 0, 'a real server is on this host');
  t.equal(of([{ ...WEB, sorryServer: realServer('10.0.0.9') }], ['10.0.0.9']).size, 0, 'the sorry server is');
  t.equal(planHandOver([INSIDE], [WEB], new Set()).size, 0, 'no instance has the address');
  t.equal(of([onPort(WEB, 0)]).size, 0, 'all ports');
  t.equal(of([{ ...WEB, service: { fwmark: 7, family: 'ipv4' } }]).size, 0, 'a firewall mark');
  t.equal(of([{ ...WEB, service: { protocol: 'udp', address: '192.0.2.51', port: 53 } }]).size, 0, 'UDP');
  t.equal(handOverRuleset(of([]), FOR_EVER), undefined, 'then there is no table');
  t.end();
});
