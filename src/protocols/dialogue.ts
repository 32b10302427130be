/**
 * A conversation with a real server over a stream of bytes, told as steps: what is sent, and what has to be read before
 * the next one. The caller runs `begin` once the connection is there, then `hear` for every piece that comes, and sends
 * what they say.
 */
import { shown } from './shown.js';

/** What is kept of what was heard and not taken yet. */
export const MAX_HEARD_BYTES = 64 * 1024;

/** What a step makes of the bytes that no step before took. */
export type Reading =
  /** It cannot say yet. */
  | { readonly type: 'more' }
  /** Good: so many of them were for it, and `answer` is sent, if any. */
  | { readonly type: 'taken'; readonly used: number; readonly answer?: Uint8Array }
  | { readonly type: 'wrong'; readonly reason: string };

export type Step =
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  | {
      readonly type: 'read';
      /** What is waited for, in words, such as `220`. */
      readonly wanted: string;
      /** `bytes` is all that there is; with the first `seen` of them it was asked before, and could not say. */
      read(bytes: Uint8Array, seen: number): Reading;
    };

export type Turn =
  | { readonly type: 'waiting'; readonly send: readonly Uint8Array[] }
  /** The server answers as it has to; `send` is the farewell. */
  | { readonly type: 'good'; readonly send: readonly Uint8Array[] }
  | { readonly type: 'bad'; readonly reason: string };

export class Dialogue {
  readonly #steps: readonly Step[];
  /** Whether a reason names the step, counted from 1: where the steps are the user's own. */
  readonly #counted: boolean;
  #at = 0;
  #heard: Uint8Array = new Uint8Array();
  #seen = 0;

  constructor(steps: readonly Step[], counted = false) {
    this.#steps = steps;
    this.#counted = counted;
  }

  begin(): Turn {
    const send: Uint8Array[] = [];
    for (; this.#at < this.#steps.length; this.#at += 1) {
      const step = this.#steps[this.#at];
      if (step === undefined) break;
      if (step.type === 'send') {
        send.push(step.bytes);
        continue;
      }
      const reading = step.read(this.#heard, this.#seen);
      if (reading.type === 'wrong') return this.#bad(reading.reason);
      if (reading.type === 'more') {
        this.#seen = this.#heard.length;
        return this.#seen > MAX_HEARD_BYTES
          ? this.#bad(`no ${step.wanted} in the first ${MAX_HEARD_BYTES} bytes of the answer`)
          : { type: 'waiting', send };
      }
      this.#heard = this.#heard.subarray(reading.used);
      this.#seen = 0;
      if (reading.answer !== undefined) send.push(reading.answer);
    }
    return { type: 'good', send };
  }

  hear(piece: Uint8Array): Turn {
    const all = new Uint8Array(this.#heard.length + piece.length);
    all.set(this.#heard);
    all.set(piece, this.#heard.length);
    this.#heard = all;
    return this.begin();
  }

  /** Why it failed when nothing comes any more, `how`: `within 1000 ms`, or `before the end of the connection`. */
  silence(how: string): string {
    const step = this.#steps[this.#at];
    const wanted = step?.type === 'read' ? step.wanted : 'answer';
    const got = this.#heard.length === 0 ? undefined : shown(this.#heard);
    return this.#named(got === undefined ? `no ${wanted} ${how}` : `expected ${wanted}, got ${got} ${how}`);
  }

  #bad(reason: string): Turn {
    return { type: 'bad', reason: this.#named(reason) };
  }

  #named(reason: string): string {
    return this.#counted ? `step ${this.#at + 1}: ${reason}` : reason;
  }
}
