/** A takeover's addresses: there before the event loop turns again. */
import t from 'tap';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { NETLINK_ROUTE, NetlinkConnection } from '../../../src/io/netlink/connection.js';
import { addressDumpPayload, decodeAddress, RTM_GETADDR } from '../../../src/netlink/address-messages.js';
import { ip, runInNamespace } from '../namespace.js';

const MANY = 240;

/** Whether `work` is done before anything else has its turn. */
async function inOneTurn(work: () => Promise<unknown>): Promise<boolean> {
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await work();
  return !turned;
}

async function main(): Promise<void> {
  ip('link add va type veth peer name vb');
  ip('link set va up');
  const addresses = openAddresses();
  t.teardown(() => addresses.close());

  await t.test('addresses are added within one turn, first and again', async (t) => {
    const list = Array.from({ length: MANY }, (_, i) => ({
      address: `10.9.${i % 2}.${i + 1}`,
      prefixLength: 32,
      interface: 'va',
    }));
    t.ok(await inOneTurn(() => addresses.add(list)));
    t.equal((await addresses.held(list)).length, MANY);
    t.ok(await inOneTurn(() => addresses.add(list)), 'those that are there');
    await addresses.remove(list);
    t.notMatch(ip('address show dev va'), /10\.9\./);
    t.ok(await inOneTurn(() => addresses.add(list)), 'after they were gone');
    const missing = { address: '10.9.3.1', prefixLength: 32, interface: 'nope0' };
    await t.rejects(addresses.add([missing]), { code: 'ERR_ADDRESS' });
    await addresses.remove(list);
  });

  await t.test('IPv6, which asks for the present addresses first', async (t) => {
    const list = [{ address: 'fd09::253', prefixLength: 64, interface: 'va' }];
    t.ok(await inOneTurn(() => addresses.add(list)));
    t.match(ip('-6 address show dev va'), /fd09::253/);
  });

  await t.test('a dump of several datagrams, and errors', async (t) => {
    const connection = NetlinkConnection.openImmediate(NETLINK_ROUTE);
    const batch = Array.from({ length: 1000 }, (_, i) => ({
      address: `10.8.${i >> 8}.${i & 255}`,
      prefixLength: 32,
      interface: 'va',
    }));
    await addresses.add(batch);
    let count = 0;
    t.ok(
      await inOneTurn(async () => {
        const messages = await connection.dump(RTM_GETADDR, addressDumpPayload(2));
        count = messages.filter(({ payload }) => decodeAddress(payload)?.address.startsWith('10.8.')).length;
      }),
    );
    t.equal(count, batch.length);
    const [refused] = await connection.transact([
      { type: RTM_GETADDR + 1000, flags: 0, payload: new Uint8Array(8) },
    ]);
    t.ok(refused?.error);
    connection.close();
    await t.rejects(connection.transact([]), { code: 'ERR_NETLINK_CLOSED' });
  });
}

await runInNamespace(import.meta.url, main);
