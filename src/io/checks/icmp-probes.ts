/**
 * Health probes by ICMP echo, over one raw socket for each family and address of this host that they go from. The services process has CAP_NET_RAW under the unit;
 * a ping socket would need a group in net.ipv4.ping_group_range, which no distribution's host can be relied upon for.
 */
import { randomBytes, randomInt } from 'node:crypto';
import {
  decodeEchoReply,
  ECHO_REPLY,
  encodeEchoRequest,
  ICMP,
  ICMPV6,
  IDENTIFIER_AT,
  IPV4_HEADER,
} from '../../protocols/icmp.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { type AddressFamily, familyOf } from '../../util/ip-address.js';
import { Assembler, BPF, programBytes } from '../sockets/bpf.js';
import { RawSocket } from '../sockets/raw-socket.js';
import { SO_SNDBUFFORCE, SOL_SOCKET } from '../sockets/socket-constants.js';
import { afterListening } from './listening-time.js';
import { failed, OK, outcomeOf } from './outcome.js';

/** Nobody who does not see the request can answer it. */
const TOKEN_BYTES = 16;
const NUMBERS = 0x1_0000;
/** For all probes that may be under way: what goes to a host that is gone waits seconds for its link-layer address. */
const SEND_BUFFER = 4 * 1024 * 1024;

interface Waiting {
  readonly address: string;
  readonly token: Buffer;
  answered(): void;
}

export class IcmpProbes {
  readonly #identifier = randomInt(1, NUMBERS);
  readonly #sockets = new Map<string, RawSocket>();
  /** By sequence number: there are more of those than probes under way. */
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;

  async probe(from: string | undefined, address: string, timeoutMs: number): Promise<ProbeOutcome> {
    const family = familyOf(address);
    const socket = this.#socketOf(family, from);
    if (!(socket instanceof RawSocket)) return socket;
    const sequence = this.#sequence;
    this.#sequence = (sequence + 1) % NUMBERS;
    const token = randomBytes(TOKEN_BYTES);
    const request = { identifier: this.#identifier, sequence, payload: token };
    const heard = new Promise<ProbeOutcome>((resolve) => {
      const cancel = afterListening(timeoutMs, () => {
        this.#waiting.delete(sequence);
        resolve(failed(`no answer within ${timeoutMs} ms`));
      });
      const end = (outcome: ProbeOutcome): void => {
        cancel();
        this.#waiting.delete(sequence);
        resolve(outcome);
      };
      this.#waiting.set(sequence, { address, token, answered: () => end(OK) });
      try {
        socket.send(encodeEchoRequest(family, request), address);
      } catch (error) {
        // Of a socket whose address has left this host the kernel says something else than of a new one.
        const again = from === undefined ? socket : this.#anew(socket, family, from);
        end(again instanceof RawSocket ? outcomeOf(error as Error) : again);
      }
    });
    return heard;
  }

  #anew(old: RawSocket, family: AddressFamily, from: string): RawSocket | ProbeOutcome {
    old.close();
    this.#sockets.delete(from);
    return this.#socketOf(family, from);
  }

  /** Or why there is none. */
  #socketOf(family: AddressFamily, from: string | undefined): RawSocket | ProbeOutcome {
    const key = from ?? family;
    const known = this.#sockets.get(key);
    if (known !== undefined) return known;
    let socket: RawSocket | undefined;
    try {
      socket = new RawSocket(
        family === 'ipv6' ? { type: 'raw6', protocol: ICMPV6 } : { type: 'raw4', protocol: ICMP },
      );
      // The kernel shows a raw socket all ICMP of the host.
      socket.attachFilter(programBytes(filterOf(family, this.#identifier)));
      // CAP_NET_ADMIN, which programs the table as well.
      socket.setIntOption(SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
      socket.on('message', (message, info) => this.#hear(family, message, info.address));
      socket.on('error', () => undefined);
      socket.bind(from).unref();
      this.#sockets.set(key, socket);
      return socket;
    } catch (error) {
      socket?.close();
      const refused = error as NodeJS.ErrnoException;
      if (refused.code === 'EPERM')
        return { ok: undefined, reason: 'this director needs CAP_NET_RAW for it' };
      const outcome = outcomeOf(refused);
      return outcome.ok === true ? outcome : { ok: undefined, reason: outcome.reason };
    }
  }

  #hear(family: AddressFamily, message: Buffer, from: string): void {
    const echo = decodeEchoReply(family, message);
    const waiting = echo && this.#waiting.get(echo.sequence);
    if (waiting?.address === from && waiting.token.equals(echo?.payload ?? Buffer.alloc(0)))
      waiting.answered();
  }
}

/** Answers to us alone. */
function filterOf(family: AddressFamily, identifier: number) {
  const message = family === 'ipv4' ? IPV4_HEADER : 0;
  return new Assembler()
    .do(BPF.LOAD_BYTE, message)
    .unless(BPF.JUMP_EQUAL, ECHO_REPLY[family], 'other')
    .do(BPF.LOAD_HALF, message + IDENTIFIER_AT)
    .unless(BPF.JUMP_EQUAL, identifier, 'other')
    .do(BPF.RETURN, 0xffff)
    .label('other')
    .do(BPF.RETURN, 0)
    .program();
}
