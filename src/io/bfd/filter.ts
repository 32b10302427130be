/**
 * The filter before a BFD socket: of one link's peers, with the TTL that no router has touched (RFC 5881 section 5), for a
 * session of ours or for none yet. Who does not see the link's traffic knows no discriminator. Pure.
 */
import { BFD_LENGTH, BFD_TTL } from '../../bfd/packet.js';
import type { BfdLink } from '../../runtime/ports.js';
import { knownAddressBytes } from '../../util/ip-address.js';
import {
  Assembler,
  BPF,
  envelope,
  equalsOr,
  FROM_IP_HEADER,
  IN_IP,
  type Instruction,
} from '../sockets/bpf.js';

const UDP_HEADER = 8;
const YOUR_DISCRIMINATOR = UDP_HEADER + 8;
const ALL = 0xffff;
const NONE = 0;

export function bfdFilter({ family, peers }: Pick<BfdLink, 'family' | 'peers'>): readonly Instruction[] {
  const at = IN_IP[family];
  const program = new Assembler();
  envelope(program, family, UDP_HEADER + BFD_LENGTH, BFD_TTL);
  for (const [index, { address, discriminator }] of peers.entries()) {
    equalsOr(program, FROM_IP_HEADER + at.source, knownAddressBytes(address), `not peer ${index}`);
    program.do(BPF.LOAD_WORD, YOUR_DISCRIMINATOR);
    program.when(BPF.JUMP_EQUAL, discriminator, 'yes').when(BPF.JUMP_EQUAL, 0, 'yes');
    program.jump('no').label(`not peer ${index}`);
  }
  program.jump('no');
  return program.label('yes').do(BPF.RETURN, ALL).label('no').do(BPF.RETURN, NONE).program();
}
