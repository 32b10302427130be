/** Finds and loads what is compiled from `native/`, and types it. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../util/error-message.js';

/** The opaque handle of an open native socket. */
export interface SocketHandle {
  readonly nativeSocket: unique symbol;
}

/** An interface as the ioctls of netdevice(7) give it. */
export interface InterfaceInfo {
  readonly index: number;
  /** IFF_* of linux/if.h. */
  readonly flags: number;
  /** ARPHRD_* of linux/if_arp.h: 1 is Ethernet, 772 loopback. */
  readonly hardwareType: number;
  /** Six bytes. */
  readonly hardwareAddress: Buffer;
}

/** The exports of native/addon.c and the files beside it. Calls throw an Error with `code`, `errno` and `syscall`. */
export interface NativeAddon {
  open(family: number, type: number, protocol: number, onReadable: () => void): SocketHandle;
  /** timerfd_create(2); taken by `close`, `watch`, `keepAlive` and `setTimer`. */
  openTimer(onDue: () => void): SocketHandle;
  /** CLOCK_MONOTONIC milliseconds with a fraction; 0 stops it. */
  setTimer(timer: SocketHandle, atMs: number): void;
  close(socket: SocketHandle): void;
  watch(socket: SocketHandle, on: boolean): void;
  keepAlive(socket: SocketHandle, on: boolean): void;
  bind(socket: SocketHandle, address: Uint8Array): void;
  setOption(socket: SocketHandle, level: number, name: number, value: Uint8Array): void;
  getOption(socket: SocketHandle, level: number, name: number, length: number): Buffer;
  /**
   * SO_ATTACH_FILTER, in place of the one before: the bytes of struct sock_filter, 1 to 4096 of them. EINVAL for a
   * program that the kernel refuses, ENOMEM where net.core.optmem_max has no room for it.
   */
  attachFilter(socket: SocketHandle, program: Uint8Array): void;
  attachDivision(socket: SocketHandle, program: Uint8Array): void;
  /** One message to each address, at most 64. One that is refused does not stop the rest, and is thrown at the end. */
  send(socket: SocketHandle, messages: readonly Uint8Array[], addresses: readonly Uint8Array[]): void;
  /**
   * Sends each message to the address of the same place by the socket of that place, 256 at most, in this order; what
   * comes behind a refusal is not sent, and the refusal is thrown. A netlink message counts as sent when the kernel
   * acknowledged each request in it (rtnetlink does its work within sendmsg(2)).
   */
  volley(
    sockets: readonly SocketHandle[],
    messages: readonly Uint8Array[],
    addresses: readonly Uint8Array[],
  ): void;
  /**
   * What is queued, as many messages as `table` has room for, 64 at most. First in `table` comes their count, then for
   * each seven numbers: lengths of data, sockaddr and destination, which lie one behind the other in the Buffer, then
   * interface index, hop limit, receive time, whether it was cut off. Fewer than there is room for: nothing more was
   * queued, or the next call throws.
   */
  receive(socket: SocketHandle, table: Float64Array): Buffer | undefined;
  interfaceInfo(name: string): InterfaceInfo;
  interfaceAddresses(): { name: string; family: number; address: Buffer }[];
  /** SCHED_RR for all threads of this process, 1 to 99; returns how many. Children are not concerned. */
  setRealTime(priority: number): number;
  /** Whether a thread spun for longer than RLIMIT_RTTIME since then and lost the priority. */
  realTimeLost(): boolean;
  /**
   * mlock2(2) of program, libraries, malloc's heap and stack, each page once it is touched; returns the number of
   * mappings. V8's own heap cannot be locked.
   */
  lockMemory(): number;
  /**
   * Lets go of pages of the program that nobody has changed; those needed again are mapped again when they are touched.
   * Returns how many bytes that were.
   */
  releaseCode(): number;
  /** flock(2) of a directory, held until the descriptor is closed or the process ends; EAGAIN when taken. */
  lockDirectory(path: string): number;
  /** PR_SET_PDEATHSIG with SIGKILL. */
  dieWithParent(): void;
  /** _exit(2): what the process has under way in other threads is not waited for. */
  exitNow(status: number): void;
  /** SIGALRM after so many milliseconds, at least 1: the end of a process that hangs in a system call. */
  killIn(ms: number): void;
}

/** The native part is not compiled, or does not load. */
export class NativePartError extends Error {
  override readonly name = 'NativePartError';
  readonly code = 'ERR_NATIVE_PART';
}

const MAX_FOLDERS_UP = 6;

/** The folder with package.json: it lies at another depth below `dist` than below `src`. */
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  let folder = start;
  for (let up = 0; up < MAX_FOLDERS_UP; up++) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    folder = dirname(folder);
  }
  throw new NativePartError(`no package.json above ${start}: the installation is incomplete`);
}

/**
 * Path of a compiled file: what this machine compiled, else what the package brought.
 *
 * @throws {NativePartError} when there is neither; its message says what to do.
 */
export function nativeFile(name: 'lvs-director.node' | 'guardian' | 'runner' | 'load'): string {
  const folder = join(packageRoot(), 'native');
  const candidates = [join(folder, 'build', name), join(folder, 'prebuilt', `linux-${process.arch}`, name)];
  const found = candidates.find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new NativePartError(
    `${candidates.join(' and ')} do not exist: compile them with \`node ${join(folder, 'build.mjs')}\` (needs gcc and libc6-dev)`,
  );
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at the first call.
 *
 * @throws {NativePartError} when it is not there or was compiled for another system.
 */
export function native(): NativeAddon {
  if (loaded !== undefined) return loaded;
  const file = nativeFile('lvs-director.node');
  try {
    const addon: NativeAddon = createRequire(import.meta.url)(file);
    loaded = addon;
    return addon;
  } catch (cause) {
    const words = messageOf(cause);
    throw new NativePartError(
      `${file} does not load (${words}): compile it on this machine with \`node ${join(packageRoot(), 'native', 'build.mjs')}\``,
      { cause },
    );
  }
}
