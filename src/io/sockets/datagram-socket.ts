/** What the native sockets share: life cycle and reading, in the manner of node:dgram. */
import { EventEmitter } from 'node:events';
import type { Shot } from '../../runtime/ports.js';
import { native, type SocketHandle } from './native.js';
import type { ReadingPace } from './reading-pace.js';
import { type NativeMessage, ReceiveTable } from './receive-table.js';
import { int32, uint32 } from './socket-address.js';
import {
  SO_BINDTODEVICE,
  SO_MEMINFO,
  SO_PRIORITY,
  SO_RCVBUF,
  SO_SNDBUF,
  SO_TIMESTAMPNS,
  SOL_SOCKET,
} from './socket-constants.js';

/** Batches of one `drain()`: a flood cannot keep it busy for ever. */
const MAX_DRAIN_BATCHES = 64;
/** Of messages that one system call sends. */
const MAX_BATCH = 64;
/** What was read last: shared, because it is emptied before anybody else reads. */
const table = new ReceiveTable();
/** IFNAMSIZ - 1. */
const MAX_INTERFACE_NAME = 15;
/** SK_MEMINFO_VARS and SK_MEMINFO_DROPS of linux/sock_diag.h: 32-bit numbers, and which one tells what was dropped. */
const MEMINFO_NUMBERS = 9;
const MEMINFO_DROPS = 8;

/** The socket was closed before. */
export class SocketClosedError extends Error {
  override readonly name = 'SocketClosedError';
  readonly code = 'ERR_SOCKET_CLOSED';
  constructor() {
    super('the socket is closed');
  }
}

export interface DatagramSocketEvents<Info> {
  /** One message, as it left the kernel. */
  message: [message: Buffer, info: Info];
  /** An error that belongs to no call, such as ENETDOWN; the socket stays open. */
  error: [error: Error];
  /** Bound; messages arrive from now on. */
  listening: [];
  close: [];
}

/** A non-blocking, close-on-exec datagram socket. Reading begins with `listen()`, which `bind()` calls. */
export abstract class DatagramSocket<Info> extends EventEmitter<DatagramSocketEvents<Info>> {
  readonly #handle: SocketHandle;
  #open = true;
  #listening = false;
  /** Read and not yet emitted: shared, so that a nested `drain()` keeps the order. */
  readonly #queue: NativeMessage[] = [];
  #pace: ReadingPace | undefined;
  #resume: NodeJS.Timeout | undefined;

  /**
   * Opens the socket.
   *
   * @throws an Error with `code`, `errno`, `syscall` (EPERM without CAP_NET_RAW).
   */
  protected constructor(family: number, type: number, protocol: number) {
    super();
    this.#handle = native().open(family, type, protocol, () => this.#read(1));
  }

  protected abstract info(message: NativeMessage): Info;

  /** Delivers at once all that lies in the receive queue (at most 4096 messages). */
  drain(): void {
    if (this.#listening) this.#read(MAX_DRAIN_BATCHES);
  }

  /** Closes at once; `close` is emitted afterwards. Messages not yet delivered are dropped. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#listening = false;
    clearTimeout(this.#resume);
    this.#queue.length = 0;
    native().close(this.#handle);
    process.nextTick(() => this.emit('close'));
  }

  /** The open socket keeps the event loop running (the default once it listens). */
  ref(): this {
    if (this.#open) native().keepAlive(this.#handle, true);
    return this;
  }

  /** The open socket does not keep the event loop running. */
  unref(): this {
    if (this.#open) native().keepAlive(this.#handle, false);
    return this;
  }

  /** Reads no faster than this from now on; what comes beyond it waits in the kernel, which drops what it has no room for. */
  paceReading(pace: ReadingPace): void {
    this.#pace = pace;
  }

  /** SO_ATTACH_FILTER: the kernel drops what the program (`programBytes`) does not take, and nobody wakes for it. */
  attachFilter(program: Uint8Array): void {
    native().attachFilter(this.#live(), program);
  }

  /**
   * SO_ATTACH_REUSEPORT_CBPF: of the sockets that share this one's port, the program says which gets a message, by its place in
   * the order in which they were bound. It sees the payload.
   */
  attachDivision(program: Uint8Array): void {
    native().attachDivision(this.#live(), program);
  }

  /** Messages that found no room in the receive buffer since it was opened, modulo 2^32 (SO_MEMINFO). */
  droppedCount(): number {
    const numbers = this.getOption(SOL_SOCKET, SO_MEMINFO, MEMINFO_NUMBERS * Uint32Array.BYTES_PER_ELEMENT);
    return uint32(numbers, MEMINFO_DROPS * Uint32Array.BYTES_PER_ELEMENT);
  }

  /** SO_RCVBUF in bytes; the kernel doubles it and caps it at net.core.rmem_max. */
  setRecvBufferSize(bytes: number): void {
    this.setIntOption(SOL_SOCKET, SO_RCVBUF, bytes);
  }

  /** SO_SNDBUF in bytes; the kernel doubles it and caps it at net.core.wmem_max. */
  setSendBufferSize(bytes: number): void {
    this.setIntOption(SOL_SOCKET, SO_SNDBUF, bytes);
  }

  /** SO_PRIORITY, 0 to 6 without CAP_NET_ADMIN. Setting IP_TOS resets it. */
  setPriority(priority: number): void {
    this.setIntOption(SOL_SOCKET, SO_PRIORITY, priority);
  }

  /** SO_BINDTODEVICE: sends and receives on this interface alone. */
  bindToDevice(interfaceName: string): void {
    if (interfaceName.length > MAX_INTERFACE_NAME) {
      throw new RangeError(
        `an interface name has at most ${MAX_INTERFACE_NAME} characters: ${interfaceName}`,
      );
    }
    this.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${interfaceName}\0`));
  }

  /** setsockopt(2) with the option's bytes. */
  setOption(level: number, name: number, value: Uint8Array): void {
    native().setOption(this.#live(), level, name, value);
  }

  /** setsockopt(2) with a C `int`. */
  setIntOption(level: number, name: number, value: number): void {
    this.setOption(level, name, int32(value));
  }

  /** getsockopt(2); `length` is at most 4096 bytes. */
  getOption(level: number, name: number, length: number): Buffer {
    return native().getOption(this.#live(), level, name, length);
  }

  protected bindTo(address: Uint8Array): void {
    native().bind(this.#live(), address);
    this.listen();
  }

  /** Sends now or throws: EAGAIN and ENOBUFS mean that the kernel's queue is full. */
  protected sendTo(message: Uint8Array, address: Uint8Array): void {
    native().send(this.#live(), [message], [address]);
  }

  /** Sends one message to each address in one system call; one that is refused is thrown when all have been tried. */
  protected sendEach(messages: readonly Uint8Array[], addresses: readonly Uint8Array[]): void {
    for (let start = 0; start < messages.length; start += MAX_BATCH) {
      const end = start + MAX_BATCH;
      native().send(this.#live(), messages.slice(start, end), addresses.slice(start, end));
    }
  }

  /** A message for a volley; refused there when this socket is closed by then. */
  protected shotAt(message: Uint8Array, address: Uint8Array): Shot {
    return { socket: this.#live(), message, address };
  }

  protected listen(): void {
    native().watch(this.#live(), true);
    this.#listening = true;
    process.nextTick(() => {
      if (this.#open) this.emit('listening');
    });
  }

  /** Lets the kernel stamp each message when it takes it from the wire. */
  protected stampReceived(): void {
    this.setIntOption(SOL_SOCKET, SO_TIMESTAMPNS, 1);
  }

  #live(): SocketHandle {
    if (!this.#open) throw new SocketClosedError();
    return this.#handle;
  }

  #read(batches: number): void {
    for (let batch = 0; batch < batches && this.#open; batch++) {
      if (this.#pace?.isSpent() === true) return this.#rest(this.#pace);
      let last = true;
      try {
        last = table.receive(this.#handle, this.#queue);
      } catch (error) {
        this.emit('error', error instanceof Error ? error : new Error(String(error)));
      }
      this.#pace?.spend(this.#queue.length);
      this.#deliver();
      if (last) return;
    }
  }

  /** The kernel wakes nobody for a socket that is not watched. */
  #rest(pace: ReadingPace): void {
    if (this.#resume !== undefined) return;
    native().watch(this.#handle, false);
    this.#resume = setTimeout(() => {
      this.#resume = undefined;
      if (this.#open) native().watch(this.#handle, true);
    }, pace.restMs);
    this.#resume.unref();
  }

  #deliver(): void {
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      this.emit('message', message.data, this.info(message));
    }
  }
}
