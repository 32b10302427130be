/**
 * A VRRP transport over sockets of our own: what both carriers, IP protocol 112 and UDP, have in common. One socket hears
 * what the channel's virtual routers say, another one, at a pace, all the rest: whoever sends it, and however much, fills
 * that one's buffer alone (decision 0019).
 */
import type { ExpectedRouter, ReceivedVrrp, Shot, VrrpPacket, VrrpTransport } from '../../runtime/ports.js';
import { VRRP_TTL } from '../../vrrp/packet.js';
import { monotonicClock } from '../host/clock.js';
import { type Instruction, MAX_INSTRUCTIONS, programBytes } from '../sockets/bpf.js';
import type { IpMessageInfo, IpSocket } from '../sockets/ip-socket.js';
import { sendAsNetworkControl } from '../sockets/network-control.js';
import { ReadingPace } from '../sockets/reading-pace.js';
import type { Depth, Ear } from './filter.js';
import { SourceWatch } from './source-watch.js';
import type { VrrpRoute } from './transport-route.js';

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

/** The sockets of one carrier, bound. */
export interface Carrier {
  /** Packets leave by it; it may be `expected`. */
  readonly sender: IpSocket;
  readonly expected: IpSocket;
  readonly others: IpSocket;
  /** Whether the TTL of what arrives is looked at. */
  readonly tellsTtl: boolean;
  /** The VRRP message of what a socket delivers; undefined when it is not sound. */
  payloadOf(packet: Uint8Array): Uint8Array | undefined;
  /**
   * Has the kernel give each packet to one of the two. False when a program of this depth would be too long.
   *
   * @throws an Error with the code ENOMEM when the kernel has no room for it
   */
  divide(depth: Depth, routers: readonly ExpectedRouter[]): boolean;
}

/** Opens a carrier's sockets. Each goes through `keep`: when a later one is refused, all are closed. */
export type OpenCarrier = (
  route: VrrpRoute,
  keep: <Socket extends IpSocket>(socket: Socket) => Socket,
) => Carrier;

/** `device`: packets leave by it alone; undefined: as the routes say. `source` is where multicasts come from. */
export function prepareSending(socket: IpSocket, device: string | undefined, source: string): void {
  if (device !== undefined) {
    socket.bindToDevice(device);
    socket.setMulticastInterface(device, source);
  }
  socket.setMulticastTTL(VRRP_TTL);
  socket.setMulticastLoopback(false);
  sendAsNetworkControl(socket);
}

/**
 * Divides what each of two sockets gets a copy of, by a filter before either. False when a program would be too long.
 *
 * @throws an Error with the code ENOMEM when the kernel has no room for one
 */
export function divideByFilters(
  { expected, others }: Pick<Carrier, 'expected' | 'others'>,
  program: (ear: Ear) => readonly Instruction[],
): boolean {
  const forExpected = program('expected');
  if (forExpected.length > MAX_INSTRUCTIONS) return false;
  // For a moment both hear a packet, and it counts twice; the other way round nobody would.
  expected.attachFilter(programBytes(forExpected));
  others.attachFilter(programBytes(program('others')));
  return true;
}

function paced(perSecond: number, burst: number, restMs: number): ReadingPace {
  return new ReadingPace({ nowMs: () => monotonicClock.nowMs(), perSecond, burst, restMs });
}

export class SocketTransport implements VrrpTransport {
  readonly source: string;
  readonly destinations: readonly string[];
  readonly #route: VrrpRoute;
  readonly #peers: ReadonlySet<string>;
  readonly #carrier: Carrier;
  readonly #sockets: IpSocket[] = [];
  readonly #pace = paced(EXPECTED_LEAST_PER_SECOND, EXPECTED_BURST, EXPECTED_REST_MS);
  readonly #sourceWatch: SourceWatch | undefined;
  /** Of the destinations, as sendmsg(2) takes them. */
  readonly #addresses = new Map<string, Uint8Array>();
  readonly #onMessage: (message: ReceivedVrrp) => void;

  constructor(
    route: VrrpRoute,
    open: OpenCarrier,
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
    try {
      this.#carrier = open(route, (socket) => {
        this.#sockets.push(socket);
        socket.on('error', onError);
        return socket;
      });
      const { expected, others } = this.#carrier;
      expected.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
      expected.paceReading(this.#pace);
      others.setRecvBufferSize(OTHERS_BUFFER_BYTES);
      others.paceReading(paced(OTHERS_PER_SECOND, OTHERS_BURST, OTHERS_REST_MS));
      for (const ear of [expected, others]) ear.on('message', (packet, info) => this.#received(packet, info));
      this.#sourceWatch =
        route.family === 'ipv4' ? new SourceWatch(route.interface, source, onConflict) : undefined;
    } catch (error) {
      for (const socket of this.#sockets) socket.close();
      throw error;
    }
  }

  send(packets: readonly VrrpPacket[]): void {
    this.#carrier.sender.sendAll(...this.#mail(packets));
  }

  shots(packets: readonly VrrpPacket[]): readonly Shot[] {
    return this.#carrier.sender.shots(...this.#mail(packets));
  }

  drain(): void {
    this.#carrier.expected.drain();
    this.#carrier.others.drain();
  }

  expect(routers: readonly ExpectedRouter[]): void {
    const inGoodOrder = routers.reduce((sum, one) => sum + 1000 / one.advertisementIntervalMs, 0);
    this.#pace.setRate(Math.max(EXPECTED_LEAST_PER_SECOND, EXPECTED_TIMES * inGoodOrder));
    if (!this.#divide(routers)) this.#carrier.divide('head', routers);
  }

  unread(): number {
    return this.#carrier.expected.droppedCount() + this.#carrier.others.droppedCount();
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.#sourceWatch?.close();
  }

  /** By whole messages; false where the kernel has no room for that. */
  #divide(routers: readonly ExpectedRouter[]): boolean {
    try {
      return this.#carrier.divide('whole', routers);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOMEM') return false;
      throw error;
    }
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
      this.#addresses.set(destination, (address = this.#carrier.sender.address(destination)));
    return address;
  }

  #received(packet: Uint8Array, info: IpMessageInfo): void {
    const payload = this.#carrier.payloadOf(packet);
    if (payload === undefined) return;
    this.#onMessage({
      payload,
      source: info.address,
      destination: info.destination,
      ttl: this.#carrier.tellsTtl ? info.hopLimit : undefined,
      minTtl: this.#route.minTtl,
      rejected: this.#rejected(info),
      receivedAtMs: info.receivedAtMs,
    });
  }

  #rejected(info: IpMessageInfo): ReceivedVrrp['rejected'] {
    const { group, source } = this.#route;
    if (info.destination !== (group ?? source)) return 'bad-destination';
    return group === undefined && !this.#peers.has(info.address) ? 'unknown-peer' : undefined;
  }
}
