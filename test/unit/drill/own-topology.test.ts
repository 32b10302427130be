/** The lab of somebody's own file: what the ready configurations give is what the labs made by hand have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import t from 'tap';
import type { DirectorConfig } from '../../../src/config/model.js';
import { parseConfig } from '../../../src/config/parse.js';
import { directorNames, withoutHooks } from '../../../src/drill/lab/lab-config.js';
import { hostBatch, switchBatch } from '../../../src/drill/lab/lab-plan.js';
import { ownTopology } from '../../../src/drill/lab/own-topology.js';
import { TOPOLOGIES, type Topology } from '../../../src/drill/lab/topology.js';
import { CONFIG_FOLDER } from '../../../src/program.js';

function textOf(file: string): string {
  return readFileSync(join(CONFIG_FOLDER, file), 'utf8');
}

function views(text: string): DirectorConfig[] {
  return directorNames(text).map((name) => {
    const result = parseConfig(text, { name });
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    return result.config;
  });
}

function topologyOf(text: string): Topology {
  return ownTopology(views(text), '/etc/lvs-director/director.yaml');
}

/** Of the real servers, as they are on the wire. */
function serversOf({ hosts }: Topology): unknown[] {
  return hosts
    .filter(({ role }) => role === 'real-server')
    .map(({ cables, extraAddresses, gateway, httpPorts = [] }) => ({
      addresses: cables.map(({ address }) => address),
      extra: extraAddresses ?? [],
      gateway: gateway ?? '',
      ports: [...httpPorts].toSorted((a, b) => a - b),
    }));
}

await t.test('the ready configurations', async (t) => {
  for (const name of ['nat', 'dr', 'tun', 'fullnat', 'virtual-mac'] as const) {
    const made = TOPOLOGIES[name];
    const own = topologyOf(textOf(made.configFile));
    t.match(own, { name: 'own', vip: made.vip, port: made.port }, name);
    t.same(serversOf(own), serversOf(made), `${name}: real servers`);
    const lines = switchBatch(own, () => 7);
    t.equal(new Set(lines).size, lines.length, `${name}: no port has the name of another`);
    const addresses = own.hosts.flatMap(({ cables }) => cables.map(({ address }) => address));
    t.equal(new Set(addresses).size, addresses.length, `${name}: nobody has the address of another`);
    for (const director of ['lb1', 'lb2']) {
      const host = own.hosts.find((one) => one.name === director);
      const twin = made.hosts.find((one) => one.name === director);
      // Those that the file names; the others are any that are free.
      const told = twin?.cables.at(-1);
      t.match(host?.cables.find((one) => one.interface === told?.interface)?.address, told?.address, name);
      t.same(
        host?.cables.map((one) => one.interface),
        twin?.cables.map((one) => one.interface),
        `${name}: ${director} has the interfaces of the file`,
      );
    }
  }
});

await t.test('a real server has what several virtual servers ask of it', async (t) => {
  const own = topologyOf(textOf('nat-port-mapping.yaml'));
  t.same(
    own.hosts.flatMap(({ role, httpPorts = [] }) =>
      role === 'real-server' ? [[...httpPorts].toSorted((a, b) => a - b)] : [],
    ),
    [[80], [21, 8000]],
  );
});

const NAMES = `version: 1
directors:
  a-director-with-a-long-name: { address: 10.0.0.1 }
  another-one-of-that-length: { address: 10.0.0.2 }
vrrp:
  instances:
    - name: v
      interface: { a-director-with-a-long-name: ens33, another-one-of-that-length: enp1s0 }
      virtual_router_id: 7
      addresses: [192.0.2.1/28]
connection_sync: { interface: bond0, id: 1 }
virtual_servers:
  - { name: w, address: 192.0.2.1, port: 80, scheduler: rr, forwarding: dr, real_servers: [{ address: 192.0.2.9 }] }
`;

await t.test(
  'interfaces of different names, long names, a network of which the file tells little',
  async (t) => {
    const own = topologyOf(NAMES);
    const [client, first, second, server] = own.hosts;
    t.match(client?.cables, [{ address: '192.0.2.12/28' }], 'a free address of the client');
    t.same(
      first?.cables.map((one) => [one.interface, one.address]),
      [
        ['ens33', '192.0.2.14/28'],
        ['bond0', '10.0.0.1/24'],
      ],
      'its own address is where no virtual one is',
    );
    t.same(
      second?.cables.map((one) => one.interface),
      ['enp1s0', 'bond0'],
    );
    t.same(server?.extraAddresses, [{ interface: 'lo', address: '192.0.2.1/32' }]);
    t.doesNotThrow(() => switchBatch(own, () => 7), 'the kernel takes the names of the ports');
    t.ok(first !== undefined && hostBatch(first).length > 0);
  },
);

await t.test('what the lab cannot be made from is named', async (t) => {
  const cases: [string, RegExp][] = [
    [textOf('services.yaml'), /it has IPv6 addresses \(/],
    [NAMES.replace('192.0.2.9', '203.0.113.9'), /203\.0\.113\.9 is in no network/],
    [NAMES.replace('forwarding: dr', 'forwarding: nat'), /192\.0\.2\.9, with nat, needs a virtual address/],
    [NAMES.replace(/virtual_servers:[^]*/, ''), /no virtual server of TCP/],
    [NAMES.replace(/ {2}another.*\n/, '').replace(/, another[^}]*/, ' '), /1 directors/],
    [NAMES.replace('forwarding: dr,', 'forwarding: dr, health_check: { https: {} },'), /w: .*TCP and HTTP/],
  ];
  for (const [text, reason] of cases) {
    t.throws(() => topologyOf(text), { code: 'ERR_DRILL_UNSUPPORTED', message: reason });
  }
});

await t.test('hooks of the file are not run', async (t) => {
  const text = 'vrrp:\n  instances: []\n  hooks: [{ command: [/bin/true] }]\n';
  t.same(load(withoutHooks(text)), { vrrp: { instances: [] } });
  t.equal(withoutHooks('version: 1\n'), 'version: 1\n');
  t.same(directorNames('{'), [], 'no text, no names');
});
