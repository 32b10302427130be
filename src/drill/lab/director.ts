/** A director of the lab: the very daemon, in its own network namespace. */

import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { fetchStatus, orderMaintenance } from '../../io/operator/control-client.js';
import type { DirectorStatus } from '../../runtime/status.js';
import { messageOf } from '../../util/error-message.js';
import { DrillError } from '../errors.js';
import type { Lab } from './lab.js';
import { type DirectorEvent, parseDirectorLine } from './observations.js';
import { type Child, type Exit, stopChild } from './process.js';

/** Last lines of the log that are quoted when a director ends unasked. */
const QUOTED_LINES = 5;

export interface DirectorOptions {
  readonly name: string;
  /** Argument vector of the `director` command, without its subcommand. */
  readonly command: readonly string[];
  readonly configFile: string;
  /** Holds the control socket; made when it is not there. */
  readonly runtimeDir: string;
  /** What outlives a reboot of the host; without it the runtime folder is that, too. */
  readonly stateDir?: string;
  /** Takes everything the daemon writes. */
  readonly logFile: string;
  readonly onEvent: (event: DirectorEvent) => void;
  /** The daemon's process is gone. */
  readonly onExit: () => void;
}

export class Director {
  readonly name: string;
  readonly #lab: Lab;
  readonly #options: DirectorOptions;
  readonly #log: WriteStream;
  #child: Child | undefined;
  #lastLines: string[] = [];

  constructor(lab: Lab, options: DirectorOptions) {
    this.name = options.name;
    this.#lab = lab;
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a' });
  }

  get running(): boolean {
    return this.#child?.running ?? false;
  }

  /** Starts the daemon; it is ready when its status says so. */
  async start(): Promise<void> {
    const { command, configFile, name, runtimeDir, stateDir = runtimeDir } = this.#options;
    await Promise.all([runtimeDir, stateDir].map((folder) => mkdir(folder, { recursive: true })));
    // What the operator told this host's own director (maintenance, drained real servers) is not for the lab's.
    const folders = ['--runtime-dir', runtimeDir, '--state-dir', stateDir];
    const run = ['run', '-c', configFile, '--director', name, ...folders, '--log', 'json'];
    this.#child = this.#lab.start(name, [...command, ...run], {
      onLine: (line) => this.#take(line),
      onErrorLine: (line) => this.#take(line),
    });
    void this.#child.exited.then(() => this.#options.onExit());
  }

  /** SIGTERM and an orderly end. */
  async stop(): Promise<Exit | undefined> {
    // One that was stopped would not hear the other signal.
    this.signal('SIGCONT');
    return this.#child === undefined ? undefined : stopChild(this.#child);
  }

  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves when the daemon's process is gone. */
  async ended(): Promise<void> {
    await this.#child?.exited;
  }

  /** What a reboot takes with it: the runtime folder lies on a tmpfs. */
  async forgetRuntime(): Promise<void> {
    await rm(this.#options.runtimeDir, { recursive: true, force: true });
  }

  /** `director failover`, or `--end` of it. Rejects with DrillError when the daemon does not take the order. */
  async maintenance(on: boolean): Promise<void> {
    try {
      await orderMaintenance(this.#options.runtimeDir, { instances: null, on, persist: false });
    } catch (cause) {
      const words = messageOf(cause);
      throw new DrillError('ERR_DRILL_PROCESS', `director ${this.name} took no order: ${words}`, { cause });
    }
  }

  closeLog(): void {
    this.#log.end();
  }

  /** The daemon's own words, undefined while it does not answer. Throws DrillError when it has ended. */
  async status(): Promise<DirectorStatus | undefined> {
    if (!this.running) {
      throw new DrillError(
        'ERR_DRILL_PROCESS',
        `director ${this.name} has ended: ${this.#lastLines.join(' | ') || 'without a word'}`,
      );
    }
    return fetchStatus(this.#options.runtimeDir).catch(() => undefined);
  }

  #take(line: string): void {
    this.#log.write(`${line}\n`);
    this.#lastLines = [...this.#lastLines.slice(1 - QUOTED_LINES), line];
    const event = parseDirectorLine(line);
    if (event !== undefined) {
      this.#options.onEvent(event);
    }
  }
}
