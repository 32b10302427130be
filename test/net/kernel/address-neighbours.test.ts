/** Virtual addresses beside those of others: who survives, and what the host uses as its own source. */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { VirtualAddress } from '../../../src/config/model.js';
import { openSysctls } from '../../../src/io/host/sysctls.js';
import { openAddresses } from '../../../src/io/netlink/addresses.js';
import { NETLINK_ROUTE, NetlinkConnection } from '../../../src/io/netlink/connection.js';
import { SecondaryAddresses } from '../../../src/io/netlink/secondary-addresses.js';
import { eventually, ip, runInNamespace } from '../namespace.js';

interface IpAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly label?: string;
  readonly scope: string;
  readonly deprecated?: boolean;
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
}

/** As ip(8) says, without the interface's own link-local address. */
function present(name: string): IpAddress[] {
  const [entry] = JSON.parse(ip(`-j addr show dev ${name}`)) as { addr_info: IpAddress[] }[];
  return (entry?.addr_info ?? []).filter(({ local }) => !local.startsWith('fe80:') || local === 'fe80::7');
}
function texts(name: string): string[] {
  return present(name)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    .sort();
}
function va(address: string, prefixLength: number, name: string): VirtualAddress {
  return { address, prefixLength, interface: name };
}
function source(destination: string): string | undefined {
  return / src (\S+)/.exec(ip(`route get ${destination}`))?.[1];
}

await runInNamespace(import.meta.url, async () => {
  let pairs = 0;
  /** A fresh interface with the kernel's own defaults. */
  const fresh = (): string => {
    pairs += 1;
    ip(`link add p${pairs} type veth peer name q${pairs}`);
    ip(`link set p${pairs} up`);
    ip(`link set q${pairs} up`);
    return `p${pairs}`;
  };
  const addresses = openAddresses();
  const promotes = (name: string) =>
    readFileSync(`/proc/sys/net/ipv4/conf/${name}/promote_secondaries`, 'utf8').trim();

  await t.test('the trap is there: the kernel takes secondaries along', async (t) => {
    const name = fresh();
    t.equal(promotes(name), '0');
    ip(`addr add 10.7.0.7/24 dev ${name}`);
    ip(`addr add 10.7.0.5/24 dev ${name}`);
    ip(`addr del 10.7.0.7/24 dev ${name}`);
    t.same(texts(name), []);
  });

  for (const [family, foreign, vip, length] of [
    ['IPv4', '10.7.0.5', '10.7.0.7', 24],
    ['IPv6', 'fd07::5', 'fd07::7', 64],
  ] as const) {
    const own = `${foreign}/${length}`;
    const gateway = family === 'IPv4' ? '10.7.0.254' : 'fd07::254';
    const routes = family === 'IPv4' ? 'route show' : '-6 route show';
    const flag = family === 'IPv4' ? '' : ' nodad';

    await t.test(`${family}: an address of others that was there before survives`, async (t) => {
      const name = fresh();
      ip(`addr add ${own} dev ${name}${flag}`);
      ip(`route add default via ${gateway} dev ${name}`);
      await addresses.add([va(vip, length, name)]);
      await addresses.remove([va(vip, length, name)]);
      t.same(texts(name), [own]);
      t.match(ip(`${routes} dev ${name}`), `default via ${gateway}`);
      ip(`link del ${name}`);
    });

    await t.test(`${family}: one that came after survives, with its routes`, async (t) => {
      const name = fresh();
      await addresses.add([va(vip, length, name)]);
      ip(`addr add ${own} dev ${name}${flag}`);
      ip(`route add default via ${gateway} dev ${name}`);
      await addresses.remove([va(vip, length, name)]);
      t.same(texts(name), [own]);
      t.match(ip(`${routes} dev ${name}`), `default via ${gateway}`);
      t.equal(source(gateway), foreign);
      ip(`link del ${name}`);
    });

    await t.test(`${family}: theirs goes, ours stays`, async (t) => {
      const name = fresh();
      ip(`addr add ${own} dev ${name}${flag}`);
      await addresses.add([va(vip, length, name)]);
      ip(`addr del ${own} dev ${name}`);
      t.same(texts(name), [`${vip}/${length}`]);
      await addresses.remove([va(vip, length, name)]);
      t.same(texts(name), []);
      ip(`link del ${name}`);
    });
  }

  await t.test('an address left by an earlier run is removed alone', async (t) => {
    const name = fresh();
    ip(`addr add 10.7.0.7/24 dev ${name}`);
    ip(`addr add 10.7.0.5/24 dev ${name}`);
    const other = openAddresses();
    await other.remove([va('10.7.0.7', 24, name)]);
    other.close();
    t.same(texts(name), ['10.7.0.5/24']);
    t.equal(promotes(name), '0', 'and the sysctl is what it was');
  });

  await t.test('a device that was made anew is seen to again', async (t) => {
    for (let round = 0; round < 2; round++) {
      ip('link add again type veth peer name niaga');
      await addresses.add([va('10.8.0.7', 24, 'again')]);
      t.equal(promotes('again'), '1');
      ip('link del again');
    }
  });

  await t.test('where /proc/sys cannot be written, the others are put back as they were', async (t) => {
    const name = fresh();
    ip(`addr add 10.7.0.7/24 dev ${name}`);
    ip(`addr add 10.7.0.5/24 dev ${name} label ${name}:web`);
    ip(`addr add 10.7.0.6/24 dev ${name} valid_lft 900 preferred_lft 800`);
    const connection = NetlinkConnection.open(NETLINK_ROUTE);
    const sysctls = openSysctls();
    const readOnly = { ...sysctls, write: () => Promise.reject(new Error('EROFS')) };
    const secondaries = new SecondaryAddresses(connection, readOnly);
    const index = Number(ip(`-o link show dev ${name}`).split(':')[0]);
    await secondaries.spare([{ address: va('10.7.0.7', 24, name), index }], async () => {
      ip(`addr del 10.7.0.7/24 dev ${name}`);
      t.same(texts(name), [], 'they were gone');
    });
    t.same(texts(name), ['10.7.0.5/24', '10.7.0.6/24']);
    t.match(ip(`addr show dev ${name}`), new RegExp(`10\\.7\\.0\\.5/24 .* ${name}:web`));
    t.match(ip(`addr show dev ${name}`), /valid_lft (900|89\d)sec preferred_lft (800|79\d)sec/);
    connection.close();
  });

  await t.test('a virtual IPv6 address is no source while the host has another', async (t) => {
    const name = fresh();
    ip(`addr add fd09::5/64 dev ${name} nodad`);
    const list = [va('fd09::7', 64, name), va('fd09::8', 128, name), va('fe80::7', 64, name)];
    await addresses.add(list);
    t.same(
      present(name)
        .filter((one) => one.deprecated === true)
        .map(({ local }) => local)
        .sort(),
      ['fd09::7', 'fd09::8', 'fe80::7'],
    );
    t.equal(source('fd09::99'), 'fd09::5');
    await eventually("the interface's own link-local address", () => {
      const own = ip(`-6 addr show dev ${name} scope link`);
      return own.includes('scope link') && !own.includes('tentative');
    });
    t.match(source(`fe80::99 oif ${name}`), /^fe80::/);
    t.not(source(`fe80::99 oif ${name}`), 'fe80::7');
    await addresses.remove(list);

    // The control: as ip(8) adds it, the kernel takes it.
    ip(`addr add fd09::7/64 dev ${name} nodad`);
    t.equal(source('fd09::99'), 'fd09::7');
  });

  await t.test("an interface's only address of a subnet is its source", async (t) => {
    const [name, other] = [fresh(), fresh()];
    ip(`addr add fd0a::5/64 dev ${other} nodad`);
    await addresses.add([va('fd0b::7', 64, name), va('fd0b::8', 64, name)]);
    t.equal(source('fd0b::99'), 'fd0b::7');
    // Again, as after a restart: ours do not count as others'.
    await addresses.remove([va('fd0b::7', 64, name)]);
    await addresses.add([va('fd0b::8', 64, name), va('fd0b::7', 64, name)]);
    t.equal(present(name).find(({ local }) => local === 'fd0b::7')?.tentative, undefined);
  });

  await t.test('one that exists but cannot be used is made anew', async (t) => {
    const name = fresh();
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/dad_transmits`, '100');
    ip(`addr add fd0c::7/64 dev ${name}`);
    t.equal(present(name)[0]?.tentative, true);
    await addresses.add([va('fd0c::7', 64, name)]);
    t.equal(present(name)[0]?.tentative, undefined);

    // The other end has the address: detection fails.
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/dad_transmits`, '1');
    const other = `addresses-${process.pid}`;
    ip(`netns add ${other}`);
    ip(`link set q${pairs} netns ${other}`);
    ip(`-n ${other} link set q${pairs} up`);
    ip(`-n ${other} addr add fd0c::8/64 dev q${pairs} nodad`);
    ip(`addr add fd0c::8/64 dev ${name}`);
    const duplicate = () => present(name).find(({ local }) => local === 'fd0c::8');
    await eventually('a duplicate is found', () => duplicate()?.dadfailed === true);
    await addresses.add([va('fd0c::8', 64, name)]);
    t.equal(duplicate()?.dadfailed, undefined);
    t.ok(duplicate());
    ip(`netns del ${other}`);
  });

  addresses.close();
});
