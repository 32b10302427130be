/** IPv4 addresses of one subnet: removing ours must not take those of others along. */
import type { VirtualAddress } from '../config/model.js';
import { familyOf } from '../ip-address.js';
import type { Sysctls } from '../runtime/ports.js';
import type { NetlinkConnection, NetlinkMessage } from './netlink.js';
import { NLM_F_CREATE, NLM_F_EXCL } from './netlink-message.js';
import {
  AF_INET,
  addressDumpPayload,
  decodeAddress,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './rtnetlink-messages.js';
import { interfaceSysctl } from './sysctls.js';

interface Placed {
  readonly address: VirtualAddress;
  readonly index: number;
}

/**
 * The first address of a subnet on an interface is its primary one, later ones are secondary; when the primary is
 * removed, the kernel removes the secondaries with it, unless `promote_secondaries` is 1 (__inet_del_ifa). A virtual
 * address that came before the host's own would take that along. So the sysctl is set on each interface that gets a
 * virtual address, and stays: the guardian removes addresses with nobody to look after the others. (It is what
 * systemd sets on every interface, and keepalived on those of its addresses.) Where /proc/sys cannot be written, as
 * in most containers, other addresses that vanish are put back as they were, by this process alone.
 */
export class SecondaryAddresses {
  readonly #connection: NetlinkConnection;
  readonly #sysctls: Sysctls;
  /** Interface index by name, for those that promote: one that was made anew has its default again. */
  readonly #promoting = new Map<string, number>();

  constructor(connection: NetlinkConnection, sysctls: Sysctls) {
    this.#connection = connection;
    this.#sysctls = sysctls;
  }

  /** Sets the sysctl where it is wanted. Whether all interfaces promote now; never rejects. */
  async guard(placed: readonly Placed[]): Promise<boolean> {
    const interfaces = new Map<string, number>();
    for (const { address, index } of placed) {
      if (familyOf(address.address) === 'inet') interfaces.set(address.interface, index);
    }
    const done = await Promise.all([...interfaces].map(([name, index]) => this.#promote(name, index)));
    return done.every(Boolean);
  }

  async #promote(name: string, index: number): Promise<boolean> {
    if (this.#promoting.get(name) === index) return true;
    const own = interfaceSysctl('ipv4', name, 'promote_secondaries');
    try {
      // One of the two is enough (IN_DEV_ORCONF).
      for (const key of ['net.ipv4.conf.all.promote_secondaries', own]) {
        if ((await this.#sysctls.read(key)) === '1') {
          this.#promoting.set(name, index);
          return true;
        }
      }
      await this.#sysctls.write(own, '1');
    } catch {
      return false;
    }
    this.#promoting.set(name, index);
    return true;
  }

  /** Runs `removal` of `placed` so that all other addresses are there afterwards. */
  async spare(placed: readonly Placed[], removal: () => Promise<void>): Promise<void> {
    if (await this.guard(placed)) return removal();
    const before = await this.#dump();
    await removal();
    const after = new Set((await this.#dump()).flatMap((message) => keyOf(message) ?? []));
    const ours = new Set(
      placed.map(({ address, index }) => `${address.address}/${address.prefixLength}%${index}`),
    );
    const lost = before.filter((message) => {
      const key = keyOf(message);
      return key !== undefined && !after.has(key) && !ours.has(key);
    });
    // The kernel takes an address in the words in which it tells of it, lifetimes and label included.
    await this.#connection.transact(
      lost.map(({ payload }) => ({ type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, payload })),
    );
  }

  async #dump(): Promise<readonly NetlinkMessage[]> {
    return this.#connection.dump(RTM_GETADDR, addressDumpPayload(AF_INET));
  }
}

function keyOf(message: NetlinkMessage): string | undefined {
  const address = message.type === RTM_NEWADDR ? decodeAddress(message.payload) : undefined;
  if (address === undefined) return undefined;
  return `${address.address}/${address.prefixLength}%${address.interfaceIndex}`;
}
