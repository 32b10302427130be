/** rtnetlink messages for macvlan devices (include/uapi/linux/if_link.h). Bytes in, values out. */

import { hexText } from '../util/hex.js';
import { IFF_UP, IFINFOMSG_BYTES, IFLA_ADDRESS, IFLA_IFNAME } from './address-messages.js';
import {
  AttributeWriter,
  decodeAttributes,
  HOST_LITTLE_ENDIAN,
  nestedIn,
  optionalText,
  optionalU32,
  u32Bytes,
} from './attributes.js';

const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_MACVLAN_MODE = 1;
/**
 * Nothing is handed over between devices of one parent here, and what comes in from outside is for the parent whatever
 * its source MAC address (macvlan_handle_frame). In private mode a multicast whose source is a device of this host, so
 * every advertisement of a peer with the same virtual MAC address, would be for that device alone.
 */
const MACVLAN_MODE_VEPA = 2;
const KIND = 'macvlan';
const MAC_BYTES = 6;
/** What ip(8) shows as the device's alias: the mark of those that a director made. */
const OWN_ALIAS = 'lvs-director';
/** Of 00:00:5e:00:01:VRID and 00:00:5e:00:02:VRID. */
const VIRTUAL_ROUTER_MAC = /^00:00:5e:00:0[12]:/;

/** What a device is, as far as a macvlan of ours can be told from another. */
export interface DeviceIdentity {
  readonly name: string;
  readonly index: number;
  /** IFLA_INFO_KIND; undefined for a device that is no virtual one. */
  readonly kind: string | undefined;
  /** IFLA_LINK: the parent's index. */
  readonly parentIndex: number | undefined;
  /** As `00:00:5e:00:01:33`. */
  readonly mac: string | undefined;
  /** IFLA_MACVLAN_MODE of a macvlan. */
  readonly mode: number | undefined;
  /** IFLA_IFALIAS. */
  readonly alias: string | undefined;
  /** IFF_UP: what was asked for; the operational state may follow later. */
  readonly up: boolean;
}

/** Throws RangeError. */
export function macBytes(text: string): Uint8Array {
  const parts = text.split(':');
  if (parts.length !== MAC_BYTES || !parts.every((part) => /^[0-9a-f]{2}$/i.test(part))) {
    throw new RangeError(`'${text}' is no MAC address`);
  }
  return Uint8Array.from(parts, (part) => Number.parseInt(part, 16));
}

/** Payload of RTM_NEWLINK (with NLM_F_CREATE and NLM_F_EXCL) for a macvlan in VEPA mode; it is down. */
export function macvlanPayload(name: string, parentIndex: number, mac: string): Uint8Array {
  const writer = new AttributeWriter(linkHeader(0, 0))
    .string(IFLA_IFNAME, name)
    .u32(IFLA_LINK, parentIndex)
    .bytes(IFLA_ADDRESS, macBytes(mac));
  return vepaMode(writer).finish();
}

/** Payload of RTM_NEWLINK that turns a macvlan that is there to VEPA mode, marks it as ours and sets it up. */
export function setUpPayload(index: number): Uint8Array {
  return vepaMode(new AttributeWriter(linkHeader(index, IFF_UP)).text(IFLA_IFALIAS, OWN_ALIAS)).finish();
}

function vepaMode(writer: AttributeWriter): AttributeWriter {
  return writer.nested(IFLA_LINKINFO, () =>
    writer
      .text(IFLA_INFO_KIND, KIND)
      .nested(IFLA_INFO_DATA, () => writer.u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_VEPA)),
  );
}

/** Payload of RTM_DELLINK. */
export function deleteLinkPayload(index: number): Uint8Array {
  return linkHeader(index, 0);
}

/** struct ifinfomsg with the flags that are to be set. */
function linkHeader(index: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(IFINFOMSG_BYTES);
  bytes.set(u32Bytes(index), 4);
  bytes.set(u32Bytes(flags), 8);
  bytes.set(u32Bytes(flags), 12);
  return bytes;
}

/** Payload of RTM_NEWLINK as the kernel sends it; undefined when it is not understood. */
export function decodeDevice(payload: Uint8Array): DeviceIdentity | undefined {
  if (payload.length < IFINFOMSG_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const attributes = decodeAttributes(payload, IFINFOMSG_BYTES);
  const info = nestedIn(attributes, IFLA_LINKINFO);
  const data = nestedIn(info, IFLA_INFO_DATA);
  const mac = attributes.get(IFLA_ADDRESS);
  return {
    name: optionalText(attributes, IFLA_IFNAME) ?? '',
    index: view.getInt32(4, HOST_LITTLE_ENDIAN),
    kind: optionalText(info, IFLA_INFO_KIND),
    parentIndex: optionalU32(attributes, IFLA_LINK),
    mac: mac?.length === MAC_BYTES ? hexText(mac, ':') : undefined,
    mode: optionalU32(data, IFLA_MACVLAN_MODE),
    alias: optionalText(attributes, IFLA_IFALIAS),
    up: (view.getUint32(8, HOST_LITTLE_ENDIAN) & IFF_UP) !== 0,
  };
}

export function isMacvlan(device: DeviceIdentity): boolean {
  return device.kind === KIND;
}

/** Whether a director made it, this one or an earlier run. */
export function isOwnDevice(device: DeviceIdentity): boolean {
  return isMacvlan(device) && device.alias === OWN_ALIAS && VIRTUAL_ROUTER_MAC.test(device.mac ?? '');
}

/** Whether nothing is left to do for a device of ours but its sysctls. */
export function isReady(device: DeviceIdentity): boolean {
  return device.up && device.mode === MACVLAN_MODE_VEPA && device.alias === OWN_ALIAS;
}
