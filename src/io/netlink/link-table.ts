/** What the kernel told of links and addresses, and what of it the caller was told. */

import {
  decodeAddress,
  decodeLink,
  IFA_F_DADFAILED,
  IFA_F_OPTIMISTIC,
  IFA_F_TENTATIVE,
  type InterfaceAddress,
  type LinkInfo,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from '../../netlink/address-messages.js';
import type { OpenLinkMonitor } from '../../runtime/ports.js';
import type { NetlinkMessage } from './connection.js';

export type OnChange = Parameters<OpenLinkMonitor>[0];
export type OnAddress = Parameters<OpenLinkMonitor>[1];

export type OnHardwareAddress = NonNullable<Parameters<OpenLinkMonitor>[3]>;

export interface LinkTableEvents {
  readonly onChange: OnChange;
  readonly onAddress: OnAddress;
  readonly onHardwareAddress: OnHardwareAddress;
  /** A link is down or away, or an address went away: the kernel may have dropped routes without a word. */
  readonly onRoutesAtRisk: () => void;
}

/**
 * The kernel knows a device by its index, everybody else by its name. So changes are told by name: a name may go from
 * one device to another (renamed, swapped, made anew), and then its addresses are others too.
 */
export class LinkTable {
  readonly #links = new Map<number, LinkInfo>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #events: LinkTableEvents;
  /** While the first dump is taken, nothing is reported. */
  quiet = true;
  /** Counts events, so that a dump overtaken by one is not taken for the truth. */
  events = 0;

  constructor(events: LinkTableEvents) {
    this.#events = events;
  }

  /** Reports the addresses whose duplicate is known. */
  tellDuplicates(): void {
    for (const address of this.#addresses.values()) {
      const name = this.nameOf(address.interfaceIndex);
      if (isDuplicate(address) && name !== undefined) this.#reportAddress(address, true, name);
    }
  }

  isUp(interfaceName: string): boolean {
    return this.#named(interfaceName)?.up ?? false;
  }

  index(interfaceName: string): number | undefined {
    return this.#named(interfaceName)?.index;
  }

  nameOf(index: number): string | undefined {
    return this.#links.get(index)?.name;
  }

  /** One whose duplicate was found is not usable, and so not held. */
  holds(interfaceName: string, address: string): boolean {
    const index = this.index(interfaceName);
    if (index === undefined) return false;
    return this.#addressesOf(index).some((one) => one.address === address && !isDuplicate(one));
  }

  #named(interfaceName: string): LinkInfo | undefined {
    for (const link of this.#links.values()) if (link.name === interfaceName) return link;
    return undefined;
  }

  #addressesOf(index: number | undefined): readonly InterfaceAddress[] {
    return [...this.#addresses.values()].filter((one) => one.interfaceIndex === index);
  }

  take(message: NetlinkMessage): void {
    this.events += 1;
    if (message.type === RTM_NEWLINK || message.type === RTM_DELLINK) {
      const link = decodeLink(message.payload);
      if (link === undefined) return;
      const changes = new Map([[link.index, message.type === RTM_NEWLINK ? link : undefined]]);
      this.#setLinks(changes);
    } else if (message.type === RTM_NEWADDR || message.type === RTM_DELADDR) {
      const address = decodeAddress(message.payload);
      if (address !== undefined) this.#setAddress(address, message.type === RTM_NEWADDR);
    }
  }

  /** Takes a dump for the truth and reports what differs. Links first: an address is told by its link's name. */
  replace(links: readonly LinkInfo[], addresses: readonly InterfaceAddress[]): void {
    const present = new Set(addresses.map(addressKey));
    for (const address of this.#addresses.values()) {
      if (!present.has(addressKey(address))) this.#setAddress(address, false);
    }
    const changes = new Map<number, LinkInfo | undefined>();
    for (const index of this.#links.keys()) changes.set(index, undefined);
    for (const link of links) changes.set(link.index, link);
    this.#setLinks(changes);
    for (const address of addresses) this.#setAddress(address, true);
    this.#events.onRoutesAtRisk();
  }

  /** Changes links together, so that two that swap names are seen as they are in the end. */
  #setLinks(changes: ReadonlyMap<number, LinkInfo | undefined>): void {
    const names = new Set<string>();
    for (const [index, link] of changes) {
      const before = this.#links.get(index);
      if (before !== undefined) names.add(before.name);
      if (link !== undefined) names.add(link.name);
    }
    const before = new Map([...names].map((name) => [name, this.#named(name)]));
    const addressesBefore = new Map(
      [...names].map((name) => [name, this.#addressesOf(before.get(name)?.index)]),
    );
    for (const [index, link] of changes) {
      if (link?.up !== true) this.#events.onRoutesAtRisk();
      if (link !== undefined) this.#links.set(index, link);
      else {
        this.#links.delete(index);
        for (const address of this.#addressesOf(index)) this.#addresses.delete(addressKey(address));
      }
    }
    for (const name of names) this.#compare(name, before.get(name), addressesBefore.get(name) ?? []);
  }

  #compare(name: string, before: LinkInfo | undefined, addressesBefore: readonly InterfaceAddress[]): void {
    const now = this.#named(name);
    const moved = before?.index !== now?.index;
    if (moved) {
      this.#events.onRoutesAtRisk();
      const still = this.#addressesOf(now?.index);
      const without = (list: readonly InterfaceAddress[], others: readonly InterfaceAddress[]) =>
        list.filter((one) => !others.some(({ address }) => address === one.address));
      for (const address of without(addressesBefore, still)) this.#reportAddress(address, false, name);
      for (const address of without(still, addressesBefore)) this.#reportAddress(address, true, name);
    }
    if (moved || before?.up !== now?.up) this.#reportLink(name, now?.up ?? false);
    const remade =
      before !== undefined && now !== undefined && before.hardwareAddress !== now.hardwareAddress;
    if (remade && !this.quiet) this.#events.onHardwareAddress(name);
  }

  #reportLink(interfaceName: string, up: boolean): void {
    if (!this.quiet) this.#events.onChange(interfaceName, up);
  }

  /** An IPv6 address is there when it can be used: the kernel tells of it when it is no longer tentative. */
  #setAddress(address: InterfaceAddress, added: boolean): void {
    const key = addressKey(address);
    const before = this.#addresses.get(key);
    if (added) {
      if (isTentative(address)) return;
      this.#addresses.set(key, address);
    } else {
      this.#addresses.delete(key);
      if (before !== undefined) this.#events.onRoutesAtRisk();
    }
    const name = this.nameOf(address.interfaceIndex);
    const same = before === undefined ? !added : added && isDuplicate(before) === isDuplicate(address);
    if (!same && name !== undefined) this.#reportAddress(address, added, name);
  }

  #reportAddress(address: InterfaceAddress, added: boolean, interfaceName: string): void {
    if (this.quiet) return;
    const dadFailed = added && isDuplicate(address);
    this.#events.onAddress({ address: address.address, interface: interfaceName, added, dadFailed });
  }
}

function isDuplicate(address: InterfaceAddress): boolean {
  return (address.flags & IFA_F_DADFAILED) !== 0;
}

/** Not usable yet: under duplicate address detection, and not optimistic (RFC 4429). */
function isTentative({ flags }: InterfaceAddress): boolean {
  return (flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED)) === IFA_F_TENTATIVE;
}

function addressKey(address: InterfaceAddress): string {
  return `${address.address}/${address.prefixLength}%${address.interfaceIndex}`;
}
