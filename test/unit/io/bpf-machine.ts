/** Runs classic BPF as the kernel does (bpf_check_classic, ___bpf_prog_run), on the packet of a raw socket. */
import { BPF, FROM_IP_HEADER, type Instruction } from '../../../src/io/sockets/bpf.js';

export interface Packet {
  /** From the IP header on. */
  readonly bytes: Uint8Array;
  /** Where the socket's data begin: 0 under raw IPv4, behind the headers under raw IPv6. */
  readonly dataAt: number;
}

const SIZES: ReadonlyMap<number, 1 | 2 | 4> = new Map([
  [BPF.LOAD_WORD, 4],
  [BPF.LOAD_HALF, 2],
  [BPF.LOAD_BYTE, 1],
]);

/** How many bytes of the packet the program takes: 0 drops it. Throws for a program that the kernel would refuse. */
export function run(program: readonly Instruction[], { bytes, dataAt }: Packet): number {
  const memory = new Map<number, number>();
  let a = 0;
  let x = 0;
  for (let at = 0; ; at++) {
    const instruction = program[at];
    if (instruction === undefined) throw new Error(`the program runs over its end at ${at}`);
    const { code, k } = instruction;
    const size = SIZES.get(code);
    if (size !== undefined) {
      const loaded = load(bytes, k >= FROM_IP_HEADER ? k - FROM_IP_HEADER : dataAt + k, size);
      if (loaded === undefined) return 0;
      a = loaded;
      continue;
    }
    switch (code) {
      case BPF.LOAD_LENGTH:
        a = bytes.length - dataAt;
        break;
      case BPF.LOAD_MEMORY: {
        const stored = memory.get(k);
        if (stored === undefined) throw new Error(`M[${k}] is read before it is written`);
        a = stored;
        break;
      }
      case BPF.STORE:
        memory.set(k, a);
        break;
      case BPF.LOAD_X:
        x = k;
        break;
      case BPF.A_TO_X:
        x = a;
        break;
      case BPF.X_TO_A:
        a = x;
        break;
      case BPF.ADD_X:
        a = (a + x) >>> 0;
        break;
      case BPF.SUBTRACT:
        a = (a - k) >>> 0;
        break;
      case BPF.LOAD_WORD_FROM_X: {
        const loaded = load(bytes, dataAt + x + k, 4);
        if (loaded === undefined) return 0;
        a = loaded;
        break;
      }
      case BPF.AND:
        a = (a & k) >>> 0;
        break;
      case BPF.SHIFT_RIGHT:
        a >>>= k;
        break;
      case BPF.JUMP:
        at += k;
        break;
      case BPF.JUMP_EQUAL:
        at += a === k ? instruction.jt : instruction.jf;
        break;
      case BPF.JUMP_AT_LEAST:
        at += a >= k ? instruction.jt : instruction.jf;
        break;
      case BPF.JUMP_ANY_BIT:
        at += (a & k) !== 0 ? instruction.jt : instruction.jf;
        break;
      case BPF.RETURN:
        return k;
      default:
        throw new Error(`no such instruction: ${code}`);
    }
  }
}

function load(bytes: Uint8Array, at: number, size: 1 | 2 | 4): number | undefined {
  if (at + size > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return size === 4 ? view.getUint32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at);
}
