/** AF_PACKET sockets (packet(7)) in the manner of node:dgram. */
import type { Shot } from '../../runtime/ports.js';
import { DatagramSocket } from './datagram-socket.js';
import { native } from './native.js';
import type { NativeMessage } from './receive-table.js';
import { linkAddress, parseLinkAddress } from './socket-address.js';
import { AF_PACKET, SOCK_DGRAM, SOCK_RAW } from './socket-constants.js';

/** ETH_P_ALL of linux/if_ether.h: frames of every EtherType. */
export const ETH_P_ALL = 3;

export interface PacketSocketOptions {
  /** `frame`: with the link-layer header (SOCK_RAW); `payload`: without it (SOCK_DGRAM). */
  readonly type: 'frame' | 'payload';
}

export interface PacketMessageInfo {
  /** The sender's link-layer address. */
  readonly address: Uint8Array;
  readonly interfaceIndex: number;
  readonly etherType: number;
  /** PACKET_* of linux/if_packet.h: 0 for this host, 1 broadcast, 2 multicast, 3 for another, 4 outgoing. */
  readonly packetType: number;
  /** CLOCK_MONOTONIC milliseconds with a fraction. */
  readonly receivedAtMs: number;
  readonly size: number;
}

/** Link-layer frames. One that is not bound sends only: it is opened for no protocol. */
export class PacketSocket extends DatagramSocket<PacketMessageInfo> {
  constructor(options: PacketSocketOptions) {
    super(AF_PACKET, options.type === 'frame' ? SOCK_RAW : SOCK_DGRAM, 0);
    try {
      this.stampReceived();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Receives frames of one EtherType (or ETH_P_ALL) on one interface. */
  bind(interfaceName: string, etherType: number): this {
    const { index } = native().interfaceInfo(interfaceName);
    this.bindTo(linkAddress({ interfaceIndex: index, etherType, address: new Uint8Array() }));
    return this;
  }

  /**
   * Sends on an interface, given by name or, which saves asking for it, by index. `address` and `etherType`
   * matter to a `payload` socket only.
   */
  send(
    message: Uint8Array,
    interfaceName: string | number,
    etherType: number,
    address = new Uint8Array(),
  ): void {
    const interfaceIndex =
      typeof interfaceName === 'number' ? interfaceName : native().interfaceInfo(interfaceName).index;
    this.sendTo(message, linkAddress({ interfaceIndex, etherType, address }));
  }

  /** What `send` would send, for a volley. */
  shot(message: Uint8Array, interfaceIndex: number, etherType: number): Shot {
    return this.shotAt(message, linkAddress({ interfaceIndex, etherType, address: new Uint8Array() }));
  }

  protected override info(message: NativeMessage): PacketMessageInfo {
    const link = parseLinkAddress(message.address);
    return {
      address: link?.address ?? new Uint8Array(),
      interfaceIndex: link?.interfaceIndex ?? 0,
      etherType: link?.etherType ?? 0,
      packetType: link?.packetType ?? 0,
      receivedAtMs: message.receivedAtMs,
      size: message.data.length,
    };
  }
}
