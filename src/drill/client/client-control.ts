/** The drill's end of the client program. */
import { programFile } from '../../program.js';
import { DrillError } from '../errors.js';
import type { Lab } from '../lab/lab.js';
import { type Child, LAST_IN_LINE, stopChild } from '../lab/process.js';
import type { ClientCommand, ClientMessage, ClientResults } from './client-protocol.js';

/** Node's own start, last in line for an emulated processor that other labs share. */
const START_TIMEOUT_MS = 180_000;
/** Longest command: `verify` with its patience, and some for an emulated processor. */
const COMMAND_TIMEOUT_MS = 90_000;

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

export type LostConnection = Extract<ClientMessage, { type: 'lost' }>;

export class ClientControl {
  readonly #child: Child;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready: Promise<void>;
  #nextId = 1;
  #errors: string[] = [];
  /** Told of every connection that ended without being asked to. */
  onLost: (lost: LostConnection) => void = () => {};

  constructor(lab: Lab, host: string) {
    let ready = (): void => {};
    this.#ready = new Promise((resolve) => {
      ready = resolve;
    });
    const program = programFile('drill/client/client.js');
    this.#child = lab.start(host, [...LAST_IN_LINE, process.execPath, program], {
      onLine: (line) => this.#take(JSON.parse(line) as ClientMessage, ready),
      onErrorLine: (line) => this.#errors.push(line),
    });
    void this.#child.exited.then(() => {
      ready();
      const words = this.#errors.slice(0, 5).join(' ');
      for (const { reject } of this.#waiting.values()) {
        reject(new DrillError('ERR_DRILL_PROCESS', `the lab's client ended: ${words}`));
      }
      this.#waiting.clear();
    });
  }

  /** Resolves when the client takes commands. */
  async ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new DrillError('ERR_DRILL_TIMEOUT', "the lab's client did not start")),
        START_TIMEOUT_MS,
      );
    });
    await Promise.race([this.#ready, late]).finally(() => clearTimeout(timer));
    if (!this.#child.running) {
      throw new DrillError('ERR_DRILL_PROCESS', `the lab's client ended: ${this.#errors.join(' ')}`);
    }
  }

  /** Carries out one command. Rejects with DrillError when the client is gone or does not answer. */
  send<C extends ClientCommand>(command: C): Promise<ClientResults[C['command']]> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      if (!this.#child.running) {
        reject(new DrillError('ERR_DRILL_PROCESS', "the lab's client is gone"));
        return;
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new DrillError('ERR_DRILL_TIMEOUT', `the lab's client did not finish '${command.command}'`));
      }, COMMAND_TIMEOUT_MS);
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.write(`${JSON.stringify({ ...command, id })}\n`);
    });
  }

  async stop(): Promise<void> {
    await stopChild(this.#child);
  }

  #take(message: ClientMessage, ready: () => void): void {
    switch (message.type) {
      case 'ready':
        ready();
        return;
      case 'lost':
        this.onLost(message);
        return;
      case 'answer':
        this.#waiting.get(message.id)?.resolve(message.result as never);
        this.#waiting.delete(message.id);
        return;
      case 'failed':
        this.#waiting.get(message.id)?.reject(new DrillError('ERR_DRILL_PROCESS', message.message));
        this.#waiting.delete(message.id);
        return;
    }
  }
}
