/**
 * Hears all that is said in the sync group on an interface: what comes in, and what this host's own kernel says, which has
 * multicast loop off and is seen by packet sockets alone.
 */
import { type AddressFamily, addressText, familyOf, knownAddressBytes } from '../../util/ip-address.js';
import { Assembler, BPF, FROM_IP_HEADER, type Instruction, programBytes } from '../sockets/bpf.js';
import { ETH_P_ALL, PacketSocket } from '../sockets/packet-socket.js';
import { UdpSocket } from '../sockets/udp-socket.js';

const IPPROTO_UDP = 17;
const UDP_HEADER = 8;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** PACKET_OUTGOING of linux/if_packet.h. */
const PACKET_OUTGOING = 4;
const WHOLE = 0xffff;
/** Of messages that wait to be read; the kernel caps it at net.core.rmem_max. */
const BUFFER_BYTES = 8 * 1024 * 1024;

export interface HeardMessage {
  readonly source: string;
  /** This host said it. */
  readonly isOwn: boolean;
  /** Of the UDP datagram. */
  readonly payload: Uint8Array;
}

/**
 * Takes UDP to the group and port, in one piece: the kernel's messages fit into a packet, and a fragment begins without a
 * UDP header. Under IPv6 without extension headers, as the kernel sends. Pure.
 */
export function groupFilter(group: string, port: number): readonly Instruction[] {
  const family = familyOf(group);
  const bytes = knownAddressBytes(group);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const program = new Assembler();
  const test = (load: number, at: number, value: number) =>
    program.do(load, FROM_IP_HEADER + at).unless(BPF.JUMP_EQUAL, value, 'no');
  if (family === 'ipv4') {
    // No options: the kernel sends none, and the port stands where it is looked for.
    test(BPF.LOAD_BYTE, 0, 0x45);
    test(BPF.LOAD_BYTE, 9, IPPROTO_UDP);
    program.do(BPF.LOAD_HALF, FROM_IP_HEADER + 6).when(BPF.JUMP_ANY_BIT, 0x3fff, 'no');
    test(BPF.LOAD_WORD, 16, words.getUint32(0));
    test(BPF.LOAD_HALF, IPV4_HEADER + 2, port);
  } else {
    program.do(BPF.LOAD_BYTE, FROM_IP_HEADER).do(BPF.AND, 0xf0).unless(BPF.JUMP_EQUAL, 0x60, 'no');
    test(BPF.LOAD_BYTE, 6, IPPROTO_UDP);
    for (let at = 0; at < bytes.length; at += 4) test(BPF.LOAD_WORD, 24 + at, words.getUint32(at));
    test(BPF.LOAD_HALF, IPV6_HEADER + 2, port);
  }
  return program.do(BPF.RETURN, WHOLE).label('no').do(BPF.RETURN, 0).program();
}

/** Undefined for what the filter would not let pass. */
function payloadOf(
  packet: Uint8Array,
  family: AddressFamily,
): { source: string; payload: Uint8Array } | undefined {
  const [sourceAt, sourceLength, header] = family === 'ipv4' ? [12, 4, IPV4_HEADER] : [8, 16, IPV6_HEADER];
  if (packet.length < header + UDP_HEADER) return undefined;
  // The link may have padded the packet: UDP's own length counts.
  const length = ((packet[header + 4] ?? 0) << 8) | (packet[header + 5] ?? 0);
  const end = header + length;
  if (length < UDP_HEADER || end > packet.length) return undefined;
  const source = addressText(packet.subarray(sourceAt, sourceAt + sourceLength)) ?? '';
  return { source, payload: packet.subarray(header + UDP_HEADER, end) };
}

export class GroupListener {
  readonly #packets: PacketSocket;
  readonly #membership: UdpSocket;

  /**
   * `onMessage` must not keep `payload`.
   *
   * @throws an Error with the kernel's `code`: EPERM without CAP_NET_RAW, ENODEV where there is no such interface
   */
  constructor(
    { interface: name, group, port }: { interface: string; group: string; port: number },
    onMessage: (message: HeardMessage) => void,
  ) {
    const family = familyOf(group);
    this.#packets = new PacketSocket({ type: 'payload' });
    this.#membership = new UdpSocket({ type: family === 'ipv6' ? 'udp6' : 'udp4', port });
    try {
      this.#packets.attachFilter(programBytes(groupFilter(group, port)));
      this.#packets.setRecvBufferSize(BUFFER_BYTES);
      // A network card, and a switch that snoops, give the group to those that joined it.
      this.#membership.addMembership(group, name);
      // ENETDOWN: nothing is said meanwhile.
      this.#packets.on('error', () => {});
      this.#packets.on('message', (packet, { packetType }) => {
        const heard = payloadOf(packet, family);
        if (heard !== undefined) onMessage({ ...heard, isOwn: packetType === PACKET_OUTGOING });
      });
      // What leaves is seen by sockets of every EtherType alone (dev_queue_xmit_nit).
      this.#packets.bind(name, ETH_P_ALL);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Packets that found no room since the beginning. */
  get dropped(): number {
    return this.#packets.droppedCount();
  }

  close(): void {
    this.#packets.close();
    this.#membership.close();
  }
}
