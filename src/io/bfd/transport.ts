/** BFD's way onto the wire (RFC 5881): one socket that hears a local address, and one with a port of its own for each peer. */
import { randomInt } from 'node:crypto';
import { BFD_PORT, BFD_SOURCE_PORTS } from '../../bfd/packet.js';
import type { BfdLink, BfdPorts, BfdTransport, ReceivedBfd } from '../../runtime/ports.js';
import { monotonicClock } from '../host/clock.js';
import { assertHeld, primaryAddress } from '../host/interface-address.js';
import { NOTHING, programBytes } from '../sockets/bpf.js';
import { sendAsNetworkControl } from '../sockets/network-control.js';
import { ReadingPace } from '../sockets/reading-pace.js';
import { UdpSocket } from '../sockets/udp-socket.js';
import { bfdFilter } from './filter.js';

/** Some hundred packets: room for a stalled event loop. */
const RECEIVE_BUFFER_BYTES = 65_536;
/** Of what passes the filter: for each peer several times the hundred packets that are its due, however many somebody forges. */
const PACKETS_PER_SECOND = 1000;
const BURST = 256;
const REST_MS = 5;
/** Ports that are taken are passed over, so often at most. */
const MAX_PORT_TRIES = 16;
const MAX_DISCRIMINATOR = 0xffffffff;

/** `avoid`: virtual addresses, which are nobody's own. */
export function openBfdPorts(avoid: () => readonly string[]): BfdPorts {
  return {
    random: Math.random,
    discriminator: () => 1 + randomInt(MAX_DISCRIMINATOR),
    sourceOf: (device, family, wanted) => {
      if (wanted === undefined) return primaryAddress(device, family, avoid());
      assertHeld(device, family, wanted);
      return wanted;
    },
    open: (link, onMessage, onError) => new SocketTransport(link, onMessage, onError),
  };
}

class SocketTransport implements BfdTransport {
  readonly #sockets: UdpSocket[] = [];
  readonly #listener: UdpSocket;
  readonly #senders = new Map<string, UdpSocket>();

  constructor(link: BfdLink, onMessage: (message: ReceivedBfd) => void, onError: (error: Error) => void) {
    try {
      this.#listener = this.#open(link, onError);
      this.#listener.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
      this.#listener.attachFilter(programBytes(bfdFilter(link)));
      this.#listener.paceReading(
        new ReadingPace({
          nowMs: () => monotonicClock.nowMs(),
          perSecond: PACKETS_PER_SECOND * link.peers.length,
          burst: BURST,
          restMs: REST_MS,
        }),
      );
      this.#listener.on('message', (payload, { address, hopLimit, receivedAtMs }) =>
        onMessage({ payload, source: address, ttl: hopLimit, receivedAtMs }),
      );
      this.#listener.bind(link.source);
      for (const { address } of link.peers) {
        const sender = this.#open(link, onError);
        sendAsNetworkControl(sender);
        sender.attachFilter(programBytes(NOTHING));
        bindToFreePort(sender, link.source);
        this.#senders.set(address, sender);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  send(peer: string, payload: Uint8Array): void {
    this.#senders.get(peer)?.send(payload, peer);
  }

  drain(): void {
    this.#listener.drain();
  }

  unread(): number {
    return this.#listener.droppedCount();
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #open({ interface: device, family }: BfdLink, onError: (error: Error) => void): UdpSocket {
    const socket = new UdpSocket({ type: family === 'ipv6' ? 'udp6' : 'udp4', port: BFD_PORT });
    this.#sockets.push(socket);
    socket.on('error', onError);
    socket.bindToDevice(device);
    return socket;
  }
}

/** RFC 5881 section 4: all packets of a session come from one port, which is its own. */
function bindToFreePort(socket: UdpSocket, source: string): void {
  for (let tries = 1; ; tries++) {
    try {
      socket.bind(source, randomInt(BFD_SOURCE_PORTS.first, BFD_SOURCE_PORTS.last + 1));
      return;
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || tries === MAX_PORT_TRIES) throw error;
    }
  }
}
