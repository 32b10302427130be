/** Starts the guardian process (native/guardian.c) and keeps it alive. */

import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Guardian, GuardianOrders } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';
import { native } from '../sockets/native.js';
import { encodeDisarm, encodeOrders, encodeRenewal } from '../vrrp/guardian-orders.js';
import { type HeldExecutable, holdExecutable } from './program-on-disk.js';

/** Exit status of a guardian that acted. */
const EXIT_ACTED = 3;
const ANSWER_TAKEN = 'R'.charCodeAt(0);
const ANSWER_REFUSED = 'X'.charCodeAt(0);
const ANSWER_ACTING = 'A'.charCodeAt(0);
/** Descriptor of the pipe in the child. */
const ORDERS_FD = 3;
/** Starts of the process within SPAWN_WINDOW_MS; the next comes with the first `arm` after it. */
const MAX_SPAWNS = 5;
const SPAWN_WINDOW_MS = 60_000;
/** Bytes of orders the guardian may leave unread before it counts as stuck. */
const MAX_BACKLOG_BYTES = 4_194_304;
/** The same orders go out whole again after so long: the guardian opens what it could not open before. */
const REPEAT_ORDERS_MS = 5000;
const RENEWAL = encodeRenewal();

/** The guardian process is not there, or refused its orders. */
export class GuardianError extends Error {
  override readonly name = 'GuardianError';
  readonly code = 'ERR_GUARDIAN';
}

export interface GuardianOptions {
  /**
   * The guardian acted although this process lives (it had hung longer than the lease): the farewells are
   * sent, so the owner has to count its addresses as lost. Called when the guardian reports it; a process that
   * was frozen should also compare the time since its last `arm` with the lease before it sends anything.
   */
  readonly onActed?: () => void;
  /** The guardian took the orders of an `arm`, or its replacement took the last ones. */
  readonly onArmed?: () => void;
  /** Something is wrong with the guardian; the daemon goes on, unguarded for a while. */
  readonly onError?: (error: Error) => void;
}

/** A guardian with the id of its process, for logs and tests. */
export interface GuardianProcess extends Guardian {
  readonly pid: number | undefined;
}

interface Running {
  readonly child: ChildProcess;
  readonly link: Socket;
  acted: boolean;
  /** The orders it has, and when they went out. */
  orders: GuardianOrders | undefined;
  orderedAtMs: number;
}

/** Orders as bytes, and the interface indexes that they name. */
interface Encoded {
  readonly bytes: Buffer;
  readonly indexes: ReadonlyMap<string, number | undefined>;
}

class NativeGuardian implements GuardianProcess {
  readonly #options: GuardianOptions;
  #running: Running | undefined;
  readonly #encoded = new WeakMap<GuardianOrders, Encoded>();
  #lastOrders: GuardianOrders | undefined;
  #disarmed = false;
  #spawnedAtMs: number[] = [];
  /** Whether it was already said that no more are started for now. */
  #gaveUp = false;
  readonly #executable: HeldExecutable;

  constructor(options: GuardianOptions) {
    this.#options = options;
    this.#executable = holdExecutable('guardian');
    this.#spawn();
  }

  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  arm(orders: GuardianOrders): void {
    const running = this.#running;
    this.#disarmed = false;
    if (running?.orders === orders && performance.now() - running.orderedAtMs < REPEAT_ORDERS_MS) {
      this.#write(running, RENEWAL);
      return;
    }
    this.#lastOrders = orders;
    if (running === undefined) return this.#spawn();
    const prepared = running.orders === orders ? undefined : this.#encoded.get(orders)?.bytes;
    this.#order(running, orders, prepared ?? this.#bytesOf(orders));
  }

  prepare(orders: GuardianOrders): void {
    this.#bytesOf(orders);
  }

  disarm(): void {
    this.#disarmed = true;
    this.#lastOrders = undefined;
    const running = this.#running;
    this.#running = undefined;
    running?.link.end(encodeDisarm());
  }

  #spawn(): void {
    const now = performance.now();
    this.#spawnedAtMs = this.#spawnedAtMs.filter((at) => at > now - SPAWN_WINDOW_MS);
    if (this.#spawnedAtMs.length >= MAX_SPAWNS) {
      if (!this.#gaveUp) this.#fail('ended too often and is not started for a while');
      this.#gaveUp = true;
      return;
    }
    this.#spawnedAtMs.push(now);
    this.#gaveUp = false;
    const started = this.#start();
    if (started === undefined) return;
    const { child, link } = started;
    const running: Running = { child, link, acted: false, orders: undefined, orderedAtMs: 0 };
    this.#running = running;
    child.once('exit', (code, signal) => this.#exited(running, code, signal));
    link.on('data', (answers: Buffer) => this.#answered(running, answers));
    // EPIPE and ECONNRESET: the exit tells more.
    link.on('error', () => {});
    child.unref();
    link.unref();
    const orders = this.#lastOrders;
    if (orders !== undefined) this.#order(running, orders, this.#bytesOf(orders));
  }

  /** Made anew when an interface has another index by now: hundreds of addresses take milliseconds. */
  #bytesOf(orders: GuardianOrders): Buffer {
    const known = this.#encoded.get(orders);
    if (known !== undefined && [...known.indexes].every(([name, index]) => currentIndex(name) === index)) {
      return known.bytes;
    }
    const indexes = new Map<string, number | undefined>();
    const bytes = encodeOrders(orders, (name) => {
      if (!indexes.has(name)) indexes.set(name, currentIndex(name));
      return indexes.get(name);
    });
    this.#encoded.set(orders, { bytes, indexes });
    return bytes;
  }

  #order(running: Running, orders: GuardianOrders, bytes: Buffer): void {
    running.orders = orders;
    running.orderedAtMs = performance.now();
    this.#write(running, bytes);
  }

  /** Undefined when the system refuses, which is reported: a daemon without a guardian is better than none. */
  #start(): { child: ChildProcess; link: Socket } | undefined {
    try {
      // A session of its own (setsid): a Ctrl-C in the daemon's terminal does not reach it.
      const child = spawn(this.#executable.file, [], {
        argv0: this.#executable.name,
        detached: true,
        cwd: '/',
        env: {},
        stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      });
      child.once('error', (cause) => this.#fail(`cannot be started: ${cause.message}`, cause));
      const link = child.stdio[ORDERS_FD];
      return child.pid !== undefined && link instanceof Socket ? { child, link } : undefined;
    } catch (cause) {
      this.#fail(`cannot be started: ${messageOf(cause)}`, cause);
      return undefined;
    }
  }

  #write(running: Running, bytes: Buffer): void {
    if (running.link.writableLength > MAX_BACKLOG_BYTES) {
      this.#fail('does not read its orders and is replaced');
      running.child.kill('SIGKILL');
      return;
    }
    running.link.write(bytes);
  }

  #answered(running: Running, answers: Buffer): void {
    for (const answer of answers) {
      if (answer === ANSWER_ACTING) this.#acted(running);
      else if (answer === ANSWER_REFUSED) this.#refused(running);
      else if (answer === ANSWER_TAKEN && running === this.#running) this.#options.onArmed?.();
    }
  }

  #refused(running: Running): void {
    running.orders = undefined;
    this.#fail('refused its orders as malformed');
  }

  /** This process lives, so the addresses are its own affair again: it releases the guardian. */
  #acted(running: Running): void {
    if (running.acted) return;
    running.acted = true;
    running.link.end(encodeDisarm());
    // The orders of the time before do not hold for the successor of this guardian.
    this.#lastOrders = undefined;
    if (running === this.#running) {
      this.#running = undefined;
      if (!this.#disarmed) this.#spawn();
    }
    this.#options.onActed?.();
  }

  #exited(running: Running, code: number | null, signal: NodeJS.Signals | null): void {
    if (code === EXIT_ACTED) this.#acted(running);
    if (running !== this.#running) return;
    this.#running = undefined;
    this.#fail(`ended with ${signal ?? `status ${code}`} and is started again`);
    this.#spawn();
  }

  #fail(words: string, cause?: unknown): void {
    this.#options.onError?.(new GuardianError(`the guardian ${words}`, { cause }));
  }
}

function currentIndex(name: string): number | undefined {
  try {
    return native().interfaceInfo(name).index;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/**
 * Starts the guardian; it does nothing until it is armed. It outlives this process if that dies, and does not
 * keep it alive. `arm` throws GuardianOrdersError for orders beyond its limits; called with the same object
 * again it renews the lease alone.
 *
 * @throws {NativePartError} when it is not compiled
 */
export function startGuardian(options: GuardianOptions = {}): GuardianProcess {
  return new NativeGuardian(options);
}
