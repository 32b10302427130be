/** VRRP's way onto the wire: raw IP protocol 112 on one interface (RFC 9568 section 5.1.1). */
import type { OpenVrrpTransport, ReceivedVrrp, VrrpTransport } from '../runtime/ports.js';
import { primaryAddress } from './interface-address.js';
import { ipv4Payload } from './ipv4-header.js';
import { type RawMessageInfo, RawSocket } from './raw-socket.js';

/** RFC 9568 section 5.1.1.4. */
const VRRP_PROTOCOL = 112;
/** RFC 9568 section 5.1.1.2: the IPv4 group. */
const VRRP_GROUP = '224.0.0.18';
/** RFC 9568 section 5.1.1.3: receivers discard any other. */
const VRRP_TTL = 255;
/** DSCP CS6, network control (RFC 4594 section 3.1), in its place in the DS field. */
const NETWORK_CONTROL_TOS = 0xc0;
/** TC_PRIO_INTERACTIVE: the first band of the default queueing discipline. */
const INTERACTIVE_PRIORITY = 6;
/** Some hundred advertisements: room for a stalled event loop. */
const RECEIVE_BUFFER_BYTES = 262_144;

class RawVrrpTransport implements VrrpTransport {
  readonly source: string;
  readonly destinations = [VRRP_GROUP];
  readonly #socket: RawSocket;
  readonly #onMessage: (message: ReceivedVrrp) => void;

  constructor(
    interfaceName: string,
    source: string,
    onMessage: (message: ReceivedVrrp) => void,
    onError: (error: Error) => void,
  ) {
    this.source = source;
    this.#onMessage = onMessage;
    const socket = new RawSocket({ type: 'raw4', protocol: VRRP_PROTOCOL });
    this.#socket = socket;
    try {
      socket.bindToDevice(interfaceName);
      socket.setMulticastInterface(interfaceName, source);
      socket.setMulticastTTL(VRRP_TTL);
      socket.setMulticastLoopback(false);
      socket.setJoinedGroupsOnly();
      socket.setTypeOfService(NETWORK_CONTROL_TOS);
      socket.setPriority(INTERACTIVE_PRIORITY);
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
      socket.on('error', onError);
      socket.on('message', (packet, info) => this.#received(packet, info));
      socket.addMembership(VRRP_GROUP, interfaceName);
      socket.bind();
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  send(payload: Uint8Array, destination: string): void {
    this.#socket.send(payload, destination);
  }

  drain(): undefined {
    this.#socket.drain();
  }

  close(): void {
    this.#socket.close();
  }

  #received(packet: Uint8Array, info: RawMessageInfo): void {
    // Own packets come back where a bridge or a switch reflects them (RFC 9568 section 6.4.3 has no use for them).
    if (info.address === this.source) return;
    const payload = ipv4Payload(packet);
    if (payload === undefined) return;
    this.#onMessage({
      payload,
      source: info.address,
      destination: info.destination,
      ttl: info.hopLimit,
      receivedAtMs: info.receivedAtMs,
    });
  }
}

/**
 * Opens the transport of one interface, with `source` the interface's primary IPv4 address that is none of
 * `avoid`: pass all virtual addresses of the configuration, for a predecessor may have left some behind.
 * Opening and `send` throw an Error with the kernel's `code`, `errno` and `syscall`, or
 * NoInterfaceAddressError; errors that come later (ENETDOWN) go to `onError` and the transport stays open.
 */
export function vrrpTransportOpener(avoid: readonly string[]): OpenVrrpTransport {
  return (channel, onMessage, onError) =>
    new RawVrrpTransport(channel.interface, primaryAddress(channel.interface, avoid), onMessage, onError);
}
