import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { HAND_OVER_REMOVAL, handOverRuleset } from '../../../src/planning/hand-over.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';

const WEB = virtualServer({
  realServers: [realServer('10.0.0.2', { forwarding: 'nat' }), realServer('10.0.0.3', { forwarding: 'dr' })],
});

const of = (virtualServers: readonly VirtualServer[], own: readonly string[] = [], waits = true) =>
  handOverRuleset(virtualServers, { own: new Set(own), waits: () => waits });

void t.test('one table: packets of connections nobody knows, and answers that are not translated', (t) => {
  t.equal(
    of([WEB]),
    `${HAND_OVER_REMOVAL}table inet lvs_director_hand_over {
  set virtual_ipv4 {
    type ipv4_addr . inet_service
    elements = { 192.0.2.51 . 80 }
  }
  set real_ipv4 {
    type ipv4_addr . inet_service
    elements = { 10.0.0.2 . 80 }
  }
  set virtual_ipv6 {
    type ipv6_addr . inet_service
  }
  set real_ipv6 {
    type ipv6_addr . inet_service
  }
  chain input {
    type filter hook input priority 200; policy accept;
    fib daddr . iif type local tcp flags & syn == 0x0 ip daddr . tcp dport @virtual_ipv4 counter drop
    fib daddr . iif type local tcp flags & syn == 0x0 ip6 daddr . tcp dport @virtual_ipv6 counter drop
  }
  chain forward {
    type filter hook forward priority 200; policy accept;
    ip saddr . tcp sport @real_ipv4 counter drop
    ip6 saddr . tcp sport @real_ipv6 counter drop
  }
}
`,
  );
  t.end();
});

void t.test('nothing of what may be this host’s own connections', (t) => {
  t.equal(of([WEB], ['10.0.0.3']), undefined, 'a real server is on this host');
  t.equal(
    of([{ ...WEB, sorryServer: realServer('10.0.0.9') }], ['10.0.0.9']),
    undefined,
    'the sorry server is',
  );
  t.equal(of([WEB], [], false), undefined, 'this host has long been master');
  t.equal(of([onPort(WEB, 0)]), undefined, 'all ports');
  t.equal(of([{ ...WEB, service: { fwmark: 7, family: 'ipv4' } }]), undefined, 'a firewall mark');
  t.equal(of([{ ...WEB, service: { protocol: 'udp', address: '192.0.2.51', port: 53 } }]), undefined, 'UDP');
  t.end();
});
