/**
 * VRRP packets within UDP, for networks that drop IP protocol 112. Other implementations do not speak it.
 * What node:dgram cannot do shows: nothing tells the TTL of what arrives, no packet has a DS field, and the receive
 * time is the time of reading.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { ReceivedVrrp, VrrpPacket, VrrpTransport } from '../../runtime/ports.js';
import { addressBytes, isLinkLocal } from '../../util/ip-address.js';
import { VRRP_TTL } from '../../vrrp/packet.js';
import { monotonicClock } from '../host/clock.js';

import { SourceWatch } from './source-watch.js';
import type { VrrpRoute } from './transport-route.js';

/** Some hundred advertisements: room for a stalled event loop. */
const RECEIVE_BUFFER_BYTES = 262_144;
/** Turns of the event loop that one `drain` takes at most; libuv reads up to 32 datagrams in each. */
const MAX_DRAIN_TURNS = 128;

/** A datagram socket whose calls act at once, or throw: node:dgram waits for the resolver even for an address. */
function openSocket(family: VrrpRoute['family'], reuseAddr: boolean): Socket {
  return createSocket({
    type: family === 'ipv6' ? 'udp6' : 'udp4',
    reuseAddr,
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    lookup: (address, _, callback) => callback(null, address, family === 'ipv6' ? 6 : 4),
  });
}

/** @throws what bind(2) says, with `code` and `syscall` */
function bindNow(socket: Socket, address: string, port: number): void {
  let failure: Error | undefined;
  const onError = (error: Error): void => {
    failure = error;
  };
  socket.once('error', onError);
  socket.bind({ address, port, exclusive: true });
  socket.off('error', onError);
  if (failure !== undefined) throw failure;
}

function turnOfTheLoop(): Promise<void> {
  // Two checks have one whole polling phase between them, whatever phase this is called in.
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

export class UdpVrrpTransport implements VrrpTransport {
  readonly source: string;
  readonly destinations: readonly string[];
  readonly #route: VrrpRoute;
  readonly #port: number;
  readonly #peers: ReadonlySet<string>;
  readonly #onMessage: (message: ReceivedVrrp) => void;
  readonly #onError: (error: Error) => void;
  /** Bound to the source address; with peers it receives too. */
  readonly #sender: Socket;
  /** Bound to the group. */
  readonly #receiver: Socket | undefined;
  #sourceWatch: SourceWatch | undefined;
  #open = true;
  #readCount = 0;
  /** Of the source address, once the interface is up. */
  #mask: Uint8Array | undefined;

  constructor(
    route: VrrpRoute,
    port: number,
    onMessage: (message: ReceivedVrrp) => void,
    onError: (error: Error) => void,
    onConflict: (hardwareAddress: string) => void = () => {},
  ) {
    const { group, peers, family, source } = route;
    this.source = source;
    this.destinations = group === undefined ? peers : [group];
    this.#route = route;
    this.#port = port;
    this.#peers = new Set(peers);
    this.#onMessage = onMessage;
    this.#onError = onError;
    this.#sender = openSocket(family, false);
    this.#receiver = group === undefined ? undefined : openSocket(family, true);
    try {
      bindNow(this.#sender, this.#scoped(source), port);
      this.#sender.on('error', onError);
      this.#sender.setTTL(VRRP_TTL);
      if (group === undefined || this.#receiver === undefined) {
        this.#sender.on('message', (payload, from) => this.#received(payload, from, source));
      } else {
        this.#sender.setMulticastInterface(this.#multicastInterface());
        this.#sender.setMulticastTTL(VRRP_TTL);
        this.#sender.setMulticastLoopback(false);
        this.#listenToGroup(this.#receiver, group);
      }
      if (family === 'ipv4') this.#sourceWatch = new SourceWatch(route.interface, source, onConflict);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Never throws: a refusal goes to `onError`. */
  send(packets: readonly VrrpPacket[]): void {
    for (const { payload, destination } of packets) {
      this.#sender.send(payload, this.#port, this.#scoped(destination), (error) => {
        if (error !== null && this.#open) this.#onError(error);
      });
    }
  }

  /**
   * Resolves after a turn of the event loop in which the sockets were polled and nothing came: only the loop
   * itself reads from them.
   */
  async drain(): Promise<void> {
    for (let turn = 0; turn < MAX_DRAIN_TURNS && this.#open; turn++) {
      const before = this.#readCount;
      await turnOfTheLoop();
      if (this.#readCount === before) return;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sender.close();
    this.#receiver?.close();
    this.#sourceWatch?.close();
  }

  #listenToGroup(socket: Socket, group: string): void {
    // Bound to the group: what is sent to an address of this host at this port is not for us.
    bindNow(socket, this.#scoped(group), this.#port);
    socket.on('error', this.#onError);
    socket.on('message', (payload, from) => this.#received(payload, from, group));
    socket.addMembership(group, this.#multicastInterface());
  }

  /** How dgram names an interface: by its address under IPv4, by its scope under IPv6. */
  #multicastInterface(): string {
    return this.#route.family === 'ipv6' ? `::%${this.#route.interface}` : this.source;
  }

  #scoped(address: string): string {
    const needsScope = isLinkLocal(address) || address.startsWith('ff02:');
    return needsScope ? `${address}%${this.#route.interface}` : address;
  }

  #received(payload: Uint8Array, from: RemoteInfo, destination: string): void {
    this.#readCount += 1;
    const [source = ''] = from.address.split('%');
    if (!this.#open) return;
    const { group } = this.#route;
    if (group !== undefined && !this.#onThisLink(source)) return;
    this.#onMessage({
      payload,
      source,
      destination,
      ttl: undefined,
      rejected: group === undefined && !this.#peers.has(source) ? 'unknown-peer' : undefined,
      receivedAtMs: monotonicClock.nowMs(),
    });
  }

  /**
   * Linux delivers an IPv4 multicast to every socket bound to the group, whichever interface it joined on
   * (IP_MULTICAST_ALL), and dgram does not tell where it came in: the sender's network has to. An IPv6 socket is
   * bound to the interface by the group's scope.
   */
  #onThisLink(source: string): boolean {
    if (this.#route.family === 'ipv6') return true;
    this.#mask ??= this.#netmask();
    const ours = addressBytes(this.source);
    const theirs = addressBytes(source);
    if (this.#mask === undefined || ours === undefined || theirs === undefined) return false;
    return this.#mask.every((bits, i) => (bits & (ours[i] ?? 0)) === (bits & (theirs[i] ?? 0)));
  }

  #netmask(): Uint8Array | undefined {
    const own = networkInterfaces()[this.#route.interface]?.find(({ address }) => address === this.source);
    return own === undefined ? undefined : addressBytes(own.netmask);
  }
}
