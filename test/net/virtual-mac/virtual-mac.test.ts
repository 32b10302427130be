/**
 * Two directors on one segment, each in a network namespace, with macvlan devices of the same virtual MAC addresses; the
 * client is this namespace. Judges are tcpdump, ping and ip(8). Needs macvlan: test/vm/virtual-mac.test.ts runs this
 * file in the VM.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NETLINK_ROUTE, NetlinkConnection } from '../../../src/io/netlink/connection.js';
import { macvlanRefusal, openVirtualMacs } from '../../../src/io/netlink/virtual-mac.js';
import { RTM_NEWLINK } from '../../../src/netlink/address-messages.js';
import { macvlanPayload } from '../../../src/netlink/macvlan-messages.js';
import { NLM_F_CREATE } from '../../../src/netlink/message.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

/** Programs start slowly in the VM, which is emulated. */
const LIMIT_MS = 60_000;
t.setTimeout(300_000);

const WORKER = fileURLToPath(new URL('address-worker.js', import.meta.url));
const MAC4 = '00:00:5e:00:01:33';
const MAC6 = '00:00:5e:00:02:33';
const VIP4 = { address: '10.1.1.7', prefixLength: 24, interface: 'vrrp4.51' };
const VIP6 = { address: 'fd01::7', prefixLength: 64, interface: 'vrrp6.51' };

/** One director's host. */
class Host {
  readonly netns: string;
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(name: string, last: number) {
    this.netns = `vmac-${name}-${process.pid}`;
    ip(`netns add ${this.netns}`);
    ip(`link add port-${name} type veth peer name eth0 netns ${this.netns}`);
    ip(`link set port-${name} master br0 up`);
    this.ip('link set lo up');
    // The harder case: a router, and strict about where packets come from.
    this.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.rp_filter=1');
    this.ip('link set eth0 up');
    this.ip(`addr add 10.1.1.${last}/24 dev eth0`);
    this.ip(`addr add fd01::${last}/64 dev eth0 nodad`);
    this.#child = spawn('ip', ['netns', 'exec', this.netns, process.execPath, WORKER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('no output to read');
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  ip(command: string): string {
    return ip(`-n ${this.netns} ${command}`);
  }
  sysctl(...settings: string[]): void {
    spawnSync('ip', ['netns', 'exec', this.netns, 'sysctl', '-qw', ...settings]);
  }
  async do(what: string, argument?: unknown): Promise<string> {
    this.#child.stdin?.write(`${JSON.stringify([what, argument])}\n`);
    const { value } = await this.#answers.next();
    return String(value);
  }
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await once(this.#child, 'close');
    ip(`netns del ${this.netns}`);
  }
}

/** What tcpdump sees on the client's interface, a line a frame: the time in seconds since 1970, then the frame. */
async function capture(): Promise<{ lines: string[]; child: ChildProcess }> {
  const child = spawn('tcpdump', ['-Z', 'root', '-i', 'br0', '-e', '-nn', '-tt', '-l', '--immediate-mode'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  let ready = '';
  child.stderr.on('data', (chunk: Buffer) => (ready += chunk.toString()));
  await eventually('tcpdump listens', () => ready.includes('listening on'), LIMIT_MS);
  return { lines, child };
}

function ping(address: string): boolean {
  return spawnSync('ping', ['-n', '-c1', '-W5', address]).status === 0;
}
function neighbour(address: string): string | undefined {
  return / lladdr (\S+)/.exec(ip(`neigh show ${address} dev br0`))?.[1];
}
/** From a cold start, as a client that never heard of the address. */
function resolved(address: string): string | undefined {
  ip('neigh flush dev br0');
  return ping(address) ? neighbour(address) : 'no answer';
}

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  const wanted = { name: 'vrrp4.51', parent: 'v0', mac: MAC4, family: 'ipv4' } as const;

  await t.test('names that others have, or nobody', async (t) => {
    const devices = openVirtualMacs();
    const keep = async (...all: Parameters<typeof devices.keep>[0]) => (await devices.keep(all)).faults;
    t.same(
      await keep({ ...wanted, parent: 'absent' }),
      new Map(),
      'a parent that is missing is told by others',
    );
    const faults = await keep({ ...wanted, name: 'v1' });
    t.match(faults.get('v1'), {
      code: 'ERR_FOREIGN_DEVICE',
      message: "there is a device 'v1' that is not ours (it is no macvlan): remove or rename it",
    });
    t.match((await keep({ ...wanted, mac: '00:00:5e:00:01' })).get(wanted.name), RangeError);
    t.same(await keep(), new Map());
    t.match(ip('link'), 'v1');
    devices.close();
  });

  await t.test('a kernel without macvlan', async (t) => {
    // What such a kernel says, asked for a kind that none has.
    const payload = Buffer.from(macvlanPayload('vrrp4.51', 1, MAC4));
    payload.write('nosuch!', payload.indexOf('macvlan'));
    const connection = NetlinkConnection.open(NETLINK_ROUTE);
    const [result] = await connection.transact([{ type: RTM_NEWLINK, flags: NLM_F_CREATE, payload }]);
    connection.close();
    if (result?.error === undefined) throw new Error('the kernel knows the kind');
    t.match(macvlanRefusal('vrrp4.51', 'v0', result.error), {
      code: 'ERR_NO_MACVLAN',
      message: 'this kernel has no macvlan: modprobe macvlan or drop virtual_mac',
    });
  });

  if (spawnSync('ip', ['link', 'add', 'probe', 'link', 'v0', 'type', 'macvlan']).status !== 0) {
    await t.test('two directors', { skip: 'this kernel has no macvlan' }, async () => {});
    return;
  }
  ip('link add br0 type bridge');
  ip('link set br0 up');
  ip('addr add 10.1.1.99/24 dev br0');
  ip('addr add fd01::99/64 dev br0 nodad');
  const seen = await capture();
  const [a, b] = [new Host('a', 1), new Host('b', 2)];
  t.teardown(async () => {
    seen.child.kill();
    await Promise.all([a.close(), b.close()]);
  });
  const device4 = { name: 'vrrp4.51', parent: 'eth0', mac: MAC4, family: 'ipv4' };
  const device6 = { name: 'vrrp6.51', parent: 'eth0', mac: MAC6, family: 'ipv6' };
  const from = (mac: string) => seen.lines.filter((line) => line.includes(` ${mac} > `));
  // By the kernel's stamp: what tcpdump saw before may be read only afterwards.
  const since = (startMs: number) => seen.lines.filter((line) => Number.parseFloat(line) * 1000 >= startMs);

  await t.test('a device without addresses is silent, of a router even', async (t) => {
    for (const host of [a, b]) {
      t.equal(await host.do('keep', [device4, device6]), 'done');
      // The control: a device as ip(8) makes it.
      host.ip('link add control link eth0 address 00:00:5e:00:02:99 type macvlan mode private');
      host.ip('link set control up');
      // Set up, and so by its flags; the operational state follows up to a second later (linkwatch).
      t.match(host.ip('-d link show vrrp4.51'), /,UP[,>][^]*link\/ether 00:00:5e:00:01:33[^]*mode vepa/);
    }
    const reports = () => from('00:00:5e:00:02:99').filter((line) => line.includes('multicast listener'));
    await eventually('the control reports its groups, and once more', () => reports().length >= 4, LIMIT_MS);
    t.same(from(MAC4), []);
    t.same(from(MAC6), []);
    for (const host of [a, b]) host.ip('link del control');
  });

  await t.test('what is there is adopted, what is different is mended', async (t) => {
    const before = a.ip('-o link show vrrp4.51');
    t.match(before, 'alias lvs-director');
    t.equal(await a.do('keep', [device4, device6]), 'done');
    t.equal(a.ip('-o link show vrrp4.51'), before);
    // What a version before had, which kept a peer's advertisements from the parent.
    a.ip('link set vrrp4.51 type macvlan mode private');
    a.ip('link set vrrp4.51 down alias ""');
    t.equal(await a.do('keep', [device4, device6]), 'done');
    t.match(a.ip('-d link show vrrp4.51'), /,UP[,>][^]*mode vepa[^]*alias lvs-director/);
    t.equal(a.ip('-o link show vrrp4.51'), before);
    // Of an earlier run with another file: another VRID under the name, and a name that nobody wants.
    t.equal(
      await a.do('keep', [
        { ...device4, mac: '00:00:5e:00:01:34' },
        { ...device6, name: 'old' },
      ]),
      'done',
    );
    t.notMatch(a.ip('link'), 'vrrp6.51');
    t.equal(await a.do('keep', [device4, device6]), 'done');
    t.match(a.ip('link show vrrp4.51'), MAC4);
    t.notMatch(a.ip('link'), 'old');
  });

  await t.test('a MAC address that another program has, until it lets go', async (t) => {
    t.equal(await a.do('keep', [device6]), 'done');
    a.ip(`link add foreign link eth0 address ${MAC4} type macvlan mode bridge`);
    a.ip('link set foreign up');
    t.match(
      await a.do('keep', [device4, device6]),
      /cannot set up .*vrrp4\.51.*'foreign' has its MAC address/,
    );
    t.notMatch(a.ip('link'), 'vrrp4.51');
    a.ip('link del foreign');
    t.equal(await a.do('keep', [device4, device6]), 'done');
  });

  await t.test('the parent must leave the answer to the device', async (t) => {
    t.equal(await a.do('add', [VIP4, VIP6]), 'done');
    t.equal(resolved('10.1.1.7') === 'no answer', false);
    const replies = () => seen.lines.filter((line) => line.includes('Reply 10.1.1.7 is-at'));
    await eventually('two replies to one request', () => replies().length >= 2, LIMIT_MS);
    t.ok(replies().some((line) => line.includes(`is-at ${MAC4}`)));
    t.ok(
      replies().some((line) => !line.includes(MAC4)),
      'without arp_ignore the parent answers too',
    );
    // What requiredSysctls has.
    for (const host of [a, b]) {
      host.sysctl('net.ipv4.conf.eth0.arp_ignore=1', 'net.ipv4.conf.eth0.arp_announce=2');
    }
  });

  for (const [vip, own, mac] of [
    ['10.1.1.7', '10.1.1.1', MAC4],
    ['fd01::7', 'fd01::1', MAC6],
  ] as const) {
    await t.test(`${vip} has the virtual MAC address, the host's own address the host's`, async (t) => {
      const startMs = Date.now();
      t.equal(resolved(vip), mac);
      t.equal(resolved(own), /link\/ether (\S+)/.exec(a.ip('link show eth0'))?.[1]);
      const answer = vip === VIP4.address ? 'Reply 10.1.1.7 ' : 'tgt is fd01::7,';
      const answers = () => since(startMs).filter((line) => line.includes(answer));
      await eventually('an answer for the virtual address', () => answers().length > 0, LIMIT_MS);
      t.same(
        answers().filter((line) => !line.includes(` ${mac} > `)),
        [],
      );
    });
  }

  await t.test('the role moves: the client keeps its entry', async (t) => {
    resolved('10.1.1.7');
    resolved('fd01::7');
    ping('10.1.1.7');
    t.equal(await a.do('del', [VIP4, VIP6]), 'done');
    t.equal(await b.do('add', [VIP4, VIP6]), 'done');
    const startMs = Date.now();
    t.equal(await b.do('announce', [VIP4, VIP6]), 'done');
    const announced = (mac: string, words: string) =>
      since(startMs).some((line) => line.includes(` ${mac} > `) && line.includes(words));
    await eventually(
      'announced with the virtual MAC addresses',
      () =>
        announced(MAC4, 'who-has 10.1.1.7 tell 10.1.1.7') && announced(MAC6, 'advertisement, tgt is fd01::7'),
      LIMIT_MS,
    );
    t.equal(await b.do('errors'), '');
    t.ok(ping('10.1.1.7') && ping('fd01::7'), 'b answers');
    t.same([neighbour('10.1.1.7'), neighbour('fd01::7')], [MAC4, MAC6]);
  });

  await t.test('removed, and again; others are left alone', async (t) => {
    a.ip(`link add other link eth0 address 00:00:5e:00:01:63 type macvlan mode private`);
    t.equal(await a.do('keep', []), 'done');
    t.equal(await a.do('keep', []), 'done');
    t.notMatch(a.ip('link'), /vrrp[46]\.51/);
    t.match(a.ip('link'), 'other');
  });
});
