/** What the body of an answer has to be: it is judged as it comes, and no more of it is kept than has to be. */
import { createHash } from 'node:crypto';
import { type Context, createContext, Script } from 'node:vm';
import type { BodyRules } from '../../config/model-servers.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { failed, OK } from './outcome.js';

/** What is read of a body before the connection is cut. */
export const MAX_BODY_BYTES = 64 * 1024;

/**
 * An expression with repetitions within repetitions may take years over some bodies, and everything else of this
 * process waits. A good one takes less than one millisecond over 64 KiB.
 */
const MATCH_MS = 20;
const MAX_TRIES = 5;

export class BodyJudge {
  readonly #rules: BodyRules;
  readonly #pieces: Buffer[] = [];
  #length = 0;
  #search: Search | undefined;

  constructor(rules: BodyRules) {
    this.#rules = rules;
    this.#search = rules.text === undefined ? undefined : new Search(rules.text);
  }

  /** Undefined: more is needed. */
  take(piece: Buffer): ProbeOutcome | undefined {
    const { pattern, digest } = this.#rules;
    if (this.#search?.foundIn(piece) === true) this.#search = undefined;
    if (this.#search === undefined && pattern === undefined && digest === undefined) return OK;
    this.#length += piece.length;
    if (pattern !== undefined || digest !== undefined) this.#pieces.push(piece);
    return this.#length > MAX_BODY_BYTES
      ? this.#judge(`the first ${MAX_BODY_BYTES} bytes of the body`)
      : undefined;
  }

  end(): ProbeOutcome {
    return this.#judge('the body');
  }

  #judge(what: string): ProbeOutcome {
    const { text, pattern, digest } = this.#rules;
    if (this.#search !== undefined) return failed(`no '${text}' in ${what}`);
    const body = Buffer.concat(this.#pieces).subarray(0, MAX_BODY_BYTES);
    const matches = pattern === undefined || matchesInTime(pattern, body.toString());
    if (matches === undefined) {
      // Nothing is known of the real server: another expression would have said.
      const reason = `body_matches takes longer than ${MATCH_MS} ms over ${what}: repeat nothing that repeats`;
      return { ok: undefined, reason };
    }
    if (!matches) return failed(`nothing in ${what} matches '${pattern}'`);
    if (digest === undefined) return OK;
    if (this.#length > MAX_BODY_BYTES) return failed(`the body is longer than ${MAX_BODY_BYTES} bytes`);
    const found = createHash(digest.algorithm).update(body).digest('hex');
    return found === digest.hex ? OK : failed(`the body has another ${digest.algorithm} digest: ${found}`);
  }
}

/** Looks for a text in a body that comes in pieces. */
class Search {
  readonly #wanted: Buffer;
  #tail = Buffer.alloc(0);

  constructor(wanted: string) {
    this.#wanted = Buffer.from(wanted);
  }

  /** In this piece, or across it and those before. */
  foundIn(piece: Buffer): boolean {
    const seen = Buffer.concat([this.#tail, piece]);
    this.#tail = seen.subarray(Math.max(0, seen.length - this.#wanted.length + 1));
    return seen.includes(this.#wanted);
  }
}

/** A match can be ended only from outside of it, and that is what a script with a time-out gives. */
let matcher: { readonly script: Script; readonly context: Context } | undefined;

/** Undefined: not within the time. A time-out of which this process had not three quarters a processor is not the expression's. */
function matchesInTime(pattern: string, text: string): boolean | undefined {
  matcher ??= { script: new Script('expression.test(text)'), context: createContext({}) };
  const { script, context } = matcher;
  Object.assign(context, { expression: new RegExp(pattern, 'u'), text });
  try {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const before = process.cpuUsage();
      try {
        return script.runInContext(context, { timeout: MATCH_MS }) === true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
        const { user, system } = process.cpuUsage(before);
        if (user + system > MATCH_MS * 750) return undefined;
      }
    }
    return undefined;
  } finally {
    Object.assign(context, { text: '' });
  }
}
