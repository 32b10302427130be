/** Finds and loads what is compiled from `native/`, and types it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The opaque handle of an open native socket. */
export interface SocketHandle {
  readonly nativeSocket: unique symbol;
}

/** One message as native/addon.c hands it over. */
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

/** The exports of native/addon.c. Calls throw an Error with `code`, `errno` and `syscall`. */
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
  send(socket: SocketHandle, message: Uint8Array, address: Uint8Array): void;
  receive(
    socket: SocketHandle,
    max: number,
  ): { messages: NativeMessage[]; empty: boolean; error: Error | undefined };
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
  /** flock(2) of a directory, held until the descriptor is closed or the process ends; EAGAIN when taken. */
  lockDirectory(path: string): number;
  /** PR_SET_PDEATHSIG with SIGKILL. */
  dieWithParent(): void;
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
export function nativeFile(name: 'lvs-director.node' | 'guardian'): string {
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
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new NativePartError(
      `${file} does not load (${words}): compile it on this machine with \`node ${join(packageRoot(), 'native', 'build.mjs')}\``,
      { cause },
    );
  }
}
