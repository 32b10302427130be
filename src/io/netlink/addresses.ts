/** Virtual addresses on the host's interfaces, over rtnetlink. */
import type { VirtualAddress } from '../../config/model.js';
import {
  addressPayload,
  IFA_F_DADFAILED,
  IFA_F_TENTATIVE,
  linkByNamePayload,
  RTM_DELADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
} from '../../netlink/address-messages.js';
import { preferredSources } from '../../netlink/ipv6-sources.js';
import { encodeMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from '../../netlink/message.js';
import type { AddressLifetime } from '../../runtime/guardian/address-lifetime.js';
import type { Addresses } from '../../runtime/ports.js';
import type { Sysctls } from '../../runtime/services/services-ports.js';
import { workInTurn } from '../../util/in-turn.js';
import { AF_INET6, familyOf } from '../../util/ip-address.js';
import { interfaceSysctl, openSysctls } from '../host/sysctls.js';
import { AddressLifetimes, type PlacedAddress } from './address-lifetimes.js';
import { NETLINK_ROUTE, NetlinkConnection, type NetlinkRequest } from './connection.js';
import {
  addressKey,
  dumpAddresses,
  held,
  type Placed,
  place,
  placedKey,
  withAnyPrefix,
} from './present-addresses.js';
import { SecondaryAddresses } from './secondary-addresses.js';
import { VolleyNetlinkSocket } from './volley.js';

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
  /**
   * While there is time: what `add` does first is rehearsed. Changes nothing, for this is before the services process
   * remembers what was there. Never rejects; what fails fails again when it matters.
   */
  prepare(addresses: readonly VirtualAddress[]): Promise<void>;
  close(): void;
}

/**
 * Opens one rtnetlink connection. Throws with the kernel's code when it refuses.
 *
 * IPv6 addresses are added without duplicate address detection, so that they answer at once; one that is there but
 * not usable (tentative, or found to be a duplicate) is made anew. See `preferredSources` for when one is added as
 * deprecated. IPv4: see `SecondaryAddresses` for what becomes of other addresses of the same subnet. `lifetime` is asked
 * again and again: see `AddressLifetimes`.
 */
export function openAddresses(lifetime: () => AddressLifetime | undefined = () => undefined): HostAddresses {
  const connection = NetlinkConnection.openImmediate(NETLINK_ROUTE);
  const volleys = new VolleyNetlinkSocket(NETLINK_ROUTE);
  const sysctls = openSysctls();
  const secondaries = new SecondaryAddresses(connection, sysctls);
  /** Each takes several steps: one that is called later must not come between. */
  const inTurn = workInTurn();
  const lifetimes = new AddressLifetimes({
    connection,
    inTurn,
    lifetime,
    held: (addresses) => held(connection, addresses),
    nowMs: () => performance.now(),
  });
  const homes: Homes = new Map();
  /** Where a volley would add them: it may be another device that has the name by then. */
  const aimedAt: Homes = new Map();
  const places = { homes, aimedAt, lifetimes };
  return {
    add: (addresses) => inTurn(() => add(connection, secondaries, addresses, places)),
    restore: (addresses) =>
      inTurn(async () => {
        const present = new Set(await held(connection, addresses));
        const missing = addresses.filter((address) => !present.has(address));
        if (missing.length > 0) await add(connection, secondaries, missing, places);
        return missing;
      }),
    remove: (addresses) =>
      inTurn(async () => {
        await leaveInSilence(connection, sysctls, place(addresses).placed);
        await remove(connection, secondaries, addresses, places);
      }),
    evict: (addresses, isWanted = () => true) =>
      inTurn(async () => {
        const present = await withAnyPrefix(connection, addresses);
        if (!isWanted()) return [];
        await leaveInSilence(connection, sysctls, place(present).placed);
        await remove(connection, secondaries, present, places);
        return present;
      }),
    shots: (addresses) =>
      inTurn(async () => {
        const message = await addMessage(connection, addresses, places);
        return message === undefined ? undefined : [volleys.shot(message)];
      }),
    held: (addresses) => inTurn(() => held(connection, addresses)),
    prepare: (addresses) =>
      inTurn(() => prepare(connection, secondaries, volleys, lifetimes, addresses)).catch(() => undefined),
    close: () => {
      lifetimes.close();
      connection.close();
      volleys.close();
    },
  };
}

type Failure = { readonly address: VirtualAddress; readonly error: Error };
/**
 * The device of each address that was added, by index: a device that is renamed takes its addresses along, and they
 * are to be removed where they are.
 */
type Homes = Map<string, number>;
interface Places {
  readonly homes: Homes;
  readonly aimedAt: Homes;
  readonly lifetimes: AddressLifetimes;
}

function homeKey({ address, prefixLength, interface: name }: VirtualAddress): string {
  return `${address}/${prefixLength} ${name}`;
}

/** One datagram of requests, each to be acknowledged, that adds them all; undefined where that is not all. */
async function addMessage(
  connection: NetlinkConnection,
  addresses: readonly VirtualAddress[],
  { homes, aimedAt, lifetimes }: Places,
): Promise<Uint8Array | undefined> {
  const { placed, homeless } = place(addresses);
  const moved = placed.some(({ address, index }) => (homes.get(homeKey(address)) ?? index) !== index);
  if (homeless.length > 0 || moved) return undefined;
  for (const { address, index } of placed) aimedAt.set(homeKey(address), index);
  const requests = await newRequests(connection, placed, lifetimes);
  const flagged = requests.map(({ type, flags, payload }, position) =>
    encodeMessage(type, flags | NLM_F_REQUEST | NLM_F_ACK, position + 1, payload),
  );
  return Buffer.concat(flagged);
}

interface NewRequest extends NetlinkRequest {
  readonly placed: PlacedAddress;
}

async function newRequests(
  connection: NetlinkConnection,
  placed: readonly Placed[],
  lifetimes: AddressLifetimes,
): Promise<NewRequest[]> {
  const preferred = placed.some(isIpv6)
    ? preferredSources(placed, await dumpAddresses(connection, AF_INET6))
    : new Set<Placed>();
  return placed.map((one) => newRequest({ ...one, deprecated: !preferred.has(one) }, lifetimes));
}

async function add(
  connection: NetlinkConnection,
  secondaries: SecondaryAddresses,
  addresses: readonly VirtualAddress[],
  places: Places,
): Promise<void> {
  const { placed, homeless } = place(addresses);
  await leaveFormerHomes(connection, { placed, homeless }, places);
  const failures: Failure[] = homeless.map((address) => ({
    address,
    error: new NoInterfaceError(address.interface),
  }));
  const { lifetimes } = places;
  const requests = await newRequests(connection, placed, lifetimes);
  const results = await connection.transact(requests);
  await secondaries.guard(placed);
  const existing: Placed[] = [];
  for (const [position, one] of placed.entries()) {
    const error = results[position]?.error;
    if (error?.code === 'EEXIST') existing.push(one);
    else if (error !== undefined) failures.push({ address: one.address, error });
  }
  const unusable = existing.some(isIpv6) ? await unusableOf(connection, existing) : [];
  const repaired = await connection.transact(
    placed.flatMap((one, position) => {
      const request = requests[position];
      return request === undefined || !unusable.includes(one) ? [] : [deleteRequest(one), request];
    }),
  );
  for (const [position, { address }] of unusable.entries()) {
    const error = repaired[2 * position + 1]?.error;
    if (error !== undefined) failures.push({ address, error });
  }
  for (const { placed: one } of requests) {
    if (!failures.some(({ address }) => address === one.address)) lifetimes.hold(homeKey(one.address), one);
  }
  if (failures.length > 0) throw new AddressError('add', failures);
}

/** Where the name belongs to another device than when the address was added, or to none, that must not keep it. */
async function leaveFormerHomes(
  connection: NetlinkConnection,
  { placed, homeless }: { placed: readonly Placed[]; homeless: readonly VirtualAddress[] },
  { homes, aimedAt }: Places,
): Promise<void> {
  const former: Placed[] = [];
  for (const address of homeless) {
    const index = aimedAt.get(homeKey(address));
    if (index !== undefined) former.push({ address, index });
  }
  for (const { address, index } of placed) {
    const key = homeKey(address);
    for (const home of new Set([homes.get(key), aimedAt.get(key)])) {
      if (home !== undefined && home !== index) former.push({ address, index: home });
    }
    homes.set(key, index);
    aimedAt.delete(key);
  }
  // What is gone with its device is gone.
  if (former.length > 0) await connection.transact(former.map(deleteRequest));
}

/** After a few rounds the interpreter has seen what it needs to be fast. */
const REHEARSALS = 5;

async function prepare(
  connection: NetlinkConnection,
  secondaries: SecondaryAddresses,
  volleys: VolleyNetlinkSocket,
  lifetimes: AddressLifetimes,
  addresses: readonly VirtualAddress[],
): Promise<void> {
  const { placed } = place(addresses);
  await secondaries.rehearse(placed);
  // Its code is compiled now and not at the takeover.
  for (const one of placed) newRequest({ ...one, deprecated: false }, lifetimes);
  for (let round = 0; round < REHEARSALS; round++) {
    volleys.rehearse();
    await connection.transact([{ type: RTM_GETLINK, flags: 0, payload: linkByNamePayload('lo') }]);
  }
}

async function remove(
  connection: NetlinkConnection,
  secondaries: SecondaryAddresses,
  addresses: readonly VirtualAddress[],
  { homes, lifetimes }: Places,
): Promise<void> {
  // An interface that is gone took its addresses along: nothing to remove.
  const { placed } = place(addresses);
  for (const address of addresses) {
    const index = homes.get(homeKey(address));
    homes.delete(homeKey(address));
    lifetimes.release(homeKey(address));
    if (index === undefined || placed.some((one) => one.address === address && one.index === index)) continue;
    placed.push({ address, index });
  }
  const failures: Failure[] = [];
  await secondaries.spare(placed, async () => {
    const results = await connection.transact(placed.map(deleteRequest));
    for (const [position, { address }] of placed.entries()) {
      const error = results[position]?.error;
      if (error !== undefined && error.code !== 'EADDRNOTAVAIL' && error.code !== 'ENODEV') {
        failures.push({ address, error });
      }
    }
  });
  if (failures.length > 0) throw new AddressError('remove', failures);
}

/**
 * An IPv6 address that goes leaves its solicited-node group, and the kernel reports that (MLD) with the device's MAC
 * address. From a virtual MAC device, on a host that is master no more, this would teach the switch that the virtual
 * MAC address is here: the clients' packets would come here until the new master advertises again. A device that loses
 * IPv6 altogether loses its addresses without a word (ipv6_mc_down). Where /proc/sys is read-only, the word is said.
 */
async function leaveInSilence(
  connection: NetlinkConnection,
  sysctls: Sysctls,
  placed: readonly Placed[],
): Promise<void> {
  const going = placed.filter((one) => one.address.virtualMac === true && isIpv6(one));
  if (going.length === 0) return;
  const keys = new Set(going.map(placedKey));
  const present = await dumpAddresses(connection, AF_INET6);
  for (const [index, name] of new Map(going.map((one) => [one.index, one.address.interface]))) {
    const own = present.filter(({ interfaceIndex }) => interfaceIndex === index);
    if (own.length === 0 || !own.every((one) => keys.has(addressKey(one)))) continue;
    const key = interfaceSysctl('ipv6', name, 'disable_ipv6');
    try {
      await sysctls.write(key, '1');
      await sysctls.write(key, '0');
    } catch {
      // The addresses are removed one by one after this.
    }
  }
}

function newRequest(placed: PlacedAddress, lifetimes: AddressLifetimes): NewRequest {
  const flags = NLM_F_CREATE | NLM_F_EXCL;
  return { type: RTM_NEWADDR, flags, payload: lifetimes.payload(placed), placed };
}

function deleteRequest({ address, index }: Placed): NetlinkRequest {
  const payload = addressPayload('delete', address.address, address.prefixLength, index);
  return { type: RTM_DELADDR, flags: 0, payload };
}

function isIpv6({ address }: Placed): boolean {
  return familyOf(address.address) === 'ipv6';
}

/** Of addresses that exist, those that are under duplicate address detection or failed it. */
async function unusableOf(connection: NetlinkConnection, existing: readonly Placed[]): Promise<Placed[]> {
  const present = await dumpAddresses(connection, AF_INET6);
  const bad = present.filter(({ flags }) => (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0);
  const keys = new Set(bad.map(addressKey));
  return existing.filter((one) => keys.has(placedKey(one)));
}
