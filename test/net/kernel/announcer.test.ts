/** Announcements as tcpdump and a neighbour's own table see them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import { BURST_FRAMES, BURST_INTERVAL_MS } from '../../../src/io/vrrp/announcement-queue.js';
import { openAnnouncer } from '../../../src/io/vrrp/announcer.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

const PEER = `announcer-${process.pid}`;
const EACH = 120;

interface Frame {
  readonly line: string;
  /** Milliseconds of tcpdump's clock. */
  readonly atMs: number;
}

/** tcpdump on the neighbour's interface. */
async function capture(name: string): Promise<{ frames: Frame[]; child: ChildProcess }> {
  const argv = ['-Z', 'root', '-i', name, '-e', '-nn', '-tt', '-l', '-v', '--immediate-mode', 'arp or icmp6'];
  const child = spawn('ip', ['netns', 'exec', PEER, 'tcpdump', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const frames: Frame[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const atMs = Number.parseFloat(line) * 1_000;
    if (/who-has (\S+) tell \1|tgt is/.test(line)) frames.push({ line, atMs });
  });
  let ready = '';
  child.stderr.on('data', (chunk: Buffer) => (ready += chunk.toString()));
  await eventually('tcpdump listens', () => ready.includes('listening on'));
  return { frames, child };
}

/** Half of each family. */
function many(name: string, third: number): VirtualAddress[] {
  return Array.from({ length: EACH }, (_, index) => {
    const address =
      index % 2 === 0 ? `10.${third}.0.${index + 1}` : `fd0${third}::${(index + 1).toString(16)}`;
    return { address, prefixLength: index % 2 === 0 ? 24 : 64, interface: name };
  });
}

await runInNamespace(import.meta.url, async () => {
  ip(`netns add ${PEER}`);
  t.teardown(() => ip(`netns del ${PEER}`));
  for (const last of [1, 2]) {
    ip(`link add v${last} type veth peer name w${last} netns ${PEER}`);
    ip(`link set v${last} up`);
    ip(`-n ${PEER} link set w${last} up`);
  }
  const [first, second] = [await capture('w1'), await capture('w2')];
  t.teardown(() => {
    first.child.kill();
    second.child.kill();
  });
  const errors: string[] = [];
  const announcer = openAnnouncer((error) => errors.push(error.message));
  const mac = / link\/ether (\S+)/.exec(ip('link show dev v1'))?.[1] ?? 'none';

  await t.test('an unsolicited neighbour advertisement corrects the cache of a neighbour', async (t) => {
    ip(`-n ${PEER} addr add fd01::99/64 dev w1 nodad`);
    ip(`-n ${PEER} addr add 10.1.0.99/24 dev w1`);
    // What the neighbour has of the old master.
    for (const address of ['fd01::7', '10.1.0.7']) {
      ip(`-n ${PEER} neigh replace ${address} lladdr 02:00:00:00:00:01 dev w1 nud stale`);
    }
    announcer.announce([
      { address: 'fd01::7', prefixLength: 64, interface: 'v1' },
      { address: '10.1.0.7', prefixLength: 24, interface: 'v1' },
      { address: 'fd01::8', prefixLength: 64, interface: 'lo' },
    ]);
    for (const address of ['fd01::7', '10.1.0.7']) {
      const entry = (): string => ip(`-n ${PEER} neigh show ${address} dev w1`);
      await eventually('the entry is corrected', () => entry().includes(mac));
      t.match(entry(), `lladdr ${mac}`);
    }
    await eventually('tcpdump saw both', () => first.frames.length >= 2);
    const advertisement = first.frames.find(({ line }) => line.includes('tgt is fd01::7'))?.line;
    t.match(advertisement, `${mac} > 33:33:00:00:00:01, ethertype IPv6`);
    t.match(advertisement, 'hlim 255');
    t.match(advertisement, 'fd01::7 > ff02::1: [icmp6 sum ok]');
    t.match(advertisement, /Flags \[router, override\]/);
    t.same(errors, []);
  });

  await t.test('240 addresses on two interfaces, paced, none missing', async (t) => {
    first.frames.length = 0;
    const lists = [many('v1', 1), many('v2', 2)];
    announcer.announce(lists.flat());
    await eventually(
      'all are seen',
      () => first.frames.length >= EACH && second.frames.length >= EACH,
      10_000,
    );
    for (const [index, { frames }] of [first, second].entries()) {
      const seen = frames.map(({ line }) => /(?:who-has|tgt is) ([^\s,]+)/.exec(line)?.[1]);
      t.same(
        seen,
        lists[index]?.map(({ address }) => address),
        'each once, in order',
      );
      // A frame may come late, never early: so the mean pace holds, whatever the load.
      const spanMs = (frames.at(-1)?.atMs ?? 0) - (frames[0]?.atMs ?? 0);
      const pauses = Math.ceil(EACH / BURST_FRAMES) - 1;
      t.ok(spanMs >= pauses * BURST_INTERVAL_MS - 1, `${spanMs.toFixed(1)} ms`);
    }
    t.same(errors, []);
  });

  await t.test('an address that is removed meanwhile is not announced', async (t) => {
    first.frames.length = 0;
    await setTimeout(2 * BURST_INTERVAL_MS);
    const list = many('v1', 1);
    announcer.announce(list);
    announcer.cancel(list.slice(BURST_FRAMES, -1));
    await eventually('the last one is seen', () => first.frames.length > BURST_FRAMES);
    t.equal(first.frames.length, BURST_FRAMES + 1);
    t.match(first.frames.at(-1)?.line, list.at(-1)?.address);
  });

  await t.test('an interface that goes away costs its own frames alone', async (t) => {
    second.frames.length = 0;
    // A whole burst is free again.
    await setTimeout(2 * BURST_INTERVAL_MS);
    announcer.announce([
      ...many('v1', 1).slice(0, BURST_FRAMES + 4),
      ...many('v2', 2).slice(0, BURST_FRAMES + 4),
    ]);
    ip('link del v1');
    await eventually('the other goes on', () => second.frames.length >= BURST_FRAMES + 4);
    await eventually('the failures are told', () => errors.length >= 4);
    t.match(errors[0], /^gratuitous ARP for 10\.1\.0\.17 on v1: .*ENODEV/);
    t.match(errors[1], /^unsolicited neighbour advertisement for fd01::12 on v1: /);
    t.equal(errors.length, 4);
  });

  announcer.close();
});
