/** The peer channel's UDP sockets, read at a pace: strangers may send what they like. */
import type { PeerSocket, TakeDatagram } from '../../runtime/services/peer/peer-ports.js';
import { familyOf } from '../../util/ip-address.js';
import { monotonicClock } from '../host/clock.js';
import { Assembler, BPF, programBytes } from '../sockets/bpf.js';
import { ReadingPace } from '../sockets/reading-pace.js';
import { UdpSocket } from '../sockets/udp-socket.js';

/** A peer says a word or two in a second. The rest is anybody's, and each may cost the computation of a MAC. */
const PER_SECOND = 2000;
const BURST = 200;
const REST_MS = 20;
/** DS field CS6: network control, as what VRRP says. */
const CS6 = 0xc0;
/** Where a datagram has its session (peer/wire.ts), 8 bytes. */
const SESSION_AT = 8;
const WORD = 4;
/** Of the two sockets, in the order in which they are bound. */
const EXPECTED = 0;
const OTHERS = 1;

/**
 * Two sockets at one port, between which a program in the kernel chooses by the session that a datagram says it is of: what
 * has none that was taken fills a buffer of its own, and hides no word of a peer.
 *
 * @throws what the system says, such as EADDRNOTAVAIL while the address is not there
 */
export function openPeerSocket(address: string, port: number, take: TakeDatagram): PeerSocket {
  const opened: UdpSocket[] = [];
  const close = (): void => {
    for (const socket of opened) socket.close();
  };
  const open = (): UdpSocket => {
    const socket = new UdpSocket({ type: familyOf(address) === 'ipv6' ? 'udp6' : 'udp4', port });
    opened.push(socket);
    socket.paceReading(
      new ReadingPace({
        nowMs: () => monotonicClock.nowMs(),
        perSecond: PER_SECOND,
        burst: BURST,
        restMs: REST_MS,
      }),
    );
    socket.on('message', (bytes, info) => take(bytes, info.address, info.receivedAtMs));
    // Such as ECONNREFUSED for what was sent to a peer that is not there.
    socket.on('error', () => {});
    return socket.unref();
  };
  try {
    const [expected, others] = [open(), open()];
    expected.setTypeOfService(CS6);
    // As if it were alone: a port that somebody else has is refused.
    expected.bind(address);
    for (const socket of opened) socket.sharePort();
    others.bind(address);
    expected.attachDivision(division([]));
    return {
      send: (bytes, to) => expected.send(bytes, to),
      expect: (sessions) => expected.attachDivision(division(sessions)),
      drain: () => {
        for (const socket of opened) socket.drain();
      },
      droppedCount: () => opened.reduce((sum, socket) => sum + socket.droppedCount(), 0),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function division(sessions: readonly bigint[]): Uint8Array {
  const program = new Assembler();
  program.do(BPF.LOAD_LENGTH).unless(BPF.JUMP_AT_LEAST, SESSION_AT + 2 * WORD, 'others');
  for (const [index, session] of sessions.entries()) {
    const next = `behind ${index}`;
    program
      .do(BPF.LOAD_WORD, SESSION_AT)
      .unless(BPF.JUMP_EQUAL, Number(session >> 32n), next)
      .do(BPF.LOAD_WORD, SESSION_AT + WORD)
      .unless(BPF.JUMP_EQUAL, Number(BigInt.asUintN(32, session)), next)
      .do(BPF.RETURN, EXPECTED)
      .label(next);
  }
  return programBytes(program.label('others').do(BPF.RETURN, OTHERS).program());
}
