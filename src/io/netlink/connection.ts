/**
 * Netlink requests, dumps and events.
 *
 * Requests go out several to a datagram: the kernel takes them in order (netlink_rcv_skb) and acknowledges each one,
 * so a batch costs one system call and one wait instead of one for each request.
 */

import { batches } from '../../netlink/batches.js';
import {
  decodeDatagram,
  EINTR,
  EMSGSIZE,
  ENOBUFS,
  EPROTO,
  ETIMEDOUT,
  encodeMessage,
  type NetlinkFrame,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
} from '../../netlink/message.js';
import { NetlinkError, verdictOf } from './netlink-error.js';
import {
  nativeRequestSocket,
  type OpenRequestSocket,
  RECEIVE_BUFFER_BYTES,
  type RequestSocket,
} from './request-socket.js';
import { NetlinkSocket } from './socket.js';

export type { NetlinkRequest } from '../../netlink/message.js';
export { NetlinkError } from './netlink-error.js';

/** Netlink protocols (include/uapi/linux/netlink.h). */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;

/** Requests in one datagram, fewer where the receive buffer is small. */
export const MAX_BATCH_MESSAGES = 128;
/** Receive buffer set aside for the answer to one request: a link with all its attributes, and the acknowledgement. */
const ANSWER_ALLOWANCE_BYTES = 8 * 1024;
export const MAX_BATCH_BYTES = 32 * 1024;
/** The kernel does the work inside sendmsg, so an acknowledgement that takes longer was lost. */
export const REQUEST_TIMEOUT_MS = 5_000;
/** Attempts at a dump that the kernel marks NLM_F_DUMP_INTR because the table changed underneath. */
export const MAX_DUMP_ATTEMPTS = 8;
export const MAX_DUMP_MESSAGES = 1_000_000;

export interface NetlinkMessage {
  readonly type: number;
  /** NLM_F_*. */
  readonly flags: number;
  readonly payload: Uint8Array;
}
export interface NetlinkResult {
  /** undefined when the kernel acknowledged the request. */
  readonly error: NetlinkError | undefined;
  /** What the kernel sent in answer, before the acknowledgement. */
  readonly messages: readonly NetlinkMessage[];
}

/** The connection was closed by its owner while work was under way, or before it began. */
export class NetlinkClosedError extends Error {
  override readonly name = 'NetlinkClosedError';
  readonly code = 'ERR_NETLINK_CLOSED';
  constructor() {
    super('the netlink connection is closed');
  }
}

/** What waits for answers: frames by sequence number, and one end. */
interface Exchange {
  onFrame(frame: NetlinkFrame): void;
  /** No further answer can be trusted to come. */
  onFailure(error: NetlinkError | NetlinkClosedError): void;
}

/** One open conversation with a kernel subsystem. Operations run one after the other, in the order of the calls. */
export class NetlinkConnection {
  readonly #protocol: number;
  readonly #receiveBufferBytes: number;
  readonly #open: OpenRequestSocket;
  readonly #subscriptions = new Set<{ close(): void }>();
  #socket: RequestSocket | undefined;
  #sequence = 0;
  #exchange: Exchange | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(protocol: number, receiveBufferBytes: number, open: OpenRequestSocket) {
    this.#protocol = protocol;
    this.#open = open;
    this.#receiveBufferBytes = receiveBufferBytes;
    this.#socket = this.#openSocket();
  }

  /**
   * Throws with the kernel's `code` when it has no such protocol or lets no socket be opened. How answers are read is the
   * socket's affair; the default reads them from the event loop.
   */
  static open(
    protocol: number,
    receiveBufferBytes = RECEIVE_BUFFER_BYTES,
    open: OpenRequestSocket = nativeRequestSocket({ immediate: false }),
  ): NetlinkConnection {
    return new NetlinkConnection(protocol, receiveBufferBytes, open);
  }

  /** As `open`; what is asked resolves in the same turn of the event loop. */
  static openImmediate(protocol: number): NetlinkConnection {
    return new NetlinkConnection(protocol, RECEIVE_BUFFER_BYTES, nativeRequestSocket({ immediate: true }));
  }

  /**
   * Sends requests in batches and returns one result for each, in order. One failure does not stop the rest.
   * Rejects only with NetlinkClosedError or when no socket can be opened; a request without an answer has an error
   * with code ETIMEDOUT or ENOBUFS, and then may have been carried out all the same.
   */
  transact(requests: readonly NetlinkRequest[]): Promise<readonly NetlinkResult[]> {
    return this.#inTurn(async () => {
      const results: NetlinkResult[] = [];
      this.#socket ??= this.#openSocket();
      const fitting = Math.floor(this.#socket.receiveBufferBytes / ANSWER_ALLOWANCE_BYTES);
      for (const batch of batches(requests, Math.min(fitting, MAX_BATCH_MESSAGES), MAX_BATCH_BYTES)) {
        results.push(...(await this.#transactBatch(batch)));
      }
      return results;
    });
  }

  /**
   * NLM_F_DUMP. Rejects with NetlinkError when the kernel refuses, when the table changes at each of
   * MAX_DUMP_ATTEMPTS (code EINTR), or when the answer stops coming (ETIMEDOUT).
   */
  dump(type: number, payload: Uint8Array, flags = 0): Promise<readonly NetlinkMessage[]> {
    return this.#inTurn(async () => {
      for (let attempt = 0; attempt < MAX_DUMP_ATTEMPTS; attempt++) {
        const { messages, interrupted } = await this.#dumpOnce(type, flags, payload);
        if (!interrupted) {
          return messages;
        }
      }
      throw new NetlinkError(EINTR, `the table changed during each of ${MAX_DUMP_ATTEMPTS} dumps`);
    });
  }

  /**
   * Joins multicast groups, on a socket of their own so that a flood of events cannot cost an acknowledgement.
   * `onOverrun` says that events were lost: dump now and compare. Needs the native part.
   * Returns what ends the subscription. Throws with the kernel's `code` when it refuses.
   */
  subscribe(
    groups: readonly number[],
    onMessage: (message: NetlinkMessage) => void,
    onOverrun: () => void,
    receiveBufferBytes = RECEIVE_BUFFER_BYTES,
  ): () => void {
    if (this.#closed) {
      throw new NetlinkClosedError();
    }
    const subscription = openSubscription(this.#protocol, groups, onMessage, onOverrun, receiveBufferBytes);
    this.#subscriptions.add(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      subscription.close();
    };
  }

  /** Ends all work: what is under way rejects with NetlinkClosedError. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) {
      subscription.close();
    }
    this.#subscriptions.clear();
    this.#socket?.close();
    this.#socket = undefined;
    this.#exchange?.onFailure(new NetlinkClosedError());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => {
      if (this.#closed) {
        throw new NetlinkClosedError();
      }
      return work();
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  #openSocket(): RequestSocket {
    return this.#open(
      this.#protocol,
      {
        onDatagram: (datagram) => this.#receive(datagram),
        onBroken: (cause) => {
          this.#socket = undefined;
          const errno = 'errno' in cause ? ENOBUFS : EMSGSIZE;
          this.#exchange?.onFailure(new NetlinkError(errno, `answers were lost (${cause.message})`));
        },
      },
      this.#receiveBufferBytes,
    );
  }

  #receive(datagram: Uint8Array): void {
    const { frames, malformed } = decodeDatagram(datagram);
    for (const frame of frames) {
      this.#exchange?.onFrame(frame);
    }
    if (malformed) {
      this.#exchange?.onFailure(new NetlinkError(EPROTO, 'a message length from the kernel does not fit'));
    }
  }

  #nextSequence(): number {
    // 0 marks what the kernel sends unasked.
    this.#sequence = this.#sequence >= 0xffff_ffff ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  /** Runs one exchange to its end; every frame postpones the time-out. */
  #run<T>(
    bytes: Uint8Array,
    onFrame: (frame: NetlinkFrame, finish: (value: T) => void, fail: (error: Error) => void) => void,
    onFailure: (error: NetlinkError) => T,
  ): Promise<T> {
    this.#socket ??= this.#openSocket();
    const socket = this.#socket;
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#exchange = undefined;
      };
      const finish = (value: T): void => {
        end();
        resolve(value);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      let heard = 0;
      const exchange: Exchange = {
        onFrame: (frame) => {
          heard += 1;
          timer.refresh();
          onFrame(frame, finish, fail);
        },
        onFailure: (error) => {
          // What is still on its way, or a dump half read, must not meet the next exchange.
          this.#socket?.close();
          this.#socket = undefined;
          if (error instanceof NetlinkClosedError) {
            fail(error);
            return;
          }
          try {
            finish(onFailure(error));
          } catch (thrown) {
            fail(thrown instanceof Error ? thrown : error);
          }
        },
      };
      // After a stall the timer comes before the answer that lies in the queue: the socket is read once more.
      const late = (heardBefore: number): void => {
        if (this.#exchange !== exchange || heard !== heardBefore) return;
        exchange.onFailure(new NetlinkError(ETIMEDOUT, `no answer within ${REQUEST_TIMEOUT_MS} ms`));
      };
      const timer = setTimeout(() => {
        const heardBefore = heard;
        setImmediate(() => setImmediate(() => late(heardBefore)));
      }, REQUEST_TIMEOUT_MS);
      this.#exchange = exchange;
      socket.send(bytes, (error) => {
        if (this.#exchange === exchange) {
          const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : EPROTO;
          exchange.onFailure(new NetlinkError(errno, error.message));
        }
      });
      // The kernel does the work of a request inside the send, and the answer may have come there.
      if (this.#exchange === exchange) timer.refresh();
    });
  }

  #transactBatch(batch: readonly NetlinkRequest[]): Promise<NetlinkResult[]> {
    const waiting = new Map<number, { index: number; messages: NetlinkMessage[] }>();
    const unacknowledged = new Set<number>();
    const results: (NetlinkResult | undefined)[] = batch.map((request) =>
      request.unacknowledged === true ? { error: undefined, messages: [] } : undefined,
    );
    const encoded = batch.map((request, index) => {
      const sequence = this.#nextSequence();
      if (request.unacknowledged === true) unacknowledged.add(sequence);
      else waiting.set(sequence, { index, messages: [] });
      const ack = request.unacknowledged === true ? 0 : NLM_F_ACK;
      return encodeMessage(request.type, request.flags | NLM_F_REQUEST | ack, sequence, request.payload);
    });
    const complete = (missing: NetlinkError): NetlinkResult[] =>
      results.map((result) => result ?? { error: missing, messages: [] });
    return this.#run<NetlinkResult[]>(
      Buffer.concat(encoded),
      (frame, finish) => {
        const request = waiting.get(frame.sequence);
        if (request === undefined) {
          const isRefusal = frame.type === NLMSG_ERROR && unacknowledged.has(frame.sequence);
          const refusal = isRefusal ? verdictOf(frame) : undefined;
          if (refusal !== undefined) finish(complete(refusal));
          return;
        }
        if (frame.type === NLMSG_ERROR || frame.type === NLMSG_DONE) {
          results[request.index] = { error: verdictOf(frame), messages: request.messages };
          waiting.delete(frame.sequence);
        } else if (frame.type >= NLMSG_MIN_TYPE && request.messages.length < MAX_DUMP_MESSAGES) {
          request.messages.push({ type: frame.type, flags: frame.flags, payload: frame.payload });
        }
        if (waiting.size === 0) {
          finish(complete(new NetlinkError(EPROTO)));
        }
      },
      complete,
    );
  }

  #dumpOnce(
    type: number,
    flags: number,
    payload: Uint8Array,
  ): Promise<{ messages: NetlinkMessage[]; interrupted: boolean }> {
    const sequence = this.#nextSequence();
    const messages: NetlinkMessage[] = [];
    let interrupted = false;
    return this.#run<{ messages: NetlinkMessage[]; interrupted: boolean }>(
      encodeMessage(type, flags | NLM_F_REQUEST | NLM_F_DUMP, sequence, payload),
      (frame, finish, fail) => {
        if (frame.sequence !== sequence) {
          return;
        }
        interrupted ||= (frame.flags & NLM_F_DUMP_INTR) !== 0;
        if (frame.type === NLMSG_DONE || frame.type === NLMSG_ERROR) {
          const error = verdictOf(frame);
          if (error === undefined) {
            finish({ messages, interrupted });
          } else {
            fail(error);
          }
        } else if (messages.length >= MAX_DUMP_MESSAGES) {
          this.#exchange?.onFailure(
            new NetlinkError(EMSGSIZE, `more than ${MAX_DUMP_MESSAGES} messages in a dump`),
          );
        } else if (frame.type >= NLMSG_MIN_TYPE) {
          messages.push({ type: frame.type, flags: frame.flags, payload: frame.payload });
        }
      },
      (error) => {
        throw error;
      },
    );
  }
}

function openSubscription(
  protocol: number,
  groups: readonly number[],
  onMessage: (message: NetlinkMessage) => void,
  onOverrun: () => void,
  receiveBufferBytes: number,
): { close(): void } {
  const socket = new NetlinkSocket(protocol, groups, receiveBufferBytes);
  socket.on('message', (datagram, { port }) => {
    if (port !== 0) {
      return;
    }
    for (const frame of decodeDatagram(datagram).frames) {
      if (frame.type >= NLMSG_MIN_TYPE) {
        onMessage({ type: frame.type, flags: frame.flags, payload: frame.payload });
      }
    }
  });
  // ENOBUFS, or whatever else the kernel says of this socket: what came meanwhile may be lost.
  socket.on('error', onOverrun);
  return socket;
}
