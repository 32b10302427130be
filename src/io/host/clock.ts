/** CLOCK_MONOTONIC for the runtime. Deadlines go by a timerfd, because Node's timers count in whole milliseconds. */

import type { Clock } from '../../runtime/ports.js';
import { DeadlineClock, type Timer } from '../../util/deadline-clock.js';
import { native, type SocketHandle } from '../sockets/native.js';

/** A timerfd. It keeps the process alive while it is set. */
class NativeTimer implements Timer {
  #handle: SocketHandle | undefined;
  #watching = false;

  nowMs(): number {
    return Number(process.hrtime.bigint()) / 1e6;
  }

  set(atMs: number): void {
    const addon = native();
    this.#handle ??= addon.openTimer(() => clock.wake());
    const waits = Number.isFinite(atMs);
    addon.setTimer(this.#handle, waits ? atMs : 0);
    if (waits !== this.#watching) addon.watch(this.#handle, waits);
    this.#watching = waits;
  }

  soon(callback: () => void): () => void {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  }
}

const clock = new DeadlineClock(new NativeTimer());

/** The monotonic clock, comparable with the receive times of the sockets. A callback is never early. */
export const monotonicClock: Clock = clock;
