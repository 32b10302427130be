/** macvlan devices with a virtual router's MAC address (RFC 9568 section 7.3), over rtnetlink. */

import { linkDumpPayload, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK } from '../../netlink/address-messages.js';
import {
  type DeviceIdentity,
  decodeDevice,
  deleteLinkPayload,
  isMacvlan,
  isOwnDevice,
  isReady,
  macvlanPayload,
  setUpPayload,
} from '../../netlink/macvlan-messages.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../../netlink/message.js';
import type { KeptVirtualMacs, VirtualMac, VirtualMacs } from '../../runtime/ports.js';
import type { Sysctls } from '../../runtime/services/services-ports.js';
import { workInTurn } from '../../util/in-turn.js';
import type { AddressFamily } from '../../util/ip-address.js';
import { interfaceSysctl, openSysctls } from '../host/sysctls.js';
import { NETLINK_ROUTE, NetlinkConnection, type NetlinkError, type NetlinkRequest } from './connection.js';

/** The kernel has no macvlan. */
export class NoMacvlanError extends Error {
  override readonly name = 'NoMacvlanError';
  readonly code = 'ERR_NO_MACVLAN';
  constructor(cause: unknown) {
    super('this kernel has no macvlan: modprobe macvlan or drop virtual_mac', { cause });
  }
}

/** A device of this name exists and is not this virtual router's. It is left alone. */
export class ForeignDeviceError extends Error {
  override readonly name = 'ForeignDeviceError';
  readonly code = 'ERR_FOREIGN_DEVICE';
  constructor(name: string, difference: string) {
    super(`there is a device '${name}' that is not ours (${difference}): remove or rename it`);
  }
}

/** The kernel refused a step. */
export class VirtualMacError extends Error {
  override readonly name = 'VirtualMacError';
  readonly code = 'ERR_VIRTUAL_MAC';
  constructor(name: string, step: string, cause: Error) {
    super(`cannot ${step} the device '${name}': ${cause.message}`, { cause });
  }
}

export interface HostVirtualMacs extends VirtualMacs {
  close(): void;
}

/**
 * What a device needs before it is set up, written on it alone.
 *
 * - arp_ignore 1: it answers for its own addresses and not for the host's others.
 * - rp_filter 2: clients are reached by the parent's route, so a strict check would drop what they send to the virtual
 *   MAC address. The kernel takes the greater of this and `all`, so 0 would not do.
 * - send_redirects 0: a redirect would tell neighbours the way around the director.
 * - IPv6 under IPv4: none at all. Multicast reports of a backup would show the virtual MAC address on its port, and
 *   the switch would send the master's traffic there.
 * - IPv6 under IPv6: no link-local address, no autoconfiguration, and `forwarding` 0, which takes the device out of the
 *   group of all routers, whose report would be such a frame. Whether the host forwards is for `all` to say. Leaving
 *   that group is reported too, by MLDv2 (igmp6_leave_group), even by a device that never was up: so it is left in
 *   the manner of MLDv1.
 *
 * The parent needs arp_ignore 1 and arp_announce 2, or it answers and asks for the virtual addresses with its own MAC
 * address: see `requiredSysctls`.
 */
function deviceSysctls(name: string, family: AddressFamily): [key: string, value: string][] {
  const ipv4 = (key: string, value: string): [string, string] => [interfaceSysctl('ipv4', name, key), value];
  const ipv6 = (key: string, value: string): [string, string] => [interfaceSysctl('ipv6', name, key), value];
  const common = [ipv4('arp_ignore', '1'), ipv4('rp_filter', '2'), ipv4('send_redirects', '0')];
  if (family === 'ipv4') return [...common, ipv6('disable_ipv6', '1')];
  return [
    ...common,
    // A removal of addresses that was cut short may have left it (leaveInSilence).
    ipv6('disable_ipv6', '0'),
    ipv6('addr_gen_mode', '1'),
    ipv6('force_mld_version', '1'),
    ipv6('forwarding', '0'),
    ipv6('force_mld_version', '0'),
    ipv6('accept_ra', '0'),
    ipv6('autoconf', '0'),
  ];
}

/** Opens one rtnetlink connection. Calls run one after the other. Throws with the kernel's code when it refuses. */
export function openVirtualMacs(sysctls: Sysctls = openSysctls()): HostVirtualMacs {
  const connection = NetlinkConnection.openImmediate(NETLINK_ROUTE);
  const inTurn = workInTurn();
  return {
    keep: (wanted) => inTurn(() => keep({ connection, sysctls }, wanted)),
    close: () => connection.close(),
  };
}

interface Host {
  readonly connection: NetlinkConnection;
  readonly sysctls: Sysctls;
}

async function keep(host: Host, wanted: readonly VirtualMac[]): Promise<KeptVirtualMacs> {
  const faults = new Map<string, Error>();
  const mended: string[] = [];
  const removed: string[] = [];
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      faults.set(name, error);
    }
  };
  const present = new Map((await devices(host)).map((device) => [device.name, device]));
  const placed = wanted.map((one) => ({ one, parentIndex: present.get(one.parent)?.index }));
  const fitting = (device: DeviceIdentity) =>
    placed.some(({ one, parentIndex }) => one.name === device.name && isThis(device, one, parentIndex));
  // First what goes: a MAC address can be up once on a parent.
  for (const device of present.values()) {
    if (!isOwnDevice(device) || fitting(device)) continue;
    await attempt(device.name, async () => {
      await remove(host, device);
      present.delete(device.name);
      removed.push(device.name);
    });
  }
  for (const { one, parentIndex } of placed) {
    if (parentIndex === undefined || faults.has(one.name)) continue;
    await attempt(one.name, async () => {
      const existing = present.get(one.name);
      if (existing !== undefined) refuseForeign(existing, one, parentIndex);
      if (existing === undefined || !isReady(existing)) mended.push(one.name);
      await bringUp(host, one, existing, parentIndex, [...present.values()]);
    });
  }
  return { faults, mended, removed };
}

function isThis(device: DeviceIdentity, { mac }: VirtualMac, parentIndex: number | undefined): boolean {
  return isMacvlan(device) && device.parentIndex === parentIndex && device.mac === mac.toLowerCase();
}

/** Makes the device unless it is there, and sees to its settings. */
async function bringUp(
  host: Host,
  wanted: VirtualMac,
  existing: DeviceIdentity | undefined,
  parentIndex: number,
  others: readonly DeviceIdentity[],
): Promise<void> {
  const { name, family } = wanted;
  const device = existing ?? (await make(host, wanted, parentIndex));
  try {
    for (const [key, value] of deviceSysctls(name, family)) {
      const now = await host.sysctls.read(key);
      // No such key: a kernel without IPv6.
      if (now !== undefined && now !== value) await host.sysctls.write(key, value);
    }
    if (isReady(device)) return;
    const error = await ask(host, { type: RTM_NEWLINK, flags: 0, payload: setUpPayload(device.index) });
    if (error !== undefined) throw error;
  } catch (error) {
    if (existing === undefined) await remove(host, device);
    if (!(error instanceof Error)) throw error;
    const rival = others.find((other) => other.name !== name && isThis(other, wanted, parentIndex));
    const why =
      rival === undefined ? error : new Error(`'${rival.name}' has its MAC address: ${error.message}`);
    throw new VirtualMacError(name, 'set up', why);
  }
}

function refuseForeign(existing: DeviceIdentity, wanted: VirtualMac, parentIndex: number): void {
  if (isThis(existing, wanted, parentIndex)) return;
  const { name, parent, mac } = wanted;
  if (!isMacvlan(existing)) throw new ForeignDeviceError(name, 'it is no macvlan');
  if (existing.parentIndex !== parentIndex) throw new ForeignDeviceError(name, `its parent is not ${parent}`);
  throw new ForeignDeviceError(name, `its MAC address is ${existing.mac ?? 'unknown'}, not ${mac}`);
}

async function make(
  host: Host,
  { name, parent, mac }: VirtualMac,
  parentIndex: number,
): Promise<DeviceIdentity> {
  const error = await ask(host, {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: macvlanPayload(name, parentIndex, mac),
  });
  if (error !== undefined) throw macvlanRefusal(name, parent, error);
  const device = (await devices(host)).find((one) => one.name === name);
  if (device === undefined) throw new VirtualMacError(name, 'find', new Error('it went at once'));
  return device;
}

/** What the kernel's refusal to make a macvlan means; it knows no other word for a kind of device that it lacks. */
export function macvlanRefusal(name: string, parent: string, error: NetlinkError): Error {
  if (error.code === 'EOPNOTSUPP') return new NoMacvlanError(error);
  return new VirtualMacError(name, `make, over ${parent},`, error);
}

async function remove(host: Host, { name, index }: DeviceIdentity): Promise<void> {
  const error = await ask(host, { type: RTM_DELLINK, flags: 0, payload: deleteLinkPayload(index) });
  if (error !== undefined && error.code !== 'ENODEV') throw new VirtualMacError(name, 'remove', error);
}

async function devices({ connection }: Host): Promise<DeviceIdentity[]> {
  const messages = await connection.dump(RTM_GETLINK, linkDumpPayload());
  return messages.flatMap((message) =>
    message.type === RTM_NEWLINK ? (decodeDevice(message.payload) ?? []) : [],
  );
}

async function ask({ connection }: Host, request: NetlinkRequest): Promise<NetlinkError | undefined> {
  const [result] = await connection.transact([request]);
  return result?.error;
}
