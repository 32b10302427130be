/** Watches links and addresses by rtnetlink events. */
import type { LinkMonitor, OpenLinkMonitor } from '../runtime/ports.js';
import { dumpAddresses } from './addresses.js';
import { NETLINK_ROUTE, NetlinkConnection, type NetlinkMessage } from './netlink.js';
import { RECEIVE_BUFFER_BYTES } from './netlink-socket.js';
import {
  AF_INET,
  decodeAddress,
  decodeLink,
  type InterfaceAddress,
  type LinkInfo,
  linkDumpPayload,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_LINK,
} from './rtnetlink-messages.js';

/** Attempts at the dump after lost events, and the pause between them. */
export const MAX_RESYNC_ATTEMPTS = 10;
const RESYNC_PAUSE_MS = 200;

type OnChange = Parameters<OpenLinkMonitor>[0];
type OnAddress = Parameters<OpenLinkMonitor>[1];

/** What is known, and what of it the caller was told. */
class LinkTable {
  readonly #links = new Map<number, LinkInfo>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #onChange: OnChange;
  readonly #onAddress: OnAddress;
  /** While the first dump is taken, nothing is reported. */
  quiet = true;
  /** Counts events, so that a dump overtaken by one is not taken for the truth. */
  events = 0;

  constructor(onChange: OnChange, onAddress: OnAddress) {
    this.#onChange = onChange;
    this.#onAddress = onAddress;
  }

  isUp(interfaceName: string): boolean {
    return this.#named(interfaceName)?.up ?? false;
  }

  index(interfaceName: string): number | undefined {
    return this.#named(interfaceName)?.index;
  }

  holds(interfaceName: string, address: string): boolean {
    const index = this.index(interfaceName);
    const held = [...this.#addresses.values()];
    return held.some((one) => one.interfaceIndex === index && one.address === address);
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
      this.#report(before.name, false);
    }
    if (link !== undefined && this.isUp(link.name) !== newUp) {
      this.#report(link.name, !newUp);
    }
  }

  #report(interfaceName: string, up: boolean): void {
    if (!this.quiet) {
      this.#onChange(interfaceName, up);
    }
  }

  #setAddress(address: InterfaceAddress, added: boolean, linkName?: string): void {
    const key = addressKey(address);
    if (this.#addresses.has(key) === added) {
      return;
    }
    if (added) {
      this.#addresses.set(key, address);
    } else {
      this.#addresses.delete(key);
    }
    const name = linkName ?? this.#links.get(address.interfaceIndex)?.name;
    if (!this.quiet && name !== undefined) {
      this.#onAddress({ address: address.address, interface: name, added, dadFailed: false });
    }
  }
}

function addressKey(address: InterfaceAddress): string {
  return `${address.address}/${address.prefixLength}%${address.interfaceIndex}`;
}

/**
 * Opens the watch; when the promise resolves, `isUp` tells the state of now. An interface that does not exist is
 * down. Rejects with the kernel's code when rtnetlink refuses. When events were lost, it dumps again and reports
 * the differences; when that keeps failing, the error is thrown where nothing catches it: a director blind to its
 * links must not go on.
 */
export const openLinkMonitor: OpenLinkMonitor = (onChange, onAddress) => watchLinks(onChange, onAddress);

/** As `openLinkMonitor`, with the event socket's receive buffer in bytes. */
export async function watchLinks(
  onChange: OnChange,
  onAddress: OnAddress,
  receiveBufferBytes = RECEIVE_BUFFER_BYTES,
): Promise<LinkMonitor> {
  const connection = NetlinkConnection.open(NETLINK_ROUTE);
  const table = new LinkTable(onChange, onAddress);
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const dump = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      const { events } = table;
      const messages = await connection.dump(RTM_GETLINK, linkDumpPayload());
      const addresses = await dumpAddresses(connection, AF_INET);
      if (closed) {
        return;
      }
      if (events === table.events || attempt >= MAX_RESYNC_ATTEMPTS) {
        const links = messages.flatMap((message) => decodeLink(message.payload) ?? []);
        table.replace(links, addresses);
        return;
      }
    }
  };
  const resync = (attempt: number): void => {
    dump().catch((error: unknown) => {
      if (closed) {
        return;
      }
      if (attempt >= MAX_RESYNC_ATTEMPTS) {
        throw error;
      }
      retry = setTimeout(() => resync(attempt + 1), RESYNC_PAUSE_MS);
    });
  };
  try {
    // Join first, dump second: what changes in between is seen twice and not missed.
    connection.subscribe(
      [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR],
      (message) => table.take(message),
      () => resync(1),
      receiveBufferBytes,
    );
    await dump();
  } catch (error) {
    connection.close();
    throw error;
  }
  table.quiet = false;
  return {
    isUp: (interfaceName) => table.isUp(interfaceName),
    index: (interfaceName) => table.index(interfaceName),
    holds: (interfaceName, address) => table.holds(interfaceName, address),
    close: () => {
      closed = true;
      clearTimeout(retry);
      connection.close();
    },
  };
}
