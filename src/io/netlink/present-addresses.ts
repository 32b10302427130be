/** What the host has of addresses: read, never changed. */
import type { VirtualAddress } from '../../config/model.js';
import {
  AF_UNSPEC,
  addressDumpPayload,
  decodeAddress,
  type InterfaceAddress,
  RTM_GETADDR,
  RTM_NEWADDR,
} from '../../netlink/address-messages.js';
import { canonicalAddress } from '../../util/ip-address.js';
import { native } from '../sockets/native.js';
import type { NetlinkConnection } from './connection.js';

/** An address and the device that has its interface's name. */
export interface Placed {
  readonly address: VirtualAddress;
  readonly index: number;
}

/** Those whose interface is there, and the rest. */
export function place(addresses: readonly VirtualAddress[]): {
  placed: Placed[];
  homeless: VirtualAddress[];
} {
  const indexes = interfaceIndexes(addresses.map((address) => address.interface));
  const placed: Placed[] = [];
  const homeless: VirtualAddress[] = [];
  for (const address of addresses) {
    const index = indexes.get(address.interface);
    if (index === undefined) homeless.push(address);
    else placed.push({ address, index });
  }
  return { placed, homeless };
}

export function placedKey({ address, index }: Placed): string {
  const canonical = canonicalAddress(address.address);
  return addressKey({ address: canonical, prefixLength: address.prefixLength, interfaceIndex: index });
}

/** Those that are there as they are. */
export async function held(
  connection: NetlinkConnection,
  addresses: readonly VirtualAddress[],
): Promise<VirtualAddress[]> {
  if (addresses.length === 0) return [];
  const { placed } = place(addresses);
  const present = new Set((await dumpAddresses(connection, AF_UNSPEC)).map(addressKey));
  return placed.filter((one) => present.has(placedKey(one))).map(({ address }) => address);
}

/** What the host has of `addresses`, with the prefix lengths that it has them with. */
export async function withAnyPrefix(
  connection: NetlinkConnection,
  addresses: readonly VirtualAddress[],
): Promise<VirtualAddress[]> {
  if (addresses.length === 0) return [];
  const { placed } = place(addresses);
  const present = await dumpAddresses(connection, AF_UNSPEC);
  return placed.flatMap(({ address, index }) => {
    const canonical = canonicalAddress(address.address);
    return present
      .filter((one) => one.interfaceIndex === index && one.address === canonical)
      .map(({ prefixLength }) => ({ ...address, prefixLength }));
  });
}

export function addressKey(
  address: Pick<InterfaceAddress, 'address' | 'prefixLength' | 'interfaceIndex'>,
): string {
  return `${address.address}/${address.prefixLength}%${address.interfaceIndex}`;
}

/** RTM_GETADDR dump. `family` AF_INET, AF_INET6 or AF_UNSPEC for both. */
export async function dumpAddresses(
  connection: NetlinkConnection,
  family: number,
): Promise<InterfaceAddress[]> {
  const messages = await connection.dump(RTM_GETADDR, addressDumpPayload(family));
  return messages.flatMap((message) => {
    const address = message.type === RTM_NEWADDR ? decodeAddress(message.payload) : undefined;
    return address === undefined ? [] : [address];
  });
}

/** Index of each interface that exists, asked afresh: a device that was made anew has another one. */
export function interfaceIndexes(names: readonly string[]): Map<string, number> {
  const indexes = new Map<string, number>();
  for (const name of new Set(names)) {
    try {
      indexes.set(name, native().interfaceInfo(name).index);
    } catch (error) {
      // There is no device of this name, or none can have it.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENODEV')) throw error;
    }
  }
  return indexes;
}
