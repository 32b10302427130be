/** Sends gratuitous ARP and unsolicited Neighbour Advertisements by a packet socket. */

import type { VirtualAddress } from '../../config/model.js';
import type { Announcer, Clock } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';
import { knownAddressBytes } from '../../util/ip-address.js';
import { ETHERTYPE_ARP, gratuitousArp } from '../../vrrp/gratuitous-arp.js';
import { ETHERTYPE_IPV6, unsolicitedNeighbourAdvertisement } from '../../vrrp/neighbour-advertisement.js';
import { monotonicClock } from '../host/clock.js';
import { native } from '../sockets/native.js';
import { PacketSocket } from '../sockets/packet-socket.js';
import { AnnouncementQueue } from './announcement-queue.js';

/** ARPHRD_ETHER of linux/if_arp.h. */
const ETHERNET = 1;

type Frame = readonly [bytes: Uint8Array, interfaceIndex: number, etherType: number];

/** An announcement could not be sent; the others of the same call were, or will be. */
export class AnnounceError extends Error {
  override readonly name = 'AnnounceError';
  readonly code = 'ERR_ANNOUNCE';
  readonly address: VirtualAddress;
  constructor(address: VirtualAddress, cause: unknown) {
    const words = messageOf(cause);
    const what = address.address.includes(':') ? 'unsolicited neighbour advertisement' : 'gratuitous ARP';
    super(`${what} for ${address.address} on ${address.interface}: ${words}`, { cause });
    this.address = address;
  }
}

export interface AnnouncerOptions {
  readonly clock?: Clock;
  /** See `AnnouncementQueueOptions.segmentOf`: the parent of a macvlan device. */
  readonly segmentOf?: (interfaceName: string) => string;
}

/**
 * Opens the announcer. Each address is told by one frame from its interface, with that interface's own MAC;
 * addresses on interfaces that are not Ethernet (lo, tunnels) have no neighbours to tell and are passed over.
 * The first frames of each interface leave within the call, the rest is paced (AnnouncementQueue). What fails goes
 * to `onError` and does not stop the rest.
 */
export function openAnnouncer(
  onError: (error: AnnounceError) => void,
  options: AnnouncerOptions = {},
): Announcer {
  const socket = new PacketSocket({ type: 'frame' });
  /** Undefined where an address has no neighbours. Made anew each time: the device may be another one by then. */
  const frameOf = (address: VirtualAddress): Frame | undefined => {
    const bytes = knownAddressBytes(address.address);
    const info = native().interfaceInfo(address.interface);
    if (info.hardwareType !== ETHERNET) return undefined;
    return bytes.length === 4
      ? [gratuitousArp(info.hardwareAddress, bytes), info.index, ETHERTYPE_ARP]
      : [unsolicitedNeighbourAdvertisement(info.hardwareAddress, bytes), info.index, ETHERTYPE_IPV6];
  };
  const send = (address: VirtualAddress): void => {
    const frame = frameOf(address);
    if (frame !== undefined) socket.send(...frame);
  };
  const queue = new AnnouncementQueue({
    clock: options.clock ?? monotonicClock,
    send,
    onError: (address, error) => onError(new AnnounceError(address, error)),
    segmentOf: options.segmentOf,
  });
  return {
    announce: (addresses) => queue.add(addresses),
    fitsBurst: (addresses) => queue.fitsBurst(addresses),
    shots: (addresses) => {
      const frames = addresses.map(frameOf).filter((frame) => frame !== undefined);
      return frames.map((frame) => socket.shot(...frame));
    },
    announced: (addresses) => queue.sent(addresses),
    cancel: (addresses) => queue.cancel(addresses),
    close: () => {
      queue.close();
      socket.close();
    },
  };
}
