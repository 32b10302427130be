/** What is on the wire, judged by a decoder that is not ours: tcpdump. */
import { join } from 'node:path';
import t from 'tap';
import { type Child, runChild, stopChild } from '../../../src/drill/lab/process.js';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  OUTSIDE,
  settled,
  skipWithout,
  stop,
  testUnless,
  VIP,
} from '../daemon-helpers.js';

const skip = skipWithout('tcpdump');
const ADDED = '192.168.7.252';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

interface Capture {
  /** tcpdump's own words, one entry a packet. */
  packets(): Promise<string[]>;
  readonly child: Child;
}

/** Captures on the client, who sees what every neighbour sees. */
async function capture(bench: Bench): Promise<Capture> {
  const file = join(bench.folder, 'wire.pcap');
  const said: string[] = [];
  const argv = ['-i', 'eth0', '-Z', 'root', '-U', '--immediate-mode', '-w', file, 'ip proto 112 or arp'];
  const child = bench.lab.start('client', ['tcpdump', ...argv], { onErrorLine: (line) => said.push(line) });
  await settled('tcpdump listens', () => said.some((line) => line.includes('listening on')));
  return {
    child,
    async packets() {
      const text = await runChild(['tcpdump', '-Z', 'root', '-nn', '-vvv', '-e', '-r', file]);
      // Further lines of a packet are indented.
      return text.trim().split(/\n(?=\S)/);
    },
  };
}

function advertisements(packets: readonly string[], priority: number): string[] {
  return packets.filter((packet) => packet.includes(`prio ${priority},`));
}

async function macOf(bench: Bench, host: string): Promise<string> {
  const [link]: { address: string }[] = JSON.parse(
    await bench.lab.run(host, ['ip', '-j', 'link', 'show', 'dev', 'eth0']),
  );
  return link?.address ?? '';
}

const test = testUnless(skip);

test('advertisement, gratuitous ARP and farewell', async (t) => {
  const bench = await Bench.open(t);
  const wire = await capture(bench);
  const instances = [{ ...OUTSIDE, addresses: [`${VIP}/24`, `${ADDED}/24`] }];
  const director = await bench.start('lb1', directorYaml({ interval: '1s', instances }));
  await inState(director, 'master');
  await settled('two advertisements', async () => advertisements(await wire.packets(), 150).length >= 2);
  await stop(director);
  await settled('the farewell', async () => advertisements(await wire.packets(), 0).length > 0);
  await stopChild(wire.child, 'SIGINT');
  const packets = await wire.packets();
  const mac = await macOf(bench, 'lb1');

  const head = `${mac} > 01:00:5e:00:00:12, ethertype IPv4`;
  const body = (priority: number) =>
    `192.168.7.11 > 224.0.0.18: VRRPv3, Advertisement, vrid 51, prio ${priority}, intvl 100cs, length 16, addrs(2): ${VIP},${ADDED}`;
  const vrrp = packets.filter((packet) => packet.includes('VRRP'));
  for (const packet of vrrp) {
    t.match(packet, head, 'from the MAC of the interface to that of the group');
    t.match(packet, /tos 0xc0, ttl 255, .*proto VRRP \(112\)/, 'network control, TTL 255');
    t.notMatch(packet, /bad|cksum|trunc|invalid/i, 'checksum and length are right');
  }
  const [advertisement = ''] = advertisements(packets, 150);
  t.ok(advertisement.endsWith(body(150)), advertisement);
  const farewells = advertisements(packets, 0);
  t.equal(farewells.length, 1);
  t.ok(farewells[0]?.endsWith(body(0)), `${farewells[0]}`);
  t.equal(vrrp.at(-1), farewells[0], 'nothing follows the farewell');
  t.equal(vrrp.length, advertisements(packets, 150).length + 1, 'and nothing else was said');

  for (const address of [VIP, ADDED]) {
    const announced = packets.filter((packet) => packet.includes(`who-has ${address} `));
    t.ok(announced.length >= 2, `${address}: said and said again`);
    for (const packet of announced) {
      t.match(packet, `${mac} > ff:ff:ff:ff:ff:ff, ethertype ARP`, 'broadcast');
      t.match(
        packet,
        new RegExp(`Request who-has ${address} (\\(\\S+\\) )?tell ${address},`),
        'request form',
      );
    }
  }
});

test('the farewell of the guardian is the same as that of the daemon', async (t) => {
  const bench = await Bench.open(t);
  const wire = await capture(bench);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  await bench.heldBy('lb1');
  director.child.kill('SIGKILL');
  await settled('the farewell', async () => advertisements(await wire.packets(), 0).length > 0);
  await bench.heldBy(undefined);
  await stopChild(wire.child, 'SIGINT');
  const packets = await wire.packets();
  const mac = await macOf(bench, 'lb1');
  for (const farewell of advertisements(packets, 0)) {
    t.match(farewell, `${mac} > 01:00:5e:00:00:12, ethertype IPv4`);
    t.match(farewell, /tos 0xc0, ttl 255, .*proto VRRP \(112\)/);
    t.notMatch(farewell, /bad|cksum|trunc|invalid/i);
    const body = `192.168.7.11 > 224.0.0.18: VRRPv3, Advertisement, vrid 51, prio 0, intvl 20cs, length 12, addrs: ${VIP}`;
    t.ok(farewell.endsWith(body), farewell);
  }
});
