/** Virtual addresses on the host's interfaces, over rtnetlink. */
import type { VirtualAddress } from '../config/model.js';
import type { Addresses } from '../runtime/ports.js';
import { NETLINK_ROUTE, NetlinkConnection, type NetlinkError, type NetlinkRequest } from './netlink.js';
import { NLM_F_CREATE, NLM_F_EXCL } from './netlink-message.js';
import {
  AF_UNSPEC,
  addressDumpPayload,
  addressPayload,
  canonicalAddress,
  decodeAddress,
  decodeLink,
  type InterfaceAddress,
  linkByNamePayload,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from './rtnetlink-messages.js';

/** Adding or removing some of the addresses failed; the others are done. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
  readonly code = 'ERR_ADDRESS';
  /** What failed, with the kernel's words. */
  readonly failures: readonly { readonly address: VirtualAddress; readonly error: Error }[];

  constructor(verb: string, failures: readonly { address: VirtualAddress; error: Error }[]) {
    const list = failures.map(
      ({ address, error }) =>
        `${address.address}/${address.prefixLength} on ${address.interface}: ${error.message}`,
    );
    super(`cannot ${verb} ${list.join('; ')}`, { cause: failures[0]?.error });
    this.failures = failures;
  }
}

/** The host has no interface of this name. */
export class NoInterfaceError extends Error {
  override readonly name = 'NoInterfaceError';
  readonly code = 'ERR_NO_INTERFACE';
  constructor(interfaceName: string) {
    super(`there is no interface '${interfaceName}'`);
  }
}

export interface HostAddresses extends Addresses {
  close(): void;
}

/** Opens one rtnetlink connection. Throws with the kernel's code when it refuses. */
export function openAddresses(): HostAddresses {
  const connection = NetlinkConnection.open(NETLINK_ROUTE);
  return {
    add: (addresses) =>
      change(connection, 'add', addresses, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ['EEXIST']),
    remove: (addresses) =>
      change(connection, 'remove', addresses, RTM_DELADDR, 0, ['EADDRNOTAVAIL', 'ENODEV']),
    held: async (addresses) => held(connection, addresses),
    close: () => connection.close(),
  };
}

async function change(
  connection: NetlinkConnection,
  verb: 'add' | 'remove',
  addresses: readonly VirtualAddress[],
  type: number,
  flags: number,
  /** Errors that say that there was nothing left to do. */
  done: readonly string[],
): Promise<void> {
  if (addresses.length === 0) {
    return;
  }
  const indexes = await interfaceIndexes(
    connection,
    addresses.map((address) => address.interface),
  );
  const failures: { address: VirtualAddress; error: Error }[] = [];
  const batch: VirtualAddress[] = [];
  const requests: NetlinkRequest[] = [];
  for (const address of addresses) {
    const index = indexes.get(address.interface);
    if (index !== undefined) {
      const purpose = verb === 'add' ? 'new' : 'delete';
      batch.push(address);
      requests.push({
        type,
        flags,
        payload: addressPayload(purpose, address.address, address.prefixLength, index),
      });
    } else if (verb === 'add') {
      failures.push({ address, error: new NoInterfaceError(address.interface) });
    }
    // An interface that is gone took its addresses along: nothing to remove.
  }
  const results = await connection.transact(requests);
  for (const [index, address] of batch.entries()) {
    const error: NetlinkError | undefined = results[index]?.error;
    if (error !== undefined && !done.includes(error.code)) {
      failures.push({ address, error });
    }
  }
  if (failures.length > 0) {
    throw new AddressError(verb, failures);
  }
}

async function held(
  connection: NetlinkConnection,
  addresses: readonly VirtualAddress[],
): Promise<VirtualAddress[]> {
  if (addresses.length === 0) {
    return [];
  }
  const indexes = await interfaceIndexes(
    connection,
    addresses.map((address) => address.interface),
  );
  const present = new Set((await dumpAddresses(connection, AF_UNSPEC)).map(addressKey));
  return addresses.filter((address) => {
    const interfaceIndex = indexes.get(address.interface);
    return (
      interfaceIndex !== undefined &&
      present.has(
        addressKey({
          address: canonicalAddress(address.address),
          prefixLength: address.prefixLength,
          interfaceIndex,
        }),
      )
    );
  });
}

function addressKey(address: Pick<InterfaceAddress, 'address' | 'prefixLength' | 'interfaceIndex'>): string {
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
export async function interfaceIndexes(
  connection: NetlinkConnection,
  names: readonly string[],
): Promise<Map<string, number>> {
  const distinct = [...new Set(names)];
  const results = await connection.transact(
    distinct.map((name) => ({ type: RTM_GETLINK, flags: 0, payload: linkByNamePayload(name) })),
  );
  const indexes = new Map<string, number>();
  for (const [position, name] of distinct.entries()) {
    const result = results[position];
    // ENODEV: no such device; ERANGE, EINVAL: no device can have that name.
    if (result?.error !== undefined && !['ENODEV', 'ERANGE', 'EINVAL'].includes(result.error.code)) {
      throw result.error;
    }
    const answer = result?.messages.find((message) => message.type === RTM_NEWLINK);
    const link = answer === undefined ? undefined : decodeLink(answer.payload);
    if (link !== undefined) {
      indexes.set(name, link.index);
    }
  }
  return indexes;
}
