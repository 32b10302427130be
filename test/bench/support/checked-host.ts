/**
 * The host of all real servers of `npm run bench:checks`, and the judge of the checker: it knows from the kernel when each
 * connection was asked for on `eth0` of the namespace it runs in. Usage: checked-host.js TCP HTTP
 *
 * Takes lines on stdin: `measure FROM TO`, in milliseconds of CLOCK_MONOTONIC; `sums`, answered by a line (`ProbeSums`); `die`:
 * those that are to refuse and to be mute do so from now on.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Assembler, BPF, programBytes } from '../../../src/io/sockets/bpf.js';
import { PacketSocket } from '../../../src/io/sockets/packet-socket.js';
import { SO_RCVBUFFORCE, SOL_SOCKET } from '../../../src/io/sockets/socket-constants.js';
import { addressText } from '../../../src/util/ip-address.js';
import {
  type Counts,
  deathsOf,
  INTERVAL_MS,
  KINDS,
  type Kind,
  LATE_MS,
  portOf,
  slots,
} from './checked-servers.js';

/** Probes of the slots that lie in what was measured. */
export interface ProbeSums {
  /** Slots. */
  readonly due: number;
  /** Slots in whose interval no probe came. */
  readonly missing: number;
  /** Beside the first of a slot. */
  readonly extra: number;
  /** After the slot; of those that came. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** More than LATE_MS after the slot, or missing. */
  readonly late: number;
}

const INTERFACE = 'eth0';
const ETHERTYPE_IPV4 = 0x0800;
/** A second of 2,500 probes and more: this process may come late, the kernel's stamps do not. */
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
const BACKLOG = 4096;
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n';
/** Offsets in an IPv4 header without options, and in the TCP header behind it. */
const IP = { protocol: 9, destination: 16, bytes: 20 } as const;
const TCP = { protocol: 6, destinationPort: 2, flags: 13, syn: 0x02, ack: 0x10 } as const;
/** Between the stamps' clock and the checker's. */
const BLUR_MS = 1;

/** Takes what asks for a connection. */
const SYN_FILTER = new Assembler()
  .do(BPF.LOAD_BYTE, IP.protocol)
  .unless(BPF.JUMP_EQUAL, TCP.protocol, 'no')
  .do(BPF.LOAD_BYTE, IP.bytes + TCP.flags)
  .do(BPF.AND, TCP.syn | TCP.ack)
  .unless(BPF.JUMP_EQUAL, TCP.syn, 'no')
  .do(BPF.RETURN, 0xffff)
  .label('no')
  .do(BPF.RETURN, 0)
  .program();

class Judge {
  readonly #slots: ReadonlyMap<string, number>;
  #fromMs = 0;
  #toMs = 0;
  #extra = 0;
  /** Lateness of the first probe of each slot that lies in what is measured, by server; undefined: none came. */
  readonly #heard = new Map<string, (number | undefined)[]>();

  constructor(counts: Counts) {
    this.#slots = slots(counts);
  }

  measure(fromMs: number, toMs: number): void {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
    this.#extra = 0;
    for (const [server, offsetMs] of this.#slots) {
      const count = Math.ceil((toMs - offsetMs) / INTERVAL_MS) - Math.ceil((fromMs - offsetMs) / INTERVAL_MS);
      this.#heard.set(server, Array.from({ length: count }));
    }
  }

  take(server: string, atMs: number): void {
    const offsetMs = this.#slots.get(server);
    const heard = this.#heard.get(server);
    if (offsetMs === undefined || heard === undefined) return;
    const slot = Math.floor((atMs + BLUR_MS - offsetMs) / INTERVAL_MS);
    const dueMs = slot * INTERVAL_MS + offsetMs;
    if (dueMs < this.#fromMs || dueMs >= this.#toMs) return;
    const index = slot - Math.ceil((this.#fromMs - offsetMs) / INTERVAL_MS);
    if (heard[index] === undefined) heard[index] = Math.max(0, atMs - dueMs);
    else this.#extra += 1;
  }

  sums(): ProbeSums {
    const all = [...this.#heard.values()].flat();
    const came = Float64Array.from(all.filter((one) => one !== undefined)).sort();
    const missing = all.length - came.length;
    const share = (part: number): number => came[Math.ceil(part * came.length) - 1] ?? Number.NaN;
    return {
      due: all.length,
      missing,
      extra: this.#extra,
      medianMs: share(0.5),
      p99Ms: share(0.99),
      maxMs: share(1),
      late: missing + came.filter((ms) => ms > LATE_MS).length,
    };
  }
}

const [tcp = 0, http = 0] = process.argv.slice(2).map(Number);
const judge = new Judge({ tcp, http });
const refusing: Server[] = [];
let areMute = false;

const SERVE: Readonly<Record<Kind, (socket: Socket, mayBeMute: boolean) => void>> = {
  tcp: (socket) => void socket.resume(),
  http: (socket, mayBeMute) => {
    socket.on('data', () => {
      if (!mayBeMute || !areMute) socket.end(ANSWER);
    });
  },
};

async function listen(kind: Kind, port: number, mayBeMute: boolean): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    SERVE[kind](socket, mayBeMute);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '0.0.0.0', port, backlog: BACKLOG }, resolve);
  });
  return server;
}

for (const kind of KINDS) {
  for (const death of [undefined, ...deathsOf(kind)]) {
    const server = await listen(kind, portOf(kind, death), death === 'mute');
    if (death === 'refused') refusing.push(server);
  }
}

const socket = new PacketSocket({ type: 'payload' });
socket.attachFilter(programBytes(SYN_FILTER));
socket.setIntOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
socket.on('message', (packet, { receivedAtMs }) => {
  const address = addressText(packet.subarray(IP.destination, IP.destination + 4));
  const at = IP.bytes + TCP.destinationPort;
  judge.take(`${address} ${((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0)}`, receivedAtMs);
});
socket.bind(INTERFACE, ETHERTYPE_IPV4);

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, fromMs, toMs] = line.split(' ');
    if (command === 'measure') judge.measure(Number(fromMs), Number(toMs));
    else if (command === 'sums') process.stdout.write(`${JSON.stringify(judge.sums())}\n`);
    else {
      areMute = true;
      for (const server of refusing) server.close();
    }
  })
  .on('close', () => process.exit());
process.stdout.write('{"ready":true}\n');
