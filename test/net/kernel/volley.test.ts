/** Volleys on the real kernel: `ip` and the wire are the judges. */
import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { openVolley } from '../../../src/io/netlink/volley.js';
import { ETH_P_ALL, PacketSocket } from '../../../src/io/sockets/packet-socket.js';
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';
import { openAnnouncer } from '../../../src/io/vrrp/announcer.js';
import type { Shot } from '../../../src/runtime/ports.js';
import { ETHERTYPE_ARP } from '../../../src/vrrp/gratuitous-arp.js';
import { ETHERTYPE_IPV6 } from '../../../src/vrrp/neighbour-advertisement.js';
import { ip, runInNamespace } from '../namespace.js';

const ETHERTYPE_IPV4 = 0x0800;
const PEER = `volley-${process.pid}`;

const on = (name: string, ...addresses: string[]): VirtualAddress[] =>
  addresses.map((address) => ({ address, prefixLength: address.includes(':') ? 64 : 24, interface: name }));

/** What leaves by an interface: ARP, VRRP and Neighbour Advertisements, and not what the kernel reports of groups. */
class Wire {
  readonly #socket = new PacketSocket({ type: 'payload' });
  #kinds: string[] = [];

  constructor(name: string) {
    this.#socket.on('message', (packet, { etherType }) => {
      if (etherType === ETHERTYPE_ARP) this.#kinds.push('arp');
      if (etherType === ETHERTYPE_IPV4 && packet[9] === 112) this.#kinds.push('vrrp');
      if (etherType === ETHERTYPE_IPV6 && packet[6] === 58 && packet[40] === 136) this.#kinds.push('na');
    });
    this.#socket.bind(name, ETH_P_ALL);
  }

  /** Since the last call. */
  sent(): string[] {
    this.#socket.drain();
    return this.#kinds.splice(0);
  }

  close(): void {
    this.#socket.close();
  }
}

await runInNamespace(import.meta.url, async () => {
  ip(`netns add ${PEER}`);
  t.teardown(() => ip(`netns del ${PEER}`));
  ip(`link add v1 type veth peer name w1 netns ${PEER}`);
  ip('link set v1 up');
  ip(`-n ${PEER} link set w1 up`);
  ip('addr add 10.1.0.1/24 dev v1');
  ip('addr add fd01::1/64 dev v1 nodad');
  const addresses = openAddresses();
  const announcer = openAnnouncer((error) => t.fail(error.message));
  const socket = new RawSocket({ type: 'raw4', protocol: 112 });
  socket.bindToDevice('v1');
  const wire = new Wire('v1');
  t.teardown(() => {
    wire.close();
    addresses.close();
    announcer.close();
    socket.close();
  });

  const shotsFor = async (list: readonly VirtualAddress[]): Promise<Shot[]> => {
    const advertised = socket.shots([Buffer.alloc(8)], [socket.address('224.0.0.18')]);
    return [...((await addresses.shots(list)) ?? []), ...announcer.shots(list), ...advertised];
  };

  await t.test('addresses, neighbours and routers by one call', async (t) => {
    const list = on('v1', '10.1.0.7', '10.1.0.8', 'fd01::7');
    const volley = openVolley(await shotsFor(list));
    wire.sent();
    t.ok(volley());
    t.same(wire.sent(), ['arp', 'arp', 'na', 'vrrp']);
    const text = ip('addr show dev v1');
    t.match(text, 'inet 10.1.0.7/24 brd 10.1.0.255 scope global secondary v1');
    t.match(text, 'inet 10.1.0.8/24');
    t.match(text, /inet6 fd01::7\/64 scope global .*deprecated/, 'no source of choice beside the own one');
    t.notOk(volley(), 'what is there already is refused');
    t.same(wire.sent(), [], 'and nothing behind it is sent');
    await addresses.add(list);
    await addresses.remove(list);
    t.ok(volley(), 'the refusal before left no answer unread');
    await addresses.remove(list);
  });

  await t.test('all addresses of a burst, and not one more', async (t) => {
    const list = on('v1', ...Array.from({ length: 16 }, (_, index) => `10.1.0.${100 + index}`));
    t.ok(openVolley(await shotsFor(list))());
    t.equal(ip('addr show dev v1').match(/inet 10\.1\.0\.1\d\d\//g)?.length, 16);
    await addresses.remove(list);
    t.ok(announcer.fitsBurst(list));
    t.notOk(announcer.fitsBurst([...list, ...on('v1', '10.1.0.200')]));
  });

  await t.test('a part of it is refused', async (t) => {
    ip('addr add 10.1.0.8/24 dev v1');
    const list = on('v1', '10.1.0.7', '10.1.0.8');
    const volley = openVolley(await shotsFor(list));
    wire.sent();
    t.notOk(volley());
    t.same(wire.sent(), [], 'nobody is told');
    await addresses.add(list);
    await addresses.remove(list);
  });

  await t.test('an interface that is gone, and one that was made anew', async (t) => {
    t.equal(await addresses.shots(on('v9', '10.1.0.7')), undefined);
    ip('link add d1 type veth peer name d2');
    ip('link set d1 up');
    const list = on('d1', '10.9.0.7');
    const volley = openVolley(await shotsFor(list));
    ip('link del d1');
    t.notOk(volley());
    ip('link add d1 type veth peer name d2');
    ip('link set d1 up');
    t.notOk(volley(), 'the bytes are for the other device');
    await addresses.add(list);
    ip('link del d1');
    ip('link add d1 type veth peer name d2');
    t.equal(await addresses.shots(list), undefined, 'where it was before is to be looked after first');
  });

  await t.test('a device that was renamed in the moment before keeps no address', async (t) => {
    ip('link add d3 type veth peer name d4');
    ip('link set d3 up');
    const list = on('d3', '10.9.0.7');
    const volley = openVolley(await shotsFor(list));
    ip('link set d3 down');
    ip('link set d3 name d5');
    ip('link set d5 up');
    ip('link add d3 type veth peer name d6');
    ip('link set d3 up');
    t.ok(volley(), 'the bytes are for the device that had the name');
    await addresses.add(list);
    t.notMatch(ip('addr show dev d5'), '10.9.0.7/');
    t.match(ip('addr show dev d3'), '10.9.0.7/');
    await addresses.remove(list);

    const again = openVolley(await shotsFor(list));
    ip('link set d3 down');
    ip('link set d3 name d7');
    ip('link set d7 up');
    t.ok(again());
    await t.rejects(addresses.add(list), { code: 'ERR_ADDRESS' });
    t.notMatch(ip('addr show dev d7'), '10.9.0.7/', 'nor where no device has the name');
  });

  await t.test('a closed socket: nothing is sent at all', async (t) => {
    const gone = new RawSocket({ type: 'raw4', protocol: 112 });
    const shots = [
      ...((await addresses.shots(on('v1', '10.1.0.7'))) ?? []),
      ...gone.shots([Buffer.alloc(8)], [gone.address('224.0.0.18')]),
    ];
    const volley = openVolley(shots);
    gone.close();
    t.notOk(volley());
    t.notMatch(ip('addr show dev v1'), '10.1.0.7/');
  });

  await t.test('more than a call takes', (t) => {
    const [shot] = socket.shots([Buffer.alloc(8)], [socket.address('224.0.0.18')]);
    t.notOk(openVolley(Array.from({ length: 257 }, () => shot as Shot))());
    t.end();
  });
});
