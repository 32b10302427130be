/** Classic BPF, the kernel's language for socket filters (linux/filter.h, linux/bpf_common.h). Pure. */

import { endianness } from 'node:os';
import type { AddressFamily } from '../../util/ip-address.js';

export interface Instruction {
  readonly code: number;
  /** Instructions to pass over when the test holds, and when it does not: 0 to 255. */
  readonly jt: number;
  readonly jf: number;
  /** A constant, an offset, or how far a jump goes: 32 bits. */
  readonly k: number;
}

/** Operations, their operands and sizes put together as `code` has them. */
export const BPF = {
  LOAD_WORD: 0x20,
  LOAD_HALF: 0x28,
  LOAD_BYTE: 0x30,
  LOAD_MEMORY: 0x60,
  LOAD_LENGTH: 0x80,
  /** At X and so many bytes more. */
  LOAD_WORD_FROM_X: 0x40,
  LOAD_X: 0x01,
  STORE: 0x02,
  JUMP: 0x05,
  JUMP_EQUAL: 0x15,
  JUMP_AT_LEAST: 0x35,
  JUMP_ANY_BIT: 0x45,
  ADD_X: 0x0c,
  SUBTRACT: 0x14,
  AND: 0x54,
  SHIFT_RIGHT: 0x74,
  RETURN: 0x06,
  A_TO_X: 0x07,
  X_TO_A: 0x87,
} as const;

/** SKF_NET_OFF: added to an offset, it counts from the IP header wherever the socket's data begin. */
export const FROM_IP_HEADER = 0xfff00000;
/** Where things are in the IP header, from its start. */
export const IN_IP = {
  ipv4: { ttl: 8, source: 12, destination: 16 },
  ipv6: { ttl: 7, source: 8, destination: 24 },
} as const;
/** An IPv4 header without options. */
const VERSION_4_HEADER_20 = 0x45;
/** BPF_MAXINSNS. */
export const MAX_INSTRUCTIONS = 4096;
const INSTRUCTION_BYTES = 8;
const LITTLE = endianness() === 'LE';

type Test = typeof BPF.JUMP_EQUAL | typeof BPF.JUMP_AT_LEAST | typeof BPF.JUMP_ANY_BIT;

/** Writes a program. A label is where a jump goes, forward alone, as the kernel has it. */
export class Assembler {
  readonly #instructions: Instruction[] = [];
  readonly #jumps: { at: number; label: string }[] = [];
  readonly #labels = new Map<string, number>();

  do(code: number, k = 0): this {
    this.#instructions.push({ code, jt: 0, jf: 0, k: k >>> 0 });
    return this;
  }

  /** Goes to `label` unless the test of A holds. */
  unless(code: Test, k: number, label: string): this {
    this.#instructions.push({ code, jt: 1, jf: 0, k: k >>> 0 });
    return this.jump(label);
  }

  /** Goes to `label` if the test of A holds. */
  when(code: Test, k: number, label: string): this {
    this.#instructions.push({ code, jt: 0, jf: 1, k: k >>> 0 });
    return this.jump(label);
  }

  /** Conditional jumps reach 255 instructions far, and this one everywhere. */
  jump(label: string): this {
    this.#jumps.push({ at: this.#instructions.length, label });
    return this.do(BPF.JUMP);
  }

  label(name: string): this {
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  /** @throws {RangeError} for a jump that leads nowhere or back */
  program(): readonly Instruction[] {
    const program = [...this.#instructions];
    for (const { at, label } of this.#jumps) {
      const distance = (this.#labels.get(label) ?? -1) - at - 1;
      if (distance < 0) throw new RangeError(`no way forward to ${label}`);
      program[at] = { code: BPF.JUMP, jt: 0, jf: 0, k: distance };
    }
    return program;
  }
}

/** Lets nothing pass. */
export const NOTHING: readonly Instruction[] = [{ code: BPF.RETURN, jt: 0, jf: 0, k: 0 }];
const WORD_BYTES = 4;

/** Goes to `label` unless the packet has these bytes there. */
export function equalsOr(program: Assembler, at: number, bytes: Uint8Array, label: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let offset = 0; offset < bytes.length; offset += WORD_BYTES) {
    program.do(BPF.LOAD_WORD, at + offset).unless(BPF.JUMP_EQUAL, view.getUint32(offset), label);
  }
}

/**
 * Goes to `no` unless what the socket sees is `least` bytes long, and the IP header before it has no options and a TTL or hop limit of
 * `leastTtl` or more.
 */
export function envelope(program: Assembler, family: AddressFamily, least: number, leastTtl: number): void {
  if (family === 'ipv4') {
    program.do(BPF.LOAD_BYTE, FROM_IP_HEADER).unless(BPF.JUMP_EQUAL, VERSION_4_HEADER_20, 'no');
  }
  program.do(BPF.LOAD_LENGTH).unless(BPF.JUMP_AT_LEAST, least, 'no');
  program.do(BPF.LOAD_BYTE, FROM_IP_HEADER + IN_IP[family].ttl).unless(BPF.JUMP_AT_LEAST, leastTtl, 'no');
}

/** An array of struct sock_filter, in the machine's byte order. */
export function programBytes(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, code, LITTLE);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, LITTLE);
  }
  return bytes;
}
