/** Forged advertisements of every sort, for a pair that is virtual router 51 with 192.168.7.253, lb1 its master. */
import { udpDatagram } from '../../../src/io/vrrp/guardian-orders.js';
import { knownAddressBytes } from '../../../src/util/ip-address.js';
import { type Advertisement, encodeAdvertisement } from '../../../src/vrrp/packet.js';

export const GROUP = '224.0.0.18';
const VRRP = 112;
const UDP = 17;
const VIRTUAL_ROUTER = 51;
const ADDRESS = '192.168.7.253';
const MASTER = '192.168.7.11';

/** IP packets, each `n` with a sender of its own but for those that take the master's name. */
export const FLOOD_KINDS = {
  /** Of other virtual routers, sound in themselves. */
  'other-vrids': (n) => packet(n, { virtualRouterId: 1 + (n % 50) }),
  /** Of our virtual router with a wrong checksum. */
  'bad-checksums': (n) => packet(n, {}, { harm: true }),
  /** The same in the master's name. */
  'in-masters-name': (n) => packet(n, { priority: 255 }, { harm: true, source: MASTER }),
  /** Another cluster with our virtual router identifier. */
  'other-addresses': (n) => packet(n, { priority: 255, addresses: [`10.${n >> 8}.${n & 255}.1`] }),
  /** Through a router. */
  'low-ttl': (n) => packet(n, { priority: 255 }, { ttl: 254 }),
  /** Of another version, and no interval. */
  'other-version': (n) => packet(n, { version: 2, advertisementIntervalMs: 1000 }),
  /** Sound, and weaker than the master: what the election has to take (docs/decisions/0019). */
  'weaker-routers': (n) => packet(n, { priority: 1 + (n % 90) }),
  /** Nothing but a head. */
  short: (n) => packet(n, {}, { length: 8 + (n % 4) }),
} as const satisfies Record<string, (n: number) => Uint8Array>;

export type FloodKind = keyof typeof FLOOD_KINDS;

/** What is no sound advertisement of the pair's virtual router. */
export const USUAL_KINDS = Object.keys(FLOOD_KINDS).filter((kind) => kind !== 'weaker-routers');

interface Envelope {
  readonly harm?: boolean;
  readonly source?: string;
  readonly ttl?: number;
  /** Of the VRRP message: cut off there. */
  readonly length?: number;
}

function packet(n: number, change: Partial<Advertisement>, envelope: Envelope = {}): Uint8Array {
  const { harm = false, source = `192.168.${16 + ((n >> 8) & 127)}.${n & 255}`, ttl = 255 } = envelope;
  const advertisement: Advertisement = {
    version: 3,
    family: 'ipv4',
    virtualRouterId: VIRTUAL_ROUTER,
    priority: 1 + (n % 254),
    advertisementIntervalMs: 100,
    addresses: [ADDRESS],
    ...change,
  };
  const whole = encodeAdvertisement(advertisement, { checksum: 'rfc5798', source, destination: GROUP });
  const message = whole.subarray(0, envelope.length ?? whole.length);
  if (harm) message[7] = (message[7] ?? 0) ^ (1 + (n & 0x7f));
  const header = Buffer.alloc(20);
  header.set([0x45, 0xc0]);
  header.writeUInt16BE(header.length + message.length, 2);
  header.set([ttl, VRRP], 8);
  header.set(knownAddressBytes(source), 12);
  header.set(knownAddressBytes(GROUP), 16);
  return Buffer.concat([header, message]);
}

/** The same message in a UDP datagram, to `destination`. */
export function withinUdp(ip: Uint8Array, port: number, destination: string): Uint8Array {
  const header = Buffer.from(ip.subarray(0, 20));
  const to = knownAddressBytes(destination);
  const datagram = udpDatagram(port, header.subarray(12, 16), to, ip.subarray(20));
  header.writeUInt16BE(header.length + datagram.length, 2);
  header.set([UDP], 9);
  header.set(to, 16);
  return Buffer.concat([header, datagram]);
}

export function isFloodKind(name: string): name is FloodKind {
  return Object.hasOwn(FLOOD_KINDS, name);
}
