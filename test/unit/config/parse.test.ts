import { readFileSync } from 'node:fs';
import t from 'tap';
import { type DirectorConfig, NO_IPVS_SETTINGS } from '../../../src/config/model.js';
import { parseConfig } from '../../../src/config/parse.js';
import { jsonSchema } from '../../../src/config/schema/schema.js';
import { TOPOLOGY_NAMES } from '../../../src/drill/lab/topology.js';
import { vrrpInstance } from '../vrrp/instances.js';
import { httpCheck, oneCheck, realServer, tcpCheck, virtualServer } from './servers.js';

const ROOT = new URL('../../../../', import.meta.url);

function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/** Faults as `LINE:COLUMN PATH: message`. */
function faultsOf(text: string, name = 'lb1'): string[] {
  const result = parseConfig(text, { name });
  if (result.ok) return [];
  return result.faults.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

function configOf(text: string, name = 'lb1'): DirectorConfig {
  const result = parseConfig(text, { name });
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.config;
}

void t.test('every file in config/ is good for both directors', async (t) => {
  for (const file of [...TOPOLOGY_NAMES, 'ipv6', 'unicast']) {
    const text = readText(`config/${file}.yaml`);
    for (const name of ['lb1', 'lb2']) t.same(faultsOf(text, name), [], `${file} ${name}`);
  }
});

void t.test('the examples of docs/CONFIG.md are good', async (t) => {
  const examples = [...readText('docs/CONFIG.md').matchAll(/^```yaml\n([^]*?)^```/gm)].map(
    (match) => match[1] ?? '',
  );
  const [whole, ...parts] = examples;
  const head = 'version: 1\ndirectors: { lb1: { address: 10.0.0.1 }, lb2: { address: 10.0.0.2 } }\n';
  t.equal(parts.length, 7);
  for (const text of [whole ?? '', ...parts.map((part) => head + part)]) t.same(faultsOf(text), []);
});

void t.test('nat.yaml as lb2 sees it', async (t) => {
  const config = configOf(readText('config/nat.yaml'), 'lb2');
  t.strictSame(config, {
    director: 'lb2',
    peers: ['10.10.10.11'],
    saysVrrp: true,
    instances: [
      vrrpInstance({
        name: 'outside',
        interface: 'eth0',
        virtualRouterId: 51,
        addresses: [{ address: '192.168.1.253', prefixLength: 24, interface: 'eth0' }],
        preempt: { mode: 'synced', delayMs: 0, atMostMs: 60_000 },
      }),
      vrrpInstance({
        name: 'inside',
        interface: 'eth1',
        virtualRouterId: 52,
        addresses: [{ address: '10.10.10.1', prefixLength: 24, interface: 'eth1' }],
        preempt: { mode: 'synced', delayMs: 0, atMostMs: 60_000 },
      }),
    ],
    syncGroups: [{ name: 'pair', instances: ['outside', 'inside'], track: [] }],
    tracked: [],
    hooks: [],
    permanentAddresses: false,
    connectionSync: { interface: 'eth1', id: 51 },
    peerChannel: {
      address: '10.10.10.12',
      port: 8113,
      keyFile: undefined,
      gateway: undefined,
      peers: [{ name: 'lb1', address: '10.10.10.11' }],
      sections: {},
    },
    ipvs: NO_IPVS_SETTINGS,
    virtualServers: [
      virtualServer({
        service: { protocol: 'tcp', address: '192.168.1.253', port: 80 },
        healthChecks: oneCheck(tcpCheck({ kind: httpCheck() })),
        realServers: [realServer('10.10.10.2'), realServer('10.10.10.3')],
      }),
    ],
    masquerades: [],
    metrics: undefined,
  });
});

void t.test('defaults', async (t) => {
  const config = configOf(`version: 1
directors: { lb1: { address: 10.0.0.1 } }
vrrp:
  instances:
    - { name: a, interface: eth0, virtual_router_id: 1, addresses: [10.0.0.9/24] }
virtual_servers:
  - name: web
    address: 10.0.0.9
    port: 80
    forwarding: dr
    persistence: {}
    health_check: { http: {} }
    real_servers: [{ address: 10.0.0.2 }]
  - { name: dns, address: 10.0.0.9, port: 53, protocol: udp, forwarding: nat, real_servers: [{ address: 10.0.0.2 }] }
`);
  t.match(config.instances[0], {
    priority: 100,
    advertisementIntervalMs: 1000,
    preempt: { mode: 'always', delayMs: 0 },
    checksum: 'rfc5798',
  });
  t.same(config.syncGroups, []);
  t.equal(config.connectionSync, undefined);
  t.match(config.virtualServers[0], {
    service: { protocol: 'tcp', address: '10.0.0.9', port: 80 },
    scheduler: 'wlc',
    schedulerFlags: [],
    onePacket: false,
    persistence: { timeoutMs: 300_000, netmask: '255.255.255.255', engine: undefined },
    healthChecks: {
      needs: 'all',
      checks: [
        {
          kind: httpCheck(),
          intervalMs: 2000,
          timeoutMs: 1000,
          rise: 2,
          fall: 3,
          retry: 0,
          delayBeforeRetryMs: 1000,
        },
      ],
    },
    realServers: [realServer('10.0.0.2', { forwarding: 'dr' })],
  });
  t.equal(config.virtualServers[1]?.healthChecks, undefined, 'no check unless asked for');
});

void t.test('what each director has of its own', async (t) => {
  const text = `version: 1
directors:
  lb1: { priority: 150, address: 10.0.0.1 }
  lb2: { priority: 100, address: 10.0.0.2 }
vrrp:
  instances:
    - name: a
      interface: { lb1: ens33, lb2: eth0 }
      virtual_router_id: 1
      priority: { lb2: 255 }
      preempt: { delay: 30s }
      checksum: rfc9568
      addresses:
        - 10.0.0.9/24
        - { address: 10.1.0.9/32 }
        - { address: 10.2.0.9/16, interface: { lb1: x, lb2: y } }
connection_sync: { interface: { lb1: ens34, lb2: eth1 }, id: 7 }
`;
  const [lb1, lb2] = [configOf(text, 'lb1'), configOf(text, 'lb2')];
  t.match(lb1.instances[0], { interface: 'ens33', priority: 150 });
  t.match(lb2.instances[0], {
    interface: 'eth0',
    priority: 255,
    // The owner does not wait, whatever preempt says.
    preempt: { mode: 'always', delayMs: 0 },
    checksum: 'rfc9568',
    addresses: [
      { address: '10.0.0.9', prefixLength: 24, interface: 'eth0' },
      { address: '10.1.0.9', prefixLength: 32, interface: 'eth0' },
      { address: '10.2.0.9', prefixLength: 16, interface: 'y' },
    ],
  });
  t.equal(lb1.connectionSync?.interface, 'ens34');
  t.equal(lb2.connectionSync?.interface, 'eth1');
  t.same(lb1.peers, ['10.0.0.2']);
});

void t.test('the director may be found by the short host name, the full one comes first', async (t) => {
  const text = 'version: 1\ndirectors: { lb1: { address: 10.0.0.1 }, lb1.example: { address: 10.0.0.2 } }';
  const full = parseConfig(text, { name: 'lb1.example', shortName: 'lb1' });
  const short = parseConfig(text, { name: 'lb1.other', shortName: 'lb1' });
  const renamed = parseConfig(text, { current: 'lb1', name: 'lb1.example' });
  const renamedInBoth = parseConfig(text, { current: 'lb9', name: 'lb1.example' });
  t.equal(full.ok && full.config.director, 'lb1.example');
  t.equal(short.ok && short.config.director, 'lb1');
  t.equal(renamed.ok && renamed.config.director, 'lb1', 'who runs stays who it is');
  t.equal(renamedInBoth.ok && renamedInBoth.config.director, 'lb1.example', 'unless the file has it no more');
});

void t.test('five faults in one file, each at its place', async (t) => {
  t.strictSame(faultsOf(readText('test/fixtures/config/five-faults.yaml')), [
    '4:20 directors.lb1.priority: expected a whole number from 1 to 255, not 300',
    '12:31 vrrp.instances[0].advertisement_interval: a duration needs a unit: write 1s instead of 1',
    "13:7 vrrp.instances[0].adresses: unknown key 'adresses'; did you mean 'addresses'?",
    "17:19 vrrp.instances[1].addresses[0]: '10.10.10.1/33' has a bad prefix length: expected 1 to 32",
    "19:42 vrrp.sync_groups[0].instances[1]: no instance is named 'insde'; did you mean 'inside'?",
  ]);
});

void t.test('a syntax error has its line and column and no path', async (t) => {
  const result = parseConfig(readText('test/fixtures/config/syntax-error.txt'), { name: 'lb1' });
  t.match(result, { ok: false, faults: [{ line: 4, column: 2, path: '', message: /^not valid YAML: / }] });
  t.equal(!result.ok && result.faults.length, 1);
});

void t.test('a missing key is told where it belongs, once', async (t) => {
  const base = 'version: 1\ndirectors: { lb1: { address: 10.0.0.1 } }\n';
  t.same(faultsOf(`${base}connection_sync:\n  id: 1\n`), [
    '3:1 connection_sync.interface: is missing: expected an interface name, or a mapping with one for each director',
  ]);
  t.same(faultsOf(`${base}connection_sync:\n  id: 1\n  interfaces: eth0\n`), [
    "5:3 connection_sync.interfaces: unknown key 'interfaces'; did you mean 'interface'?",
  ]);
  t.same(faultsOf(`${base}connection_sync:\n  id: 1\n  colour: eth0\n`), [
    '3:1 connection_sync.interface: is missing: expected an interface name, or a mapping with one for each director',
    "5:3 connection_sync.colour: unknown key 'colour'; known here: interface, id",
  ]);
  t.same(faultsOf(`${base}vrrp:\n`), [
    '3:1 vrrp: expected a mapping (instances, sync_groups, track, hooks, startup_delay, permanent_addresses), not an empty value',
  ]);
});

void t.test(
  'positions hold with CRLF, a tab in a comment, quotes and a byte order mark left to the reader',
  async (t) => {
    const text = 'version: 1 #\t\r\ndirectors:\r\n  lb1: { address: "10.0.0.x" }\r\n';
    t.same(faultsOf(text), [
      "3:19 directors.lb1.address: '10.0.0.x' is not an IPv4 address such as 192.168.1.253",
    ]);
  },
);

void t.test('more faults than are told', async (t) => {
  const lines = Array.from({ length: 5000 }, (_, index) => `key${index}: 1`).join('\n');
  const faults = faultsOf(lines);
  t.equal(faults.length, 1001);
  t.match(faults.at(-1), 'more faults than these 1000');
});

void t.test('the JSON Schema says what the parser says', async (t) => {
  const schema = jsonSchema();
  t.match(schema, {
    type: 'object',
    additionalProperties: false,
    required: ['version', 'directors'],
    properties: {
      vrrp: {
        properties: {
          instances: {
            items: {
              properties: {
                virtual_router_id: { type: 'integer', minimum: 1, maximum: 255 },
                advertisement_interval: { type: 'string' },
                version: { enum: [2, 3], default: 3 },
                accept_mode: { type: 'boolean', default: true },
                virtual_mac: { type: 'boolean', default: false },
                transport: { anyOf: [{ type: 'object' }, { enum: ['multicast', 'unicast', 'udp'] }] },
                routes: { items: { required: ['to'], additionalProperties: false } },
                track: { items: { anyOf: [{ type: 'string' }, { required: ['name'] }] } },
              },
              required: ['name', 'interface', 'virtual_router_id', 'addresses'],
            },
          },
          hooks: { items: { required: ['command'], properties: { on: { type: 'array', minItems: 1 } } } },
          track: { items: { required: ['name'], properties: { quorum: { type: 'integer', minimum: 1 } } } },
        },
      },
    },
  });
});
