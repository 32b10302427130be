/** The guardian on every transport, with the other director in a network namespace of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { native, nativeFile } from '../../../src/io/sockets/native.js';
import { encodeOrders } from '../../../src/io/vrrp/guardian-orders.js';
import { ROUTE_PROTOCOL } from '../../../src/netlink/route-messages.js';
import type { GuardianFarewell } from '../../../src/runtime/ports.js';
import { encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { virtualRoute, virtualRule } from '../../unit/vrrp/instances.js';
import { eventually, ip, runInNamespace } from '../namespace.js';
import type { PeerCommand, PeerReport } from './guardian-peer.js';

const GROUP4 = '224.0.0.18';
const GROUP6 = 'ff02::12';
const PORT = 11212;
const VIP = '10.9.0.253';
const LONG_HOLD_MS = 30_000;

const index = (name: string): number => native().interfaceInfo(name).index;

interface Said {
  readonly version?: 2 | 3;
  readonly addresses?: readonly string[];
  /** Of the packet: the checksum depends on them. */
  readonly source?: string;
  readonly destination?: string;
}

function advertisement(virtualRouterId: number, priority: number, said: Said = {}): Buffer {
  const { version = 3, source = '10.9.0.2', destination = GROUP4 } = said;
  const family = source.includes(':') ? 'ipv6' : 'ipv4';
  const { addresses = family === 'ipv6' ? ['fe80::253'] : [VIP] } = said;
  const content = {
    version,
    family,
    virtualRouterId,
    priority,
    advertisementIntervalMs: 1000,
    addresses,
  } as const;
  return Buffer.from(encodeAdvertisement(content, { checksum: 'rfc9568', source, destination }));
}

function farewell(
  change: Partial<GuardianFarewell> & { to?: readonly string[]; version?: 2 | 3 } = {},
): GuardianFarewell {
  const { to = [GROUP4], virtualRouterId = 51, source = '10.9.0.1', version = 3, ...rest } = change;
  return {
    interface: 'va',
    sendInterface: 'va',
    source,
    udpPort: undefined,
    minTtl: 255,
    virtualRouterId,
    destinations: to.map((address) => ({
      address,
      payload: advertisement(virtualRouterId, 0, { version, source, destination: address }),
    })),
    addresses: [{ address: VIP, prefixLength: 32, interface: 'va' }],
    routes: [],
    rules: [],
    ...rest,
  };
}

/** A guardian fed by hand: closing its pipe is the death of the daemon. */
class Armed {
  readonly child: ChildProcess;
  readonly #link: Socket;
  words = '';
  answers = '';

  constructor(farewells: readonly GuardianFarewell[], holdMs = LONG_HOLD_MS, leaseMs = 0) {
    for (const address of farewells.flatMap((f) => f.addresses)) {
      ip(`address replace ${address.address}/${address.prefixLength} dev ${address.interface}`);
    }
    this.child = spawn(nativeFile('guardian'), [], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
    const link = this.child.stdio[3];
    if (!(link instanceof Socket)) throw new Error('no pipe');
    this.#link = link;
    link.on('data', (chunk: Buffer) => (this.answers += chunk.toString()));
    link.on('error', () => {});
    this.child.stderr?.on('data', (chunk: Buffer) => (this.words += chunk.toString()));
    link.write(encodeOrders({ farewells, holdMs, leaseMs }, index));
  }

  async taken(): Promise<this> {
    await eventually(`the guardian takes its orders ${this.words}`, () => this.answers.startsWith('R'));
    return this;
  }

  daemonDies(): void {
    this.#link.end();
  }

  async acted(): Promise<string> {
    // Its last words may come after its end.
    const isOver = () => this.child.exitCode !== null && this.words.includes('within');
    await eventually(`the guardian ends: ${this.words}`, isOver);
    return this.words;
  }
}

class Peer {
  readonly child: ChildProcess;
  readonly heard: PeerReport[] = [];

  constructor() {
    const file = fileURLToPath(new URL('guardian-peer.js', import.meta.url));
    this.child = spawn('unshare', ['--net', process.execPath, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.child.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.child.stdout }).on('line', (line) => this.heard.push(JSON.parse(line)));
  }

  ip(command: string): string {
    const args = ['-t', `${this.child.pid}`, '-n', 'ip', ...command.split(' ')];
    return execFileSync('nsenter', args, { encoding: 'utf8' });
  }

  async say(command: PeerCommand): Promise<void> {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`);
    if (command.do === 'send') return;
    await eventually(`the peer opens ${command.id}`, () =>
      this.heard.some(({ id, from }) => id === command.id && from === undefined),
    );
  }

  send(id: string, payload: Buffer, to: string): Promise<void> {
    return this.say({ do: 'send', id, hex: payload.toString('hex'), to, port: PORT });
  }

  farewells(id: string): PeerReport[] {
    const head = advertisement(51, 0).subarray(0, 3).toString('hex');
    return this.heard.filter((report) => report.id === id && report.hex?.startsWith(head) === true);
  }
}

/** `va` and `wa` here, their other ends `vb` and `wb` with the peer. */
async function setUp(): Promise<Peer> {
  const peer = new Peer();
  await eventually('the peer runs', () => peer.heard.some(({ id }) => id === 'ready'));
  for (const [mine, theirs] of [
    ['va', 'vb'],
    ['wa', 'wb'],
  ]) {
    ip(`link add ${mine} type veth peer name ${theirs} netns ${peer.child.pid}`);
    ip(`link set ${mine} up`);
    peer.ip(`link set ${theirs} up`);
  }
  ip('address add 10.9.0.1/24 dev va');
  ip('address add fd09::1/64 dev va nodad');
  peer.ip('address add 10.9.0.2/24 dev vb');
  peer.ip('address add 10.9.0.9/24 dev vb');
  peer.ip('address add fd09::2/64 dev vb nodad');
  await eventually('link-local addresses', () =>
    [ip('-6 address show dev va scope link'), peer.ip('-6 address show dev vb scope link')].every(
      (text) => text.includes('fe80') && !text.includes('tentative'),
    ),
  );
  return peer;
}

function linkLocal(text: string): string {
  const address = /inet6 (fe80[^/]*)/.exec(text)?.[1];
  if (address === undefined) throw new Error(`no link-local address: ${text}`);
  return address;
}

const held = (name = 'va'): boolean => ip(`address show dev ${name}`).includes(`${VIP}/32`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One transport as the test walks through it. */
interface Way {
  readonly name: string;
  readonly farewell: GuardianFarewell;
  /** The peer's socket that hears and answers. */
  readonly open: PeerCommand;
  /** Where the peer sends its advertisements. */
  readonly answerTo: string;
  /** Where from the farewell has to come, and with which hop limit. */
  readonly from: string;
  readonly hops: number | undefined;
  /** Advertisements of no successor: sent from sockets of their own. */
  readonly strangers: readonly { readonly open: PeerCommand; readonly to: string }[];
}

function ways(peer: Peer): Way[] {
  const mine = linkLocal(ip('-6 address show dev va scope link'));
  const theirs = linkLocal(peer.ip('-6 address show dev vb scope link'));
  const raw = (id: string, type: 'raw4' | 'raw6', group?: string, hops = 255): PeerCommand => ({
    do: 'raw',
    id,
    type,
    interface: 'vb',
    group,
    hops,
  });
  const udp = (id: string, address: string, group?: string): PeerCommand => ({
    do: 'udp',
    id,
    type: address.includes(':') ? 'udp6' : 'udp4',
    port: PORT,
    address,
    interface: 'vb',
    group,
  });
  return [
    {
      name: 'IPv4 multicast, from another device',
      farewell: farewell({ sendInterface: 'wa' }),
      open: raw('m4', 'raw4', GROUP4),
      answerTo: GROUP4,
      from: '10.9.0.1',
      hops: 255,
      strangers: [
        { open: raw('m4-uni', 'raw4'), to: '10.9.0.1' },
        { open: raw('m4-far', 'raw4', undefined, 254), to: GROUP4 },
      ],
    },
    {
      name: 'IPv6 multicast, from another device',
      farewell: farewell({ source: mine, to: [GROUP6], sendInterface: 'wa' }),
      open: raw('m6', 'raw6', GROUP6),
      answerTo: GROUP6,
      from: mine,
      hops: 255,
      strangers: [
        { open: raw('m6-uni', 'raw6'), to: 'fd09::1' },
        { open: raw('m6-far', 'raw6', undefined, 254), to: GROUP6 },
      ],
    },
    {
      name: 'IPv6 multicast',
      farewell: farewell({ source: mine, to: [GROUP6] }),
      open: raw('n6', 'raw6', GROUP6),
      answerTo: GROUP6,
      from: mine,
      hops: 255,
      strangers: [],
    },
    {
      name: 'IPv4 unicast to two peers',
      farewell: farewell({ to: ['10.9.0.77', '10.9.0.2'], minTtl: 250 }),
      open: raw('u4', 'raw4'),
      answerTo: '10.9.0.1',
      from: '10.9.0.1',
      hops: 255,
      strangers: [
        { open: raw('u4-group', 'raw4'), to: GROUP4 },
        { open: raw('u4-far', 'raw4', undefined, 249), to: '10.9.0.1' },
      ],
    },
    {
      name: 'IPv6 unicast',
      farewell: farewell({ source: 'fd09::1', to: ['fd09::2'] }),
      open: raw('u6', 'raw6'),
      answerTo: 'fd09::1',
      from: 'fd09::1',
      hops: 255,
      strangers: [{ open: raw('u6-group', 'raw6'), to: GROUP6 }],
    },
    {
      name: 'IPv6 unicast between link-local addresses',
      farewell: farewell({ source: mine, to: [theirs] }),
      open: raw('l6', 'raw6'),
      answerTo: mine,
      from: mine,
      hops: 255,
      strangers: [],
    },
    {
      name: 'UDP over IPv4 to a peer',
      farewell: farewell({ to: ['10.9.0.2'], udpPort: PORT }),
      open: udp('d4', '10.9.0.2'),
      answerTo: '10.9.0.1',
      from: '10.9.0.1',
      hops: undefined,
      strangers: [{ open: udp('d4-other', '10.9.0.9'), to: '10.9.0.1' }],
    },
    {
      name: 'UDP over IPv4 to the group',
      farewell: farewell({ to: [GROUP4], udpPort: PORT }),
      open: udp('g4', '0.0.0.0', GROUP4),
      answerTo: GROUP4,
      from: '10.9.0.1',
      hops: undefined,
      strangers: [{ open: raw('g4-raw', 'raw4'), to: GROUP4 }],
    },
    {
      name: 'UDP over IPv6 to a peer',
      farewell: farewell({ source: 'fd09::1', to: ['fd09::2'], udpPort: PORT }),
      open: udp('d6', 'fd09::2'),
      answerTo: 'fd09::1',
      from: 'fd09::1',
      hops: undefined,
      strangers: [],
    },
    {
      name: 'UDP over IPv6 to the group',
      farewell: farewell({ source: mine, to: [GROUP6], udpPort: PORT }),
      open: udp('g6', '::', GROUP6),
      answerTo: `${GROUP6}%vb`,
      from: `${mine}%vb`,
      hops: undefined,
      strangers: [],
    },
  ];
}

/** From where the peer sends to an address. */
function between(peer: Peer, to: string): Pick<Said, 'source' | 'destination'> {
  const [destination = ''] = to.split('%');
  if (!to.includes(':')) return { source: '10.9.0.2', destination };
  const source = to.startsWith('fd09') ? 'fd09::2' : linkLocal(peer.ip('-6 address show dev vb scope link'));
  return { source, destination };
}

function walk(peer: Peer): void {
  for (const way of ways(peer)) {
    void t.test(way.name, async (t) => {
      const { id } = way.open;
      const elsewhere = way.farewell.sendInterface === 'wa';
      const ear: PeerCommand =
        elsewhere && way.open.do === 'raw' ? { ...way.open, id: `${id}-wb`, interface: 'wb' } : way.open;
      for (const command of [way.open, ...way.strangers.map(({ open }) => open)]) await peer.say(command);
      if (elsewhere) await peer.say(ear);
      const guardian = await new Armed([way.farewell]).taken();
      guardian.daemonDies();
      await eventually('a farewell', () => peer.farewells(ear.id).length === 1);
      const [said] = peer.farewells(ear.id);
      t.equal(said?.from, way.from);
      t.equal(said?.hops, way.hops);
      t.ok(
        way.farewell.destinations.some(({ payload }) => said?.hex === Buffer.from(payload).toString('hex')),
      );
      const sound = (virtualRouterId: number, priority: number, to: string, change: Said = {}) =>
        advertisement(virtualRouterId, priority, { ...between(peer, to), ...change });
      const forged = sound(51, 100, way.answerTo);
      forged.writeUInt16BE(forged.readUInt16BE(6) ^ 1, 6);
      const foreign = { addresses: [forged.length > 20 ? 'fe80::99' : '10.9.0.99'] };
      for (const payload of [
        sound(51, 0, way.answerTo),
        sound(52, 100, way.answerTo),
        sound(51, 100, way.answerTo, foreign),
        sound(51, 100, way.answerTo).subarray(0, 11),
        forged,
      ])
        await peer.send(id, payload, way.answerTo);
      for (const { open, to } of way.strangers) await peer.send(open.id, sound(51, 100, to), to);
      await pause(250);
      t.ok(held(), 'none of these is a successor');
      await peer.send(id, sound(51, 100, way.answerTo), way.answerTo);
      t.match(await guardian.acted(), /1 of 1 farewells sent, successor heard for 1, 1 of 1 addresses/);
      t.notOk(held());
      t.equal(peer.farewells(ear.id).length, 1);
    });
  }
}

async function main(): Promise<void> {
  const peer = await setUp();
  t.teardown(() => peer.child.kill());
  walk(peer);

  void t.test('a daemon that hangs keeps its UDP socket: it loses no packet to the guardian', async (t) => {
    const daemon = createSocket({ type: 'udp4', reuseAddr: true });
    t.teardown(() => daemon.close());
    let received = 0;
    daemon.on('message', () => received++);
    daemon.bind(PORT, '10.9.0.1');
    await once(daemon, 'listening');
    const udp = { do: 'udp', id: 'h4', type: 'udp4', port: PORT, interface: 'vb', group: undefined } as const;
    await peer.say({ ...udp, address: '10.9.0.2' });
    const guardian = await new Armed(
      [farewell({ to: ['10.9.0.2'], udpPort: PORT })],
      LONG_HOLD_MS,
      400,
    ).taken();
    await peer.send('h4', advertisement(51, 100), '10.9.0.1');
    await eventually('the daemon hears it', () => received === 1);
    t.ok(held(), 'heard before the farewell: no successor');
    await eventually('a farewell', () => peer.farewells('h4').length === 1);
    await peer.send('h4', advertisement(51, 100), '10.9.0.1');
    t.match(await guardian.acted(), /the daemon hangs: .*successor heard for 1/);
    t.equal(received, 2);
  });

  void t.test('a successor of version 2, and one of another version', async (t) => {
    const guardian = await new Armed([farewell({ version: 2 })]).taken();
    guardian.daemonDies();
    await eventually('it acts', () => guardian.answers.includes('A'));
    await peer.send('m4', advertisement(51, 100), GROUP4);
    await pause(250);
    t.ok(held(), 'the election would not take it');
    await peer.send('m4', advertisement(51, 100, { version: 2 }), GROUP4);
    t.match(await guardian.acted(), /successor heard for 1/);
  });

  void t.test('a flood of forged advertisements is no successor, and hides none', async (t) => {
    const guardian = await new Armed([
      farewell({ addresses: [{ address: VIP, prefixLength: 32, interface: 'va' }] }),
    ]).taken();
    const source = fileURLToPath(new URL('../../bench/support/flood-source.js', import.meta.url));
    const argv = ['-t', `${peer.child.pid}`, '-n', process.execPath, source, 'vb', '20000', '30'];
    const flood = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => flood.kill());
    await once(flood.stdout, 'data');
    guardian.daemonDies();
    await eventually('it acts', () => guardian.answers.includes('A'));
    await pause(1000);
    t.ok(held(), 'it waits for its successor');
    t.equal(flood.exitCode, null, 'the flood goes on');
    await peer.send('m4', advertisement(51, 100), GROUP4);
    t.match(await guardian.acted(), /successor heard for 1, 1 of 1 addresses/);
  });

  void t.test(
    'each virtual router goes by itself: at once, with its successor, or with the hold time',
    async (t) => {
      const at = (address: string): Pick<GuardianFarewell, 'addresses'> => ({
        addresses: [{ address, prefixLength: 32, interface: 'va' }],
      });
      const there = (address: string): boolean => ip('address show dev va').includes(`${address}/32`);
      const guardian = await new Armed(
        [
          farewell({ ...at('10.9.0.101'), virtualRouterId: 61, interface: 'nope0', sendInterface: 'nope0' }),
          farewell({ ...at('10.9.0.102'), virtualRouterId: 62 }),
          farewell({ ...at('10.9.0.103'), virtualRouterId: 63 }),
          farewell({ ...at('10.9.0.104'), virtualRouterId: 64, to: [] }),
        ],
        8000,
      ).taken();
      guardian.daemonDies();
      await eventually('it acts', () => guardian.answers.includes('A'));
      await eventually('who cannot say farewell lets go', () => !there('10.9.0.101') && !there('10.9.0.104'));
      t.ok(there('10.9.0.102'));
      await peer.send('m4', advertisement(62, 100), GROUP4);
      await eventually('the second lets go', () => !there('10.9.0.102'));
      t.ok(there('10.9.0.103'), 'its successor was not heard');
      t.match(await guardian.acted(), /2 of 4 farewells sent, successor heard for 1, 4 of 4 addresses/);
      t.notOk(there('10.9.0.103'));
    },
  );

  void t.test('routes go before the addresses they stand on', async (t) => {
    const base = virtualRoute({ interface: 'va' });
    const link = { ...base, destination: '10.77.0.0', prefixLength: 16, via: undefined };
    const routes = [
      { ...base, destination: '0.0.0.0', prefixLength: 0, via: '10.9.0.2', metric: 7 },
      link,
      { ...link, destination: '10.78.0.0', source: VIP },
      { ...link, destination: '10.79.0.0' },
      { ...base, destination: 'fd77::', prefixLength: 32, via: 'fd09::2' },
      { ...base, destination: '::', prefixLength: 0, via: 'fd09::2', metric: 9 },
    ];
    routes.push(
      { ...link, destination: '10.80.0.0', table: 1000 },
      virtualRoute({ type: 'blackhole', destination: '10.81.0.0', prefixLength: 16, interface: undefined }),
    );
    const rules = [
      virtualRule({ priority: 900, from: { address: '10.0.0.0', prefixLength: 8 }, action: { table: 1000 } }),
      virtualRule({ priority: 901, family: 'ipv6', action: 'prohibit', iif: 'va' }),
    ];
    const armed = new Armed([farewell({ to: [], routes, rules })]);
    for (const words of [
      'route add default via 10.9.0.2 dev va metric 7',
      'route add 10.77.0.0/16 dev va',
      `route add 10.78.0.0/16 dev va src ${VIP}`,
      '-6 route add fd77::/32 via fd09::2 dev va',
      '-6 route add default via fd09::2 dev va metric 9',
      'route add 10.80.0.0/16 dev va table 1000',
      'route add blackhole 10.81.0.0/16',
    ]) {
      ip(`${words} proto ${ROUTE_PROTOCOL}`);
    }
    ip(`rule add priority 900 from 10.0.0.0/8 table 1000 protocol ${ROUTE_PROTOCOL}`);
    ip(`-6 rule add priority 901 iif va prohibit protocol ${ROUTE_PROTOCOL}`);
    ip('rule add priority 902 from 10.0.0.0/8 table 1000');
    ip('route add 10.79.0.0/16 dev va');
    ip('route add 10.80.0.0/16 dev va');
    (await armed.taken()).daemonDies();
    t.match(await armed.acted(), /10 of 11 addresses and routes removed within \d+ ms$/m);
    t.notMatch(ip('route show'), /default|10\.7[78]/);
    t.match(ip('route show'), /10\.79\.0\.0/, 'a like route of someone else stays');
    t.notMatch(ip('-6 route show'), /default|fd77/);
    t.match(ip('route show'), /10\.9\.0\.0\/24/, 'others stay');
    t.match(ip('route show'), /10\.80\.0\.0/, 'of another table');
    t.notMatch(ip('route show table 1000'), /10\.80/);
    t.notMatch(ip('route show'), /blackhole/);
    t.notMatch(ip('rule show'), /900:/);
    t.notMatch(ip('-6 rule show'), /901:/);
    t.match(ip('rule show'), /902:/);
  });

  void t.test('250 virtual routers with an address each, and one with 240', async (t) => {
    const address = (a: number, b: number): GuardianFarewell['addresses'][number] => ({
      address: `10.10.${a}.${b}`,
      prefixLength: 32,
      interface: 'va',
    });
    const many = Array.from({ length: 250 }, (_, i) =>
      farewell({ virtualRouterId: i + 1, addresses: [address(1, i + 1)] }),
    );
    const big = farewell({
      virtualRouterId: 251,
      addresses: Array.from({ length: 240 }, (_, i) => address(2, i + 1)),
    });
    const guardian = await new Armed([...many, big], 2000).taken();
    const descriptors = readdirSync(`/proc/${guardian.child.pid}/fd`).length;
    t.ok(descriptors < 10, `${descriptors} descriptors`);
    guardian.daemonDies();
    await eventually('it acts', () => guardian.answers.includes('A'));
    for (let id = 1; id <= 251; id++) await peer.send('m4', advertisement(id, 100), GROUP4);
    const words = await guardian.acted();
    t.match(words, /251 of 251 farewells sent, successor heard for 251, 490 of 490 addresses/);
    t.comment(words.trim());
    t.notMatch(ip('address show dev va'), /10\.10\./);
  });

  await t.test('an interface for each of 250 virtual routers', async (t) => {
    const names = Array.from({ length: 125 }, (_, i) => [`x${i}`, `y${i}`] as const);
    for (const [x, y] of names) {
      ip(`link add ${x} type veth peer name ${y}`);
      ip(`link set ${x} up`);
      ip(`link set ${y} up`);
    }
    const all = names
      .flat()
      .map((name, i) =>
        farewell({ virtualRouterId: i + 1, interface: name, sendInterface: name, addresses: [] }),
      );
    const guardian = await new Armed(all, 100).taken();
    t.equal(guardian.words, '');
    guardian.daemonDies();
    t.match(await guardian.acted(), /250 of 250 farewells sent/);
  });
}

await runInNamespace(import.meta.url, main);
