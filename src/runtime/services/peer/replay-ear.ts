/** Counts the datagrams of each replay that arrive here: what is lost of them on the way nobody else notices. */
import type { PeerPorts } from './peer-ports.js';

/** Numbers are made up by whoever sends: of more at a time the oldest is forgotten. */
const MAX_REPLAYS = 16;

export class ReplayEar {
  readonly #open: PeerPorts['listenToReplays'];
  readonly #counts = new Map<number, number>();
  #interface: string | undefined;
  #close: (() => void) | undefined;

  constructor(open: PeerPorts['listenToReplays']) {
    this.#open = open;
  }

  /** Undefined: there is nothing to be heard. */
  listen(interfaceName: string | undefined): void {
    if (interfaceName === this.#interface && this.#close !== undefined) return;
    this.#interface = interfaceName;
    this.again();
  }

  /** The interface may be another one of the same name, and membership goes with the old one. */
  again(): void {
    this.#close?.();
    this.#close = undefined;
    if (this.#interface === undefined) return;
    try {
      this.#close = this.#open(this.#interface, (replay) => this.#heard(replay));
    } catch {
      // There is no such interface yet: its sync daemon does not run either, and when that starts it is tried again.
    }
  }

  /** How many of `messages` datagrams of a replay were lost on the way here; undefined where this is not known. */
  lostOf(told: { readonly replay: number; readonly messages: number } | undefined): number | undefined {
    if (told === undefined || this.#close === undefined) return undefined;
    const heard = this.#counts.get(told.replay) ?? 0;
    // One that hears nothing at all does not know what the kernel hears.
    if (heard === 0 && told.messages > 0) return undefined;
    return Math.max(0, told.messages - heard);
  }

  #heard(replay: number): void {
    const count = this.#counts.get(replay) ?? 0;
    const [oldest] = this.#counts.keys();
    if (count === 0 && this.#counts.size >= MAX_REPLAYS && oldest !== undefined) this.#counts.delete(oldest);
    this.#counts.set(replay, count + 1);
  }
}
