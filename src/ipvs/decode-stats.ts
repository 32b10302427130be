/** Statistics in the answers to IPVS_CMD_GET_SERVICE and IPVS_CMD_GET_DEST. As in decode.ts, nothing is trusted. */
import {
  type Attributes,
  attributesOf,
  type Decoded,
  decoding,
  fail,
  HOST_LITTLE_ENDIAN,
  u16Of,
} from '../netlink/attributes.js';
import type { AddressFamily } from '../util/ip-address.js';
import { decodeDestination, familyFrom, keyOf, nestOf } from './decode.js';
import type { CountedDestination, CountedService, TrafficStats } from './model.js';
import { IPVS_CMD_ATTR, IPVS_DEST_ATTR, IPVS_STATS_ATTR, IPVS_SVC_ATTR } from './uapi.js';

/** A message of an IPVS_CMD_GET_SERVICE dump; its destinations come in dumps of their own. */
export function decodeServiceStats(payload: Uint8Array): Decoded<CountedService> {
  return decoding(() => {
    const attributes = nestOf(payload, IPVS_CMD_ATTR.SERVICE, 'IPVS_CMD_ATTR_SERVICE');
    const family = familyFrom(u16Of(attributes, IPVS_SVC_ATTR.AF, 'IPVS_SVC_ATTR_AF'), 'IPVS_SVC_ATTR_AF');
    const { STATS64, STATS } = IPVS_SVC_ATTR;
    const stats = statsOf(attributes, [STATS64, STATS], 'IPVS_SVC_ATTR_STATS64');
    return { key: keyOf(attributes, family), stats, destinations: [] };
  });
}

/** A message of an IPVS_CMD_GET_DEST dump; `serviceFamily` as for `decodeDestination`. */
export function decodeDestinationStats(
  payload: Uint8Array,
  serviceFamily: AddressFamily,
): Decoded<CountedDestination> {
  const decoded = decodeDestination(payload, serviceFamily);
  if (!decoded.ok) return decoded;
  const { address, port, weight } = decoded.value;
  const { activeConnections, inactiveConnections, persistentConnections } = decoded.value;
  return decoding(() => {
    const attributes = nestOf(payload, IPVS_CMD_ATTR.DEST, 'IPVS_CMD_ATTR_DEST');
    const { STATS64, STATS } = IPVS_DEST_ATTR;
    const stats = statsOf(attributes, [STATS64, STATS], 'IPVS_DEST_ATTR_STATS64');
    return { address, port, weight, activeConnections, inactiveConnections, persistentConnections, stats };
  });
}

/** The first of `types` that is there: kernels before 4.1 have only the one without 64. */
function statsOf(attributes: Attributes, types: readonly number[], field: string): TrafficStats {
  const nest = types.map((type) => attributes.get(type)).find((value) => value !== undefined);
  const stats = attributesOf(nest ?? fail('missing', field), 0, field);
  const { CONNS, INPKTS, OUTPKTS, INBYTES, OUTBYTES, CPS, INPPS, OUTPPS, INBPS, OUTBPS } = IPVS_STATS_ATTR;
  const numberOf = (type: number): number => unsignedOf(stats, type, field);
  return {
    connections: numberOf(CONNS),
    incomingPackets: numberOf(INPKTS),
    outgoingPackets: numberOf(OUTPKTS),
    incomingBytes: numberOf(INBYTES),
    outgoingBytes: numberOf(OUTBYTES),
    connectionsPerSecond: numberOf(CPS),
    incomingPacketsPerSecond: numberOf(INPPS),
    outgoingPacketsPerSecond: numberOf(OUTPPS),
    incomingBytesPerSecond: numberOf(INBPS),
    outgoingBytesPerSecond: numberOf(OUTBPS),
  };
}

/** 32 or 64 bits in host order; above 2^53 to the nearest number. */
function unsignedOf(stats: Attributes, type: number, field: string): number {
  const value = stats.get(type);
  if (value === undefined) return fail('missing', field);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length === 4) return view.getUint32(0, HOST_LITTLE_ENDIAN);
  if (value.length !== 8) return fail('bad-length', field);
  const [low, high] = HOST_LITTLE_ENDIAN ? [0, 4] : [4, 0];
  return view.getUint32(high, HOST_LITTLE_ENDIAN) * 2 ** 32 + view.getUint32(low, HOST_LITTLE_ENDIAN);
}
