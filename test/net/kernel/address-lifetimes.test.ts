import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import type { AddressLifetime } from '../../../src/runtime/guardian/address-lifetime.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

const FOREVER = 0xffff_ffff;

interface IpAddress {
  readonly local?: string;
  readonly valid_life_time: number;
  readonly preferred_life_time: number;
}

function present(): Map<string | undefined, IpAddress> {
  const [entry] = JSON.parse(ip('-j addr show dev v0 scope global')) as { addr_info: IpAddress[] }[];
  // ip(8) leaves an empty object for what it filtered out.
  const all = (entry?.addr_info ?? []).filter(({ local }) => local !== undefined);
  return new Map(all.map((one) => [one.local, one]));
}

function va(address: string, prefixLength: number): VirtualAddress {
  return { address, prefixLength, interface: 'v0' };
}

await runInNamespace(import.meta.url, async () => {
  ip('link add v0 type veth peer name v1');
  ip('link set v0 up');
  ip('link set v1 up');
  ip('addr add 10.1.1.5/24 dev v0');
  ip('addr add fd00::5/64 dev v0 nodad');
  const short = [va('10.1.1.7', 24), va('10.1.1.8', 32), va('fd00::7', 128)];
  const shared = va('fd00::8', 64);
  const own = ['10.1.1.5', 'fd00::5'];
  let lifetime: AddressLifetime | undefined = { seconds: 300, renewalMs: 5 };
  const addresses = openAddresses(() => lifetime);
  const valid = (address: string): number => present().get(address)?.valid_life_time ?? 0;
  const all = (condition: (seconds: number) => boolean) =>
    short.every(({ address }) => condition(valid(address)));

  await t.test('addresses have a lifetime, which is renewed', async (t) => {
    await addresses.add([...short, shared]);
    t.ok(
      all((seconds) => seconds > 0 && seconds <= 300),
      'as long as they are given',
    );
    t.equal(present().get('fd00::7')?.preferred_life_time, 0, 'no source of choice');
    t.equal(valid(shared.address), FOREVER, 'not where the route to the subnet would end with it');
    for (const address of own) t.equal(valid(address), FOREVER, `${address} is the host's own`);

    lifetime = { seconds: 600, renewalMs: 5 };
    await eventually('they are renewed', () => all((seconds) => seconds > 300 && seconds <= 600));
    t.equal(present().get('fd00::7')?.preferred_life_time, 0, 'and are still no source of choice');
    t.match(ip('-6 route show dev v0 fd00::/64'), /^fd00::\/64 (?!.*expires)/, 'nor the route to the subnet');
  });

  await t.test('what is removed is not renewed', async (t) => {
    await addresses.remove([va('10.1.1.8', 32)]);
    lifetime = { seconds: 900, renewalMs: 5 };
    await eventually('the others are renewed', () => valid('10.1.1.7') > 600 && valid('fd00::7') > 600);
    t.notOk(present().has('10.1.1.8'));
    await addresses.add(short);
  });

  await t.test('a configuration without lifetimes makes them permanent, and back', async () => {
    lifetime = undefined;
    await eventually('permanent', () => all((seconds) => seconds === FOREVER));
    lifetime = { seconds: 2, renewalMs: 5 };
    await eventually('a lifetime again', () => all((seconds) => seconds <= 2));
  });

  await t.test('what went while this process stood still is not brought back', async (t) => {
    lifetime = { seconds: 300, renewalMs: 50 };
    await eventually('they are renewed', () => all((seconds) => seconds > 2));
    // As the guardian would, while nothing here runs.
    ip('addr del 10.1.1.8/32 dev v0');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    lifetime = { seconds: 600, renewalMs: 5 };
    await eventually('the others are renewed', () => valid('10.1.1.7') > 300 && valid('fd00::7') > 300);
    t.notOk(present().has('10.1.1.8'));
    lifetime = { seconds: 2, renewalMs: 5 };
    await eventually('and will go soon', () => valid('10.1.1.7') <= 2 && valid('fd00::7') <= 2);
  });

  await t.test('when nobody renews them they go, and nothing else', async (t) => {
    addresses.close();
    await eventually('they are gone', () => short.every(({ address }) => !present().has(address)));
    t.strictSame(new Set(present().keys()), new Set([...own, shared.address]));
    t.match(ip('-6 route show dev v0 fd00::/64'), /^fd00::\/64 (?!.*expires)/);
    t.match(ip('-4 route show dev v0'), /^10\.1\.1\.0\/24 /m);
  });
});
