import { spawnSync } from 'node:child_process';
import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { NETLINK_ROUTE } from '../../../src/io/netlink/connection.js';
import { nativeRequestSocket, RECEIVE_BUFFER_BYTES } from '../../../src/io/netlink/request-socket.js';
import { deleteAddressMessage } from '../../../src/netlink/address-messages.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

interface IpAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly broadcast?: string;
  readonly secondary?: boolean;
  readonly nodad?: boolean;
  readonly tentative?: boolean;
}

/** What ip(8) says the interface has, link-local addresses left out. */
function present(interfaceName: string): IpAddress[] {
  const [entry] = JSON.parse(ip(`-j addr show dev ${interfaceName}`)) as { addr_info: IpAddress[] }[];
  return (entry?.addr_info ?? []).filter((address) => address.scope !== 'link');
}

function texts(interfaceName: string): string[] {
  return present(interfaceName)
    .map((address) => `${address.local}/${address.prefixlen}`)
    .sort();
}

function va(address: string, prefixLength: number, name = 'v0'): VirtualAddress {
  return { address, prefixLength, interface: name };
}

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  ip('link set v0 up');
  ip('link set v1 up');
  ip('addr add 10.1.1.5/24 dev v0');
  const addresses = openAddresses();

  await t.test('adds with scope and broadcast, adopts what is there, removes, removes again', async (t) => {
    const list = [
      va('10.1.1.7', 24),
      va('192.168.9.9', 20),
      va('10.1.1.8', 32),
      va('10.2.2.2', 31),
      va('fd00::7', 64),
      va('10.3.3.3', 24, 'v1'),
    ];
    t.same(await addresses.held(list), []);
    await addresses.add(list);
    t.same(texts('v0'), [
      '10.1.1.5/24',
      '10.1.1.7/24',
      '10.1.1.8/32',
      '10.2.2.2/31',
      '192.168.9.9/20',
      'fd00::7/64',
    ]);
    t.same(texts('v1'), ['10.3.3.3/24']);
    const byText = new Map(present('v0').map((address) => [address.local, address]));
    t.match(byText.get('10.1.1.7'), { scope: 'global', broadcast: '10.1.1.255' });
    t.match(byText.get('192.168.9.9'), { scope: 'global', broadcast: '192.168.15.255' });
    t.equal(byText.get('10.1.1.8')?.broadcast, undefined);
    t.equal(byText.get('10.2.2.2')?.broadcast, undefined);
    t.match(byText.get('fd00::7'), { nodad: true, tentative: undefined });
    t.same(await addresses.held(list), list);

    await addresses.add(list);
    t.equal(texts('v0').length, 6, 'adding again changes nothing');
    t.same(await addresses.held([va('10.1.1.7', 25), va('10.1.1.7', 24, 'v1'), va('FD00:0::7', 64)]), [
      va('FD00:0::7', 64),
    ]);

    await addresses.remove(list);
    t.same(texts('v0'), ['10.1.1.5/24'], "the host's own address stays");
    t.same(texts('v1'), []);
    await addresses.remove(list);
    t.same(await addresses.held(list), []);

    // What others added, as they added it; on another interface it stays.
    for (const [text, device] of [
      ['10.1.1.7/32', 'v0'],
      ['fd00::7/128', 'v0'],
      ['10.1.1.7/32', 'v1'],
    ] as const)
      ip(`addr add ${text} dev ${device}`);
    const evicted = await addresses.evict([va('10.1.1.7', 24), va('FD00:0::7', 64), va('10.1.1.8', 24)]);
    t.same(evicted, [va('10.1.1.7', 32), va('FD00:0::7', 128)]);
    t.same(await addresses.evict([va('10.1.1.7', 24)]), []);
    t.same(texts('v1'), ['10.1.1.7/32']);
    ip('addr del 10.1.1.7/32 dev v1');
  });

  await t.test('one failure names its address, the others are done', async (t) => {
    const list = [va('10.9.0.1', 24), va('10.9.0.2', 24, 'absent'), va('ff02::5', 64), va('10.9.0.3', 24)];
    await t.rejects(addresses.add(list), {
      code: 'ERR_ADDRESS',
      message: /^cannot add .*absent: there is no interface 'absent'.*ff02::5\/64 on v0: EADDRNOTAVAIL/s,
    });
    t.same(texts('v0'), ['10.1.1.5/24', '10.9.0.1/24', '10.9.0.3/24']);
    await addresses.remove(list);
    t.same(texts('v0'), ['10.1.1.5/24'], 'an absent interface is no failure for removal');
    await t.rejects(addresses.add([va('10.9.0.300', 24)]), RangeError);
    await t.rejects(addresses.add([va('10.9.0.3', 33)]), RangeError);
  });

  await t.test('a thousand addresses in one call, and away again', async (t) => {
    const list = Array.from({ length: 1_000 }, (_, index) => va(`10.20.${index >> 8}.${index & 255}`, 32));
    await addresses.add(list);
    t.equal(texts('v0').length, 1_001);
    t.equal((await addresses.held(list)).length, 1_000);
    await addresses.remove(list);
    t.same(texts('v0'), ['10.1.1.5/24']);
  });

  await t.test('calls without waiting keep their order', async (t) => {
    const list = [va('10.1.1.7', 24)];
    await Promise.all([
      addresses.add(list),
      addresses.remove(list),
      addresses.add(list),
      addresses.remove(list),
    ]);
    t.same(texts('v0'), ['10.1.1.5/24']);
    await Promise.all([addresses.remove(list), addresses.add(list)]);
    t.same(texts('v0'), ['10.1.1.5/24', '10.1.1.7/24']);
    await addresses.remove(list);
  });

  await t.test("ready-made bytes remove an address, as the guardian's do", async (t) => {
    const list = [va('10.1.1.7', 24), va('10.1.1.8', 24), va('fd00::7', 64)];
    await addresses.add(list);
    const index = Number(ip('-o link show dev v0').split(':')[0]);
    let answers = 0;
    const events = {
      onDatagram: () => {
        answers += 1;
      },
      onBroken: (error: Error) => t.fail(error.message),
    };
    const socket = nativeRequestSocket({ immediate: false })(NETLINK_ROUTE, events, RECEIVE_BUFFER_BYTES);
    for (const { address, prefixLength } of list) {
      socket.send(deleteAddressMessage(address, prefixLength, index), (error) => t.fail(error.message));
    }
    await eventually('three acknowledgements', () => answers === list.length);
    t.same(texts('v0'), ['10.1.1.5/24']);
    socket.close();
  });

  await t.test('without CAP_NET_ADMIN the kernel says so', async (t) => {
    // The whole message as an operator reads it.
    const script = `
      import { openAddresses } from ${JSON.stringify(new URL('../../../src/io/netlink/addresses.js', import.meta.url).href)};
      const addresses = openAddresses();
      await addresses.add([{ address: '10.1.1.7', prefixLength: 24, interface: 'v0' }])
        .catch((error) => console.log(error.message));
      addresses.close();`;
    const { stdout, stderr } = spawnSync(
      'setpriv',
      [
        '--bounding-set=-net_admin',
        '--inh-caps=-net_admin',
        process.execPath,
        '--input-type=module',
        '-e',
        script,
      ],
      { encoding: 'utf8' },
    );
    t.equal(stdout.trim(), 'cannot add 10.1.1.7/24 on v0: EPERM: operation not permitted', stderr);
  });

  await t.test('after close', async (t) => {
    addresses.close();
    await t.rejects(addresses.add([va('10.1.1.7', 24)]), { code: 'ERR_NETLINK_CLOSED' });
    t.same(texts('v0'), ['10.1.1.5/24']);
  });
});
