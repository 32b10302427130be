/**
 * Whether another host has the IPv4 address that this director speaks from, as cloned machines do. Their advertisements
 * never arrive: the kernel drops what comes from an address of its own (fib_validate_source). ARP tells.
 */
import { networkInterfaces } from 'node:os';
import { knownAddressBytes } from '../../util/ip-address.js';
import { ARP_SENDER_ADDRESS, ARP_SENDER_HARDWARE, arpProbe, arpSender } from '../../vrrp/arp-probe.js';
import { ETHERTYPE_ARP } from '../../vrrp/gratuitous-arp.js';
import { monotonicClock } from '../host/clock.js';
import { Assembler, BPF, type Instruction, programBytes } from '../sockets/bpf.js';
import { native } from '../sockets/native.js';
import { PacketSocket } from '../sockets/packet-socket.js';
import { ReadingPace } from '../sockets/reading-pace.js';

/** ARPHRD_ETHER of linux/if_arp.h. */
const ETHERNET = 1;
const PROBE_EVERY_MS = 10_000;
/** One conflict is as good as a thousand. */
const READ_PER_SECOND = 4;
const READ_AT_ONCE = 8;
const REST_MS = 1000;
const BUFFER_BYTES = 4096;
/** 00-00-5E-00-01 and -02: the virtual routers' own (RFC 9568 section 7.3), this host's reflected among them. */
const IANA_OUI = 0x00005e00;
const WHOLE_FRAME = 0xffff;

/** Takes ARP frames in which another MAC address claims `address`. Pure. */
export function conflictFilter(hardwareAddress: Uint8Array, address: Uint8Array): readonly Instruction[] {
  const own = new DataView(hardwareAddress.buffer, hardwareAddress.byteOffset, hardwareAddress.length);
  const claimed = new DataView(address.buffer, address.byteOffset, address.length);
  return new Assembler()
    .do(BPF.LOAD_WORD, ARP_SENDER_ADDRESS)
    .unless(BPF.JUMP_EQUAL, claimed.getUint32(0), 'no')
    .do(BPF.LOAD_WORD, ARP_SENDER_HARDWARE)
    .when(BPF.JUMP_EQUAL, IANA_OUI, 'no')
    .unless(BPF.JUMP_EQUAL, own.getUint32(0), 'yes')
    .do(BPF.LOAD_HALF, ARP_SENDER_HARDWARE + 4)
    .when(BPF.JUMP_EQUAL, own.getUint16(4), 'no')
    .label('yes')
    .do(BPF.RETURN, WHOLE_FRAME)
    .label('no')
    .do(BPF.RETURN, 0)
    .program();
}

export class SourceWatch {
  readonly #interface: string;
  readonly #address: Uint8Array;
  readonly #socket: PacketSocket;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Asks now and every 10 s. `onConflict` gets the other host's MAC address, each time it is heard.
   *
   * @throws an Error with the kernel's `code`
   */
  constructor(interfaceName: string, source: string, onConflict: (hardwareAddress: string) => void) {
    this.#interface = interfaceName;
    this.#address = knownAddressBytes(source);
    this.#socket = new PacketSocket({ type: 'frame' });
    // ENETDOWN: no link, no neighbours.
    this.#socket.on('error', () => {});
    this.#socket.on('message', (frame) => {
      const other = arpSender(frame);
      // Another interface of this host on the same segment answers, too.
      if (other !== undefined && !isOwn(other)) onConflict(other);
    });
    try {
      const { hardwareType, hardwareAddress } = native().interfaceInfo(interfaceName);
      if (hardwareType !== ETHERNET) return;
      this.#socket.attachFilter(programBytes(conflictFilter(hardwareAddress, this.#address)));
      this.#socket.setRecvBufferSize(BUFFER_BYTES);
      this.#socket.paceReading(
        new ReadingPace({
          nowMs: () => monotonicClock.nowMs(),
          perSecond: READ_PER_SECOND,
          burst: READ_AT_ONCE,
          restMs: REST_MS,
        }),
      );
      this.#socket.bind(interfaceName, ETHERTYPE_ARP);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#probe();
    this.#timer = setInterval(() => this.#probe(), PROBE_EVERY_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #probe(): void {
    try {
      const { index, hardwareAddress } = native().interfaceInfo(this.#interface);
      this.#socket.send(arpProbe(hardwareAddress, this.#address), index, ETHERTYPE_ARP);
    } catch {
      // Without a link there is nobody to ask; the next probe may find one.
    }
  }
}

function isOwn(hardwareAddress: string): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ mac }) => mac === hardwareAddress),
  );
}
