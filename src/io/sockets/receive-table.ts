/** Messages as native/socket.c hands them over: the bytes of a whole batch in one Buffer, what is said of them in a table. */
import { native, type SocketHandle } from './native.js';

export interface NativeMessage {
  readonly data: Buffer;
  /** The sender's sockaddr, with the address family in its first two bytes; may be empty (AF_UNIX). */
  readonly address: Buffer;
  /** IP_PKTINFO / IPV6_PKTINFO: 4, 16 or, without that option, 0 bytes. */
  readonly destination: Buffer;
  /** 0 when the kernel did not say. */
  readonly interfaceIndex: number;
  /** TTL or hop limit, -1 when the kernel did not say. */
  readonly hopLimit: number;
  /** SO_TIMESTAMPNS in CLOCK_MONOTONIC milliseconds, the time of reading without that option. */
  readonly receivedAtMs: number;
  /** MSG_TRUNC: it was longer than 65536 bytes. */
  readonly truncated: boolean;
}

/** Messages read in one turn of the event loop, so that one busy socket does not starve the others. */
const MAX_PER_TURN = 64;
const FIELDS = 7;

export class ReceiveTable {
  readonly #fields = new Float64Array(1 + MAX_PER_TURN * FIELDS);

  /**
   * Reads what is queued, at most 64 messages, to the end of `into`. Returns whether that was all.
   *
   * @throws an Error with the kernel's `code`; nothing was read then
   */
  receive(socket: SocketHandle, into: NativeMessage[]): boolean {
    const bytes = native().receive(socket, this.#fields);
    const count = this.#field(0);
    if (bytes === undefined) return true;
    let start = 0;
    const take = (length: number): Buffer => bytes.subarray(start, (start += length));
    for (let at = 1; at < 1 + count * FIELDS; at += FIELDS) {
      into.push({
        data: take(this.#field(at)),
        address: take(this.#field(at + 1)),
        destination: take(this.#field(at + 2)),
        interfaceIndex: this.#field(at + 3),
        hopLimit: this.#field(at + 4),
        receivedAtMs: this.#field(at + 5),
        truncated: this.#field(at + 6) !== 0,
      });
    }
    return count < MAX_PER_TURN;
  }

  #field(at: number): number {
    return this.#fields[at] ?? 0;
  }
}
