/** What sockets over IP share, raw ones as those of UDP: options, groups, and where a message came from. */

import type { Shot } from '../../runtime/ports.js';
import { type AddressFamily, AF_INET, AF_INET6, addressText } from '../../util/ip-address.js';
import { DatagramSocket } from './datagram-socket.js';
import { native } from './native.js';
import type { NativeMessage } from './receive-table.js';
import { addressBytes, inet6Address, inetAddress, int32, ipAddressText } from './socket-address.js';
import * as C from './socket-constants.js';

/** Most messages come from one sender to one group: the text of the address before is remembered. */
class LastText {
  readonly #textOf: (bytes: Buffer) => string;
  #bytes = Buffer.alloc(0);
  #text = '';

  constructor(textOf: (bytes: Buffer) => string) {
    this.#textOf = textOf;
  }

  text(bytes: Buffer): string {
    if (bytes.length === 0 || !bytes.equals(this.#bytes)) {
      this.#bytes = Buffer.from(bytes);
      this.#text = this.#textOf(bytes);
    }
    return this.#text;
  }
}

export interface IpMessageInfo {
  readonly address: string;
  /** Where the packet was sent to: the group of a multicast. */
  readonly destination: string;
  /** Interface it came in on. */
  readonly interfaceIndex: number;
  /** TTL or hop limit, 0 to 255. */
  readonly hopLimit: number;
  /** When the kernel took it from the wire, CLOCK_MONOTONIC milliseconds with a fraction. */
  readonly receivedAtMs: number;
  readonly size: number;
}

/** A datagram socket of one family, bound and sending to one port; raw sockets have none. */
export abstract class IpSocket extends DatagramSocket<IpMessageInfo> {
  readonly #v6: boolean;
  readonly #port: number;
  readonly #sources = new LastText((bytes) => ipAddressText(bytes));
  readonly #destinations = new LastText((bytes) => addressText(bytes) ?? '');

  protected constructor(family: AddressFamily, type: number, protocol: number, port = 0) {
    super(family === 'ipv6' ? AF_INET6 : AF_INET, type, protocol);
    this.#v6 = family === 'ipv6';
    this.#port = port;
    try {
      this.stampReceived();
      if (this.#v6) {
        this.setIntOption(C.IPPROTO_IPV6, C.IPV6_RECVPKTINFO, 1);
        this.setIntOption(C.IPPROTO_IPV6, C.IPV6_RECVHOPLIMIT, 1);
      } else {
        this.setIntOption(C.IPPROTO_IP, C.IP_PKTINFO, 1);
        this.setIntOption(C.IPPROTO_IP, C.IP_RECVTTL, 1);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Starts to receive. With an address, only packets to exactly that address arrive: to receive a multicast
   * group leave it out, and limit by `bindToDevice` and `addMembership`. `port`: another one than it sends to.
   */
  bind(address?: string, port = this.#port): this {
    this.bindTo(this.#sockaddr(address ?? (this.#v6 ? '::' : '0.0.0.0'), 0, port));
    return this;
  }

  /** Sends one payload. Throws what sendmsg(2) says; never blocks. */
  send(message: Uint8Array, address: string, scopeInterfaceIndex = 0): void {
    this.sendTo(message, this.address(address, scopeInterfaceIndex));
  }

  /** Sends each payload to the address at the same place. Throws the first refusal when all have been tried. */
  sendAll(messages: readonly Uint8Array[], addresses: readonly Uint8Array[]): void {
    this.sendEach(messages, addresses);
  }

  /** What `sendAll` would send, for a volley. */
  shots(messages: readonly Uint8Array[], addresses: readonly Uint8Array[]): readonly Shot[] {
    return messages.map((message, index) => this.shotAt(message, addresses[index] ?? new Uint8Array()));
  }

  /** TTL or hop limit of unicast packets, 1 to 255. */
  setTTL(ttl: number): void {
    if (this.#v6) this.setIntOption(C.IPPROTO_IPV6, C.IPV6_UNICAST_HOPS, ttl);
    else this.setIntOption(C.IPPROTO_IP, C.IP_TTL, ttl);
  }

  /** TTL or hop limit of multicast packets, 0 to 255. */
  setMulticastTTL(ttl: number): void {
    if (this.#v6) this.setIntOption(C.IPPROTO_IPV6, C.IPV6_MULTICAST_HOPS, ttl);
    else this.setIntOption(C.IPPROTO_IP, C.IP_MULTICAST_TTL, ttl);
  }

  /** Whether this host hears its own multicasts. */
  setMulticastLoopback(on: boolean): void {
    if (this.#v6) this.setIntOption(C.IPPROTO_IPV6, C.IPV6_MULTICAST_LOOP, on ? 1 : 0);
    else this.setIntOption(C.IPPROTO_IP, C.IP_MULTICAST_LOOP, on ? 1 : 0);
  }

  /** Multicasts leave by this interface; under IPv4 `source` (own address) is where they come from. */
  setMulticastInterface(interfaceName: string, source = '0.0.0.0'): void {
    const { index } = native().interfaceInfo(interfaceName);
    if (this.#v6) {
      this.setIntOption(C.IPPROTO_IPV6, C.IPV6_MULTICAST_IF, index);
      return;
    }
    // struct ip_mreqn: group (unused here), source, interface
    const request = [Buffer.alloc(4), addressBytes(source, AF_INET), int32(index)];
    this.setOption(C.IPPROTO_IP, C.IP_MULTICAST_IF, Buffer.concat(request));
  }

  /** The eight bits of the DS field: 0xc0 is CS6. Resets SO_PRIORITY (ip(7)). */
  setTypeOfService(tos: number): void {
    if (this.#v6) this.setIntOption(C.IPPROTO_IPV6, C.IPV6_TCLASS, tos);
    else this.setIntOption(C.IPPROTO_IP, C.IP_TOS, tos);
  }

  /** Receives the groups this socket joined alone, not those that other sockets of the host joined. */
  setJoinedGroupsOnly(): void {
    if (this.#v6) this.setIntOption(C.IPPROTO_IPV6, C.IPV6_MULTICAST_ALL, 0);
    else this.setIntOption(C.IPPROTO_IP, C.IP_MULTICAST_ALL, 0);
  }

  /** Joins a multicast group on an interface. */
  addMembership(group: string, interfaceName: string): void {
    this.#membership(group, interfaceName, C.IP_ADD_MEMBERSHIP, C.IPV6_ADD_MEMBERSHIP);
  }

  /** Leaves a multicast group on an interface. */
  dropMembership(group: string, interfaceName: string): void {
    this.#membership(group, interfaceName, C.IP_DROP_MEMBERSHIP, C.IPV6_DROP_MEMBERSHIP);
  }

  protected override info(message: NativeMessage): IpMessageInfo {
    return {
      address: this.#sources.text(message.address),
      destination: this.#destinations.text(message.destination),
      interfaceIndex: message.interfaceIndex,
      hopLimit: message.hopLimit,
      receivedAtMs: message.receivedAtMs,
      size: message.data.length,
    };
  }

  #membership(group: string, interfaceName: string, name4: number, name6: number): void {
    const { index } = native().interfaceInfo(interfaceName);
    const address = addressBytes(group, this.#v6 ? AF_INET6 : AF_INET);
    if (this.#v6) {
      this.setOption(C.IPPROTO_IPV6, name6, Buffer.concat([address, int32(index)]));
    } else {
      this.setOption(C.IPPROTO_IP, name4, Buffer.concat([address, Buffer.alloc(4), int32(index)]));
    }
  }

  /** The sockaddr that `sendAll` takes. */
  address(address: string, scope = 0): Buffer {
    return this.#sockaddr(address, scope, this.#port);
  }

  #sockaddr(address: string, scope: number, port: number): Buffer {
    return this.#v6 ? inet6Address(address, scope, port) : inetAddress(address, port);
  }
}
