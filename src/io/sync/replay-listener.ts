/** Hears the datagrams of replays on the sync group, and nothing of what the kernels say there. */
import { MARK_BYTES, MARK_MAGIC, markOf } from '../../sync/replay-mark.js';
import { DEFAULT_GROUP, DEFAULT_PORT } from '../../sync/uapi.js';
import { monotonicClock } from '../host/clock.js';
import { Assembler, BPF, type Instruction, programBytes } from '../sockets/bpf.js';
import { ReadingPace } from '../sockets/reading-pace.js';
import { SO_RCVBUFFORCE, SOL_SOCKET } from '../sockets/socket-constants.js';
import { UdpSocket } from '../sockets/udp-socket.js';

const UDP_HEADER = 8;
/** Of datagrams that wait to be read: those of a second, at the pace of a replay. */
const BUFFER_BYTES = 8 * 1024 * 1024;
const WHOLE = 0xffff;
/** Anybody on the link can send such datagrams; a replay sends at most four in a millisecond. */
const PACE = { perSecond: 6000, burst: 1000, restMs: 20 } as const;

/** Takes UDP datagrams that end with a mark. The socket's data begin with the UDP header. Pure. */
export function markFilter(): readonly Instruction[] {
  return new Assembler()
    .do(BPF.LOAD_LENGTH)
    .unless(BPF.JUMP_AT_LEAST, UDP_HEADER + MARK_BYTES, 'no')
    .do(BPF.SUBTRACT, MARK_BYTES)
    .do(BPF.A_TO_X)
    .do(BPF.LOAD_WORD_FROM_X)
    .unless(BPF.JUMP_EQUAL, MARK_MAGIC, 'no')
    .do(BPF.RETURN, WHOLE)
    .label('no')
    .do(BPF.RETURN, 0)
    .program();
}

/** @throws what the system says: ENODEV where there is no such interface */
export function listenToReplays(name: string, onDatagram: (replay: number) => void): () => void {
  const socket = new UdpSocket({ type: 'udp4', port: DEFAULT_PORT });
  try {
    socket.attachFilter(programBytes(markFilter()));
    socket.setIntOption(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
    // The kernel's sync daemon is bound to it, too.
    socket.shareGroup();
    socket.bindToDevice(name);
    socket.addMembership(DEFAULT_GROUP, name);
    // ENETDOWN: nothing is said meanwhile.
    socket.on('error', () => {});
    socket.on('message', (payload) => {
      const replay = markOf(payload);
      if (replay !== undefined) onDatagram(replay);
    });
    socket.paceReading(new ReadingPace({ nowMs: () => monotonicClock.nowMs(), ...PACE }));
    socket.bind(DEFAULT_GROUP);
    socket.unref();
  } catch (error) {
    socket.close();
    throw error;
  }
  return () => socket.close();
}
