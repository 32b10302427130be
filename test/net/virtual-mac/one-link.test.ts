/** One VRID on two interfaces that lead to one link: one virtual MAC address at two ports of the switch. */
import t from 'tap';
import { Bench, FILE_LIMIT_MS, instanceOf, settled, stop, testUnless } from '../daemon-helpers.js';
import { servedBy, settledIn, skip, V3 } from './routers.js';

t.setTimeout(FILE_LIMIT_MS);

const ROUTERS = [V3, { ...V3, name: 'b', vip: '10.7.0.253' }];
const FILE = `version: 1
directors:
  lb1: { priority: 150, address: 10.7.0.11 }
  lb2: { priority: 100, address: 10.7.0.12 }
vrrp:
  instances:
    - name: a
      interface: eth0
      virtual_router_id: 51
      advertisement_interval: 200ms
      preempt: false
      addresses: [192.168.7.253/24]
      virtual_mac: true
    - name: b
      interface: eth1
      virtual_router_id: 51
      advertisement_interval: 200ms
      preempt: false
      addresses: [10.7.0.253/24]
      virtual_mac: true
`;

testUnless(skip)(
  'one master for each, the client reaches both, and the backup names the clash',
  async (t) => {
    const bench = await Bench.open(t);
    for (const host of ['lb1', 'lb2']) {
      await bench.switches('ip', 'link', 'set', `${host}-inside`, 'master', 'outside');
    }
    await bench.lab.run('client', ['ip', 'addr', 'add', '10.7.0.100/24', 'dev', 'eth0']);
    const [lb1, lb2] = await bench.pair(FILE);
    await servedBy(t, bench, 'lb1', ROUTERS);
    const clashes = () => lb2.log.map(({ msg }) => msg).filter((msg) => msg.includes('another cluster'));
    await settled('the clash is told, from either side', () => clashes().length >= 2);
    t.match(clashes().join('\n'), /uses VRID 51 on eth1 for other addresses \(192\.168\.7\.253\)/);
    t.match(clashes().join('\n'), /uses VRID 51 on eth0 for other addresses \(10\.7\.0\.253\)/);
    for (const name of ['a', 'b']) {
      t.match(await instanceOf(lb1, name), { state: 'master', counters: { became_master: 1 } });
      t.match(await instanceOf(lb2, name), { state: 'backup', counters: { became_master: undefined } });
    }
    await stop(lb1);
    await settledIn(lb2, 'master');
    await servedBy(t, bench, 'lb2', ROUTERS);
  },
);
