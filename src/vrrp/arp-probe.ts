/** Address conflict detection by ARP (RFC 5227): whether another host has an address of this one. Pure. */
import { hexText } from '../util/hex.js';
import { gratuitousArp } from './gratuitous-arp.js';

/** In an ARP packet behind an Ethernet header (RFC 826): the sender's hardware and protocol address. */
export const ARP_SENDER_HARDWARE = 22;
export const ARP_SENDER_ADDRESS = 28;
const HARDWARE_LENGTH = 6;
const ADDRESS_LENGTH = 4;

/**
 * A probe (RFC 5227 section 2.1.1): asks for `address` without saying that one has it, so that no neighbour's table
 * changes. Whoever has it answers.
 *
 * @throws {RangeError} when a length is not that of a MAC and an IPv4 address
 */
export function arpProbe(hardwareAddress: Uint8Array, address: Uint8Array): Uint8Array {
  const frame = gratuitousArp(hardwareAddress, address);
  frame.fill(0, ARP_SENDER_ADDRESS, ARP_SENDER_ADDRESS + ADDRESS_LENGTH);
  return frame;
}

/** The MAC address of whoever says in an ARP frame that it has the sender address; undefined for a frame cut off. */
export function arpSender(frame: Uint8Array): string | undefined {
  if (frame.length < ARP_SENDER_ADDRESS + ADDRESS_LENGTH) return undefined;
  return hexText(frame.subarray(ARP_SENDER_HARDWARE, ARP_SENDER_HARDWARE + HARDWARE_LENGTH), ':');
}
