/** IPv4 addresses of one subnet: removing ours must not take those of others along. */
import type { VirtualAddress } from '../../config/model.js';
import {
  addressDumpPayload,
  decodeAddress,
  RTM_GETADDR,
  RTM_NEWADDR,
} from '../../netlink/address-messages.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../../netlink/message.js';
import type { Sysctls } from '../../runtime/services/services-ports.js';
import { AF_INET, familyOf } from '../../util/ip-address.js';
import { interfaceSysctl } from '../host/sysctls.js';
import type { NetlinkConnection, NetlinkMessage } from './connection.js';

const KEY = 'promote_secondaries';

interface Placed {
  readonly address: VirtualAddress;
  readonly index: number;
}

/**
 * The first address of a subnet on an interface is its primary one, later ones are secondary; when the primary is
 * removed, the kernel removes the secondaries with it, unless `promote_secondaries` is 1 (__inet_del_ifa). A virtual
 * address that came before the host's own would take that along, and the guardian removes addresses with nobody to
 * look after the others. So it is one of the sysctls that the configuration needs (`requiredSysctls`): set before the
 * election, put back after it. What is left to see to here: virtual MAC devices, devices that were made anew, a value
 * that somebody turned back, and removals without the services process around. Where /proc/sys cannot be written, as
 * in most containers, other addresses that vanish are put back as they were, by this process alone.
 */
export class SecondaryAddresses {
  readonly #connection: NetlinkConnection;
  readonly #sysctls: Sysctls;

  constructor(connection: NetlinkConnection, sysctls: Sysctls) {
    this.#connection = connection;
    this.#sysctls = sysctls;
  }

  /** Sets the sysctl where it is 0. Never rejects. */
  async guard(placed: readonly Placed[]): Promise<void> {
    await Promise.all(interfacesOf(placed).map((name) => this.#promote(name)));
  }

  /** What `guard` reads; it sets nothing. */
  async rehearse(placed: readonly Placed[]): Promise<void> {
    await Promise.all(interfacesOf(placed).map((name) => this.#promotes(name)));
  }

  /** One of the two is enough (IN_DEV_ORCONF). */
  async #promotes(name: string): Promise<boolean> {
    for (const interfaceName of [name, 'all']) {
      if ((await this.#sysctls.read(interfaceSysctl('ipv4', interfaceName, KEY))) === '1') return true;
    }
    return false;
  }

  /** `kept`: it was on already; `refused`: it is off and stays off. */
  async #promote(name: string): Promise<'kept' | 'changed' | 'refused'> {
    try {
      if (await this.#promotes(name)) return 'kept';
      await this.#sysctls.write(interfaceSysctl('ipv4', name, KEY), '1');
      return 'changed';
    } catch {
      return 'refused';
    }
  }

  /** Runs `removal` of `placed` so that all other addresses are there afterwards, and the sysctl is what it was. */
  async spare(placed: readonly Placed[], removal: () => Promise<void>): Promise<void> {
    const interfaces = interfacesOf(placed);
    const states = await Promise.all(interfaces.map((name) => this.#promote(name)));
    try {
      await (states.includes('refused') ? this.#putBackAfter(placed, removal) : removal());
    } finally {
      const changed = interfaces.filter((_, position) => states[position] === 'changed');
      for (const name of changed) {
        // The device may have gone meanwhile.
        await this.#sysctls.write(interfaceSysctl('ipv4', name, KEY), '0').catch(() => undefined);
      }
    }
  }

  async #putBackAfter(placed: readonly Placed[], removal: () => Promise<void>): Promise<void> {
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

/** Those with IPv4 addresses, each once. */
function interfacesOf(placed: readonly Placed[]): string[] {
  const names = placed.flatMap(({ address }) =>
    familyOf(address.address) === 'ipv4' ? [address.interface] : [],
  );
  return [...new Set(names)];
}

function keyOf(message: NetlinkMessage): string | undefined {
  const address = message.type === RTM_NEWADDR ? decodeAddress(message.payload) : undefined;
  if (address === undefined) return undefined;
  return `${address.address}/${address.prefixLength}%${address.interfaceIndex}`;
}
