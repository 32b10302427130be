/** Sends gratuitous ARP by a packet socket. */

import type { VirtualAddress } from '../config/model.js';
import { addressBytes } from '../ip-address.js';
import type { Announcer } from '../runtime/ports.js';
import { ETHERTYPE_ARP, gratuitousArp } from '../vrrp/gratuitous-arp.js';
import { type InterfaceInfo, native } from './native.js';
import { PacketSocket } from './packet-socket.js';

/** ARPHRD_ETHER of linux/if_arp.h. */
const ETHERNET = 1;

/** An announcement could not be sent; the others of the same call were. */
export class AnnounceError extends Error {
  override readonly name = 'AnnounceError';
  readonly code = 'ERR_ANNOUNCE';
  readonly address: VirtualAddress;
  constructor(address: VirtualAddress, cause: unknown) {
    const words = cause instanceof Error ? cause.message : String(cause);
    super(`gratuitous ARP for ${address.address} on ${address.interface}: ${words}`, { cause });
    this.address = address;
  }
}

/**
 * Opens the announcer. `announce` sends one frame for each IPv4 address by its interface, with that
 * interface's own MAC; addresses on interfaces that are not Ethernet (lo, tunnels) and IPv6 addresses have
 * no ARP and are passed over. What fails goes to `onError` and does not stop the rest.
 */
export function openAnnouncer(onError: (error: AnnounceError) => void): Announcer {
  const socket = new PacketSocket({ type: 'frame' });
  return {
    announce(addresses: readonly VirtualAddress[]): void {
      const addon = native();
      const interfaces = new Map<string, InterfaceInfo>();
      for (const address of addresses) {
        try {
          const bytes = addressBytes(address.address);
          if (bytes?.length !== 4) continue;
          const info = interfaces.get(address.interface) ?? addon.interfaceInfo(address.interface);
          interfaces.set(address.interface, info);
          if (info.hardwareType !== ETHERNET) continue;
          socket.send(gratuitousArp(info.hardwareAddress, bytes), info.index, ETHERTYPE_ARP);
        } catch (cause) {
          onError(new AnnounceError(address, cause));
        }
      }
    },
    // Nothing waits: all is sent at once.
    cancel: () => {},
    close: () => socket.close(),
  };
}
