/** Rules of BFD sessions, and what becomes of them. */
import t, { type Test } from 'tap';
import { cautions } from '../../../src/config/cautions.js';
import type { DirectorConfig } from '../../../src/config/model.js';
import { parseConfig } from '../../../src/config/parse.js';
import { planBfd } from '../../../src/planning/bfd-sessions.js';
import { type Case, checkEdits } from './cases.js';

const PEERS = 'peers: { lb1: 192.168.1.11, lb2: 192.168.1.12 }';
const GOOD = `version: 1
directors:
  lb1: { priority: 150, address: 10.10.10.11 }
  lb2: { priority: 100, address: 10.10.10.12 }
vrrp:
  track:
    - { name: upstream, bfd: { peer: 192.168.1.1, interface: { lb1: eth0, lb2: ens3 }, interval: 100ms } }
  instances:
    - name: outside
      interface: eth0
      virtual_router_id: 51
      addresses: [192.168.1.253/24]
      bfd: { ${PEERS}, interval: 15ms, multiplier: 3 }
      track: [upstream]
    - name: inside
      interface: eth1
      virtual_router_id: 52
      addresses: [10.10.10.1/24]
      transport: unicast
      bfd: {}
  sync_groups:
    - { name: pair, instances: [outside, inside] }
`;

function configOf(t: Test, text: string, name = 'lb1'): DirectorConfig {
  const result = parseConfig(text, { name });
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  t.ok(result.ok);
  return result.config;
}

void t.test('each director finds its peers', async (t) => {
  const [outside, inside] = configOf(t, GOOD).instances;
  t.same(outside?.bfd, {
    local: '192.168.1.11',
    peers: ['192.168.1.12'],
    settings: { intervalMs: 15, minReceiveMs: 15, multiplier: 3 },
  });
  t.match(inside?.bfd, { local: '10.10.10.11', peers: ['10.10.10.12'] }, 'those of the transport');
  const theirs = configOf(t, GOOD, 'lb2');
  t.match(theirs.instances[0]?.bfd, { local: '192.168.1.12', peers: ['192.168.1.11'] });
  t.match(theirs.tracked[0]?.kind, {
    type: 'bfd',
    interface: 'ens3',
    peer: '192.168.1.1',
    source: undefined,
    settings: { intervalMs: 100, minReceiveMs: 100, multiplier: 3 },
  });
});

void t.test('who asks for a session with one peer of a link shares it', async (t) => {
  const shared = GOOD.replace('peer: 192.168.1.1,', 'peer: 192.168.1.12,')
    .replace('interval: 100ms', 'interval: 15ms')
    .replace('{ lb1: eth0, lb2: ens3 }', 'eth0');
  const sessions = planBfd(configOf(t, shared));
  t.match(sessions, [
    { interface: 'eth0', peer: '192.168.1.12', source: '192.168.1.11', instances: ['outside'] },
    { interface: 'eth1', peer: '10.10.10.12', instances: ['inside'], objects: [] },
  ]);
  t.equal(sessions[0]?.objects[0]?.name, 'upstream');
});

void t.test('rules', async (t) => {
  const tracked = 'bfd: { peer: 192.168.1.1, interface: { lb1: eth0, lb2: ens3 }, interval: 100ms }';
  const object = (text: string): Case[0] => `bfd: { ${text} }`;
  checkEdits(t, GOOD, [
    [PEERS, PEERS],
    ['interval: 15ms', 'interval: 9ms', /bfd\.interval: expected a duration from 10ms to 10s/],
    ['multiplier: 3', 'multiplier: 0', /bfd\.multiplier: expected a whole number from 1 to 255/],
    ['multiplier: 3', 'multiply: 3', /unknown key 'multiply'/],
    [PEERS, 'peers: { lb1: 192.168.1.11 }', /bfd\.peers: names no address for lb2/],
    [
      PEERS,
      'peers: { lb1: 192.168.1.11, lb2: 192.168.1.11 }',
      /there is already a director with the address/,
    ],
    [PEERS, 'peers: { lb1: "fe80::1", lb2: "fe80::2" }', /bfd\.peers: .* is IPv6, and the instance IPv4/],
    [tracked, object('interface: eth0'), /bfd\.peer: is missing/],
    [tracked, object('peer: 192.168.1.1'), /bfd\.interface: is missing/],
    [tracked, `${tracked}, file: /x`, /tracks 'bfd' already/],
    [
      tracked,
      object('peer: 192.168.1.1, interface: eth0, source: "fe80::1"'),
      /bfd\.source: the source fe80::1 is IPv6, and the peer 192\.168\.1\.1 IPv4/,
    ],
    [
      tracked,
      object('peer: "2001:db8::1", interface: eth0'),
      /bfd: names no source for the peer 2001:db8::1/,
    ],
    [tracked, object('peer: "fe80::1", interface: eth0')],
    [tracked, object('peer: "2001:db8::1", interface: eth0, source: "2001:db8::2"')],
    [tracked, object('peer: 192.168.1.12, interface: eth0'), /another BFD session with 192\.168\.1\.12/],
    [
      tracked,
      object('peer: { lb1: 192.168.1.1 }, interface: eth0'),
      /bfd\.peer: names no peer for lb2: every director needs one/,
    ],
  ]);
});

void t.test('no more sessions than the election bears', async (t) => {
  const objects = Array.from(
    { length: 32 },
    (_, i) => `    - { name: o${i}, bfd: { peer: 192.168.2.${i + 1}, interface: eth0 } }`,
  );
  const result = parseConfig(GOOD.replace('  instances:', `${objects.join('\n')}\n  instances:`), {
    name: 'lb1',
  });
  t.match(result, { ok: false, faults: [{ path: 'vrrp', message: /asks for 35 BFD sessions/ }] });
});

void t.test('a sync group with an instance without BFD is told of', async (t) => {
  t.same(cautions(configOf(t, GOOD)), []);
  const slow = configOf(t, GOOD.replace('      bfd: {}\n', ''));
  t.match(cautions(slow), [{ path: ['vrrp', 'instances', 1], message: /inside has no bfd/ }]);
});
