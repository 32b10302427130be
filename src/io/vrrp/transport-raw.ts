/** VRRP as raw IP protocol 112 on one interface (RFC 9568 sections 5.1.1 and 5.1.2), multicast or to named peers. */
import type { ExpectedRouter, ReceivedVrrp, Shot, VrrpPacket, VrrpTransport } from '../../runtime/ports.js';
import { ipv4Payload } from '../../vrrp/ipv4-header.js';
import { IP_PROTOCOL_VRRP, VRRP_TTL } from '../../vrrp/packet.js';
import { monotonicClock } from '../host/clock.js';
import { MAX_INSTRUCTIONS, programBytes } from '../sockets/bpf.js';
import { type RawMessageInfo, RawSocket } from '../sockets/raw-socket.js';
import { ReadingPace } from '../sockets/reading-pace.js';
import { IPPROTO_IPV6, IPV6_FREEBIND } from '../sockets/socket-constants.js';
import { type Depth, type Ear, NOTHING, vrrpFilter } from './filter.js';
import { SourceWatch } from './source-watch.js';
import type { VrrpRoute } from './transport-route.js';

/** DSCP CS6, network control (RFC 4594 section 3.1), in its place in the DS field. */
const NETWORK_CONTROL_TOS = 0xc0;
/** TC_PRIO_INTERACTIVE: the first band of the default queueing discipline. */
const INTERACTIVE_PRIORITY = 6;
/** Some hundred advertisements: room for a stalled event loop. */
const RECEIVE_BUFFER_BYTES = 262_144;
/** Of the socket for the rest: what it holds is read within a few rests, or dropped. */
const OTHERS_BUFFER_BYTES = 65_536;
/**
 * Of packets that no virtual router here would take: enough for the diagnosis of a crowded segment, and a hundredth of
 * a processor in a flood of any size.
 */
const OTHERS_PER_SECOND = 1000;
const OTHERS_BURST = 256;
const OTHERS_REST_MS = 50;
/**
 * Of expected messages: several times what all routers of a segment say in good order, so that sound ones that somebody
 * forges do not keep this director from speaking in time. A burst is more than the buffer holds.
 */
const EXPECTED_LEAST_PER_SECOND = 2000;
const EXPECTED_TIMES = 4;
const EXPECTED_BURST = 4096;
const EXPECTED_REST_MS = 5;
/** The kernel's minimum, for a socket that only sends. */
const NO_RECEIVE_BUFFER = 0;

export class RawVrrpTransport implements VrrpTransport {
  readonly source: string;
  readonly destinations: readonly string[];
  readonly #route: VrrpRoute;
  readonly #peers: ReadonlySet<string>;
  /** Hears what is expected. */
  readonly #receiver: RawSocket;
  /** Hears all the rest, at a pace: whoever sends it, and however much, fills this one's buffer alone. */
  readonly #others: RawSocket;
  readonly #pace = new ReadingPace({
    nowMs: () => monotonicClock.nowMs(),
    perSecond: EXPECTED_LEAST_PER_SECOND,
    burst: EXPECTED_BURST,
    restMs: EXPECTED_REST_MS,
  });
  #sourceWatch: SourceWatch | undefined;
  /** The receiver, unless packets leave by another device: that of the virtual MAC address. */
  readonly #sender: RawSocket;
  /** Of the destinations, as sendmsg(2) takes them. */
  readonly #addresses = new Map<string, Uint8Array>();
  readonly #onMessage: (message: ReceivedVrrp) => void;

  constructor(
    route: VrrpRoute,
    onMessage: (message: ReceivedVrrp) => void,
    onError: (error: Error) => void,
    onConflict: (hardwareAddress: string) => void = () => {},
  ) {
    const { group, peers, source } = route;
    this.source = source;
    this.destinations = group === undefined ? peers : [group];
    this.#route = route;
    this.#peers = new Set(peers);
    this.#onMessage = onMessage;
    this.#receiver = openSocket(route.family);
    this.#others = this.#receiver;
    this.#sender = this.#receiver;
    try {
      this.#others = openSocket(route.family);
      if (group !== undefined && route.sendInterface !== route.interface) {
        this.#sender = openSocket(route.family);
        prepareVirtualMacSender(this.#sender, route, onError);
      } else {
        prepareSending(this.#sender, route.interface, source);
      }
      this.#receiver.attachFilter(programBytes(NOTHING));
      this.#receiver.paceReading(this.#pace);
      this.#prepareReceiving(this.#receiver, RECEIVE_BUFFER_BYTES, onError);
      this.#others.paceReading(
        new ReadingPace({
          nowMs: () => monotonicClock.nowMs(),
          perSecond: OTHERS_PER_SECOND,
          burst: OTHERS_BURST,
          restMs: OTHERS_REST_MS,
        }),
      );
      this.#prepareReceiving(this.#others, OTHERS_BUFFER_BYTES, onError);
      if (route.family === 'ipv4')
        this.#sourceWatch = new SourceWatch(route.interface, route.source, onConflict);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  send(packets: readonly VrrpPacket[]): void {
    this.#sender.sendAll(...this.#mail(packets));
  }

  shots(packets: readonly VrrpPacket[]): readonly Shot[] {
    return this.#sender.shots(...this.#mail(packets));
  }

  drain(): undefined {
    this.#receiver.drain();
    this.#others.drain();
  }

  expect(routers: readonly ExpectedRouter[]): void {
    const inGoodOrder = routers.reduce((sum, one) => sum + 1000 / one.advertisementIntervalMs, 0);
    this.#pace.setRate(Math.max(EXPECTED_LEAST_PER_SECOND, EXPECTED_TIMES * inGoodOrder));
    // For a moment both hear a packet, and it counts twice; the other way round nobody would.
    if (!this.#filter('whole', routers)) this.#filter('head', routers);
  }

  unread(): number {
    return this.#receiver.droppedCount() + this.#others.droppedCount();
  }

  close(): void {
    this.#receiver.close();
    this.#others.close();
    this.#sourceWatch?.close();
    this.#sender.close();
  }

  #mail(packets: readonly VrrpPacket[]): [messages: Uint8Array[], addresses: Uint8Array[]] {
    return [
      packets.map(({ payload }) => payload),
      packets.map(({ destination }) => this.#addressOf(destination)),
    ];
  }

  #addressOf(destination: string): Uint8Array {
    let address = this.#addresses.get(destination);
    if (address === undefined)
      this.#addresses.set(destination, (address = this.#sender.address(destination)));
    return address;
  }

  /** Whether the kernel has room for programs of this depth. */
  #filter(depth: Depth, routers: readonly ExpectedRouter[]): boolean {
    const program = (ear: Ear) => vrrpFilter(ear, depth, this.#route, routers);
    if (program('expected').length > MAX_INSTRUCTIONS) return false;
    try {
      this.#receiver.attachFilter(programBytes(program('expected')));
      this.#others.attachFilter(programBytes(program('others')));
      return true;
    } catch (error) {
      if (depth === 'whole' && error instanceof Error && 'code' in error && error.code === 'ENOMEM')
        return false;
      throw error;
    }
  }

  #prepareReceiving(socket: RawSocket, bufferBytes: number, onError: (error: Error) => void): void {
    const { interface: interfaceName, family, group, source } = this.#route;
    socket.bindToDevice(interfaceName);
    socket.setRecvBufferSize(bufferBytes);
    socket.setJoinedGroupsOnly();
    socket.on('error', onError);
    socket.on('message', (packet, info) => this.#received(packet, info));
    if (group !== undefined) socket.addMembership(group, interfaceName);
    // A raw IPv4 socket with an address hears no multicast; a raw IPv6 one does (raw_v6_match) and needs it as source.
    if (group !== undefined && family === 'ipv4') socket.bind();
    else socket.bind(source);
  }

  #received(packet: Uint8Array, info: RawMessageInfo): void {
    const payload = this.#route.family === 'ipv4' ? ipv4Payload(packet) : packet;
    if (payload === undefined) return;
    this.#onMessage({
      payload,
      source: info.address,
      destination: info.destination,
      ttl: info.hopLimit,
      minTtl: this.#route.minTtl,
      rejected: this.#rejected(info),
      receivedAtMs: info.receivedAtMs,
    });
  }

  #rejected(info: RawMessageInfo): ReceivedVrrp['rejected'] {
    const { group, source } = this.#route;
    if (info.destination !== (group ?? source)) return 'bad-destination';
    return group === undefined && !this.#peers.has(info.address) ? 'unknown-peer' : undefined;
  }
}

function openSocket(family: VrrpRoute['family']): RawSocket {
  // RFC 3542 section 3.1: the kernel leaves checksums within raw IPv6 packets alone, ICMPv6 excepted.
  return new RawSocket({ type: family === 'ipv6' ? 'raw6' : 'raw4', protocol: IP_PROTOCOL_VRRP });
}

function prepareSending(socket: RawSocket, interfaceName: string, source: string): void {
  socket.bindToDevice(interfaceName);
  socket.setMulticastInterface(interfaceName, source);
  socket.setMulticastTTL(VRRP_TTL);
  socket.setMulticastLoopback(false);
  socket.setTTL(VRRP_TTL);
  // In this order: setting the DS field resets the priority (ip(7)).
  socket.setTypeOfService(NETWORK_CONTROL_TOS);
  socket.setPriority(INTERACTIVE_PRIORITY);
}

/** Sends by the macvlan device from the address of its parent, as RFC 9568 section 7.2 has it; receives nothing. */
function prepareVirtualMacSender(
  socket: RawSocket,
  { sendInterface, family, source }: VrrpRoute,
  onError: (error: Error) => void,
): void {
  prepareSending(socket, sendInterface, source);
  socket.setRecvBufferSize(NO_RECEIVE_BUFFER);
  if (family === 'ipv4') return;
  // The link-local address is the parent's: the device itself does not hold it.
  socket.setIntOption(IPPROTO_IPV6, IPV6_FREEBIND, 1);
  socket.on('error', onError);
  socket.bind(source);
}
