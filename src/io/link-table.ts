/** What the kernel told of links and addresses, and what of it the caller was told. */
import type { OpenLinkMonitor } from '../runtime/ports.js';
import type { NetlinkMessage } from './netlink.js';
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
} from './rtnetlink-messages.js';

export type OnChange = Parameters<OpenLinkMonitor>[0];
export type OnAddress = Parameters<OpenLinkMonitor>[1];

export interface LinkTableEvents {
  readonly onChange: OnChange;
  readonly onAddress: OnAddress;
  /** A link is down or away, or an address went away: the kernel may have dropped routes without a word. */
  readonly onRoutesAtRisk: () => void;
}

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
      if (isDuplicate(address)) this.#reportAddress(address, true);
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
    for (const one of this.#addresses.values()) {
      if (one.interfaceIndex === index && one.address === address && !isDuplicate(one)) return true;
    }
    return false;
  }

  #named(interfaceName: string): LinkInfo | undefined {
    for (const link of this.#links.values()) {
      if (link.name === interfaceName) {
        return link;
      }
    }
    return undefined;
  }

  take(message: NetlinkMessage): void {
    this.events += 1;
    if (message.type === RTM_NEWLINK || message.type === RTM_DELLINK) {
      const link = decodeLink(message.payload);
      if (link !== undefined) {
        this.#setLink(link.index, message.type === RTM_NEWLINK ? link : undefined);
      }
    } else if (message.type === RTM_NEWADDR || message.type === RTM_DELADDR) {
      const address = decodeAddress(message.payload);
      if (address !== undefined) {
        this.#setAddress(address, message.type === RTM_NEWADDR);
      }
    }
  }

  /** Takes a dump for the truth and reports what differs. Links first: an address is told by its link's name. */
  replace(links: readonly LinkInfo[], addresses: readonly InterfaceAddress[]): void {
    const presentAddresses = new Set(addresses.map(addressKey));
    for (const address of this.#addresses.values()) {
      if (!presentAddresses.has(addressKey(address))) {
        this.#setAddress(address, false);
      }
    }
    const presentLinks = new Set(links.map((link) => link.index));
    for (const index of this.#links.keys()) {
      if (!presentLinks.has(index)) {
        this.#setLink(index, undefined);
      }
    }
    for (const link of links) {
      this.#setLink(link.index, link);
    }
    for (const address of addresses) {
      this.#setAddress(address, true);
    }
  }

  #setLink(index: number, link: LinkInfo | undefined): void {
    const before = this.#links.get(index);
    const renamed = before !== undefined && before.name !== link?.name;
    const oldUp = before !== undefined && this.isUp(before.name);
    const newUp = link !== undefined && this.isUp(link.name);
    if (link?.up !== true) this.#events.onRoutesAtRisk();
    if (link === undefined) {
      this.#links.delete(index);
      for (const address of this.#addresses.values()) {
        if (address.interfaceIndex === index) {
          this.#setAddress(address, false, before?.name);
        }
      }
    } else {
      this.#links.set(index, link);
    }
    if (renamed && oldUp && !this.isUp(before.name)) {
      this.#reportLink(before.name, false);
    }
    if (link !== undefined && this.isUp(link.name) !== newUp) {
      this.#reportLink(link.name, !newUp);
    }
  }

  #reportLink(interfaceName: string, up: boolean): void {
    if (!this.quiet) {
      this.#events.onChange(interfaceName, up);
    }
  }

  /** An IPv6 address is there when it can be used: the kernel tells of it when it is no longer tentative. */
  #setAddress(address: InterfaceAddress, added: boolean, linkName?: string): void {
    const key = addressKey(address);
    const before = this.#addresses.get(key);
    if (added) {
      if (isTentative(address)) return;
      this.#addresses.set(key, address);
    } else {
      this.#addresses.delete(key);
      if (before !== undefined) this.#events.onRoutesAtRisk();
    }
    const same = before === undefined ? !added : added && isDuplicate(before) === isDuplicate(address);
    if (!same) this.#reportAddress(address, added, linkName);
  }

  #reportAddress(address: InterfaceAddress, added: boolean, linkName?: string): void {
    const name = linkName ?? this.nameOf(address.interfaceIndex);
    if (this.quiet || name === undefined) return;
    const dadFailed = added && isDuplicate(address);
    this.#events.onAddress({ address: address.address, interface: name, added, dadFailed });
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
