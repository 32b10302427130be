/** Puts into the log what has changed about a peer: once, and when it is well again. */
import type { PeerReport } from '../../peer-status.js';
import type { Log } from '../../ports.js';

/** Wall clocks that differ by more make the logs of two hosts hard to read side by side. */
export const CLOCK_LIMIT_MS = 1000;

/** In a hand-over both hold the addresses for a moment, so that nobody misses them: that is no trouble. */
export const BOTH_MASTER_MS = 5000;
/** The peer falls silent on the channel and as a router one after the other. */
export const TROUBLE_MS = 2000;

export class PeerTeller {
  readonly #log: Log;
  readonly #told = new Map<string, string>();
  /** By the peer's name. */
  readonly #since = new Map<string, { readonly condition: PeerReport['condition']; readonly atMs: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  tell(peer: PeerReport, ownVersion: string, nowMs: number): void {
    const { name, condition, text, version, differing_sections: differing, clock_offset_ms: offset } = peer;
    const isWell = condition === 'up' || condition === 'waiting';
    const before = this.#since.get(name);
    const since = before?.condition === condition ? before : { condition, atMs: nowMs };
    this.#since.set(name, since);
    const lastsMs = isWell ? 0 : condition === 'two-masters' ? BOTH_MASTER_MS : TROUBLE_MS;
    if (nowMs >= since.atMs + lastsMs) {
      this.#once(name, 'condition', condition, {
        isWell,
        isQuiet: condition === 'waiting',
        words: `${name} ${text}`,
      });
    }
    if (version === null) return;
    this.#once(name, 'version', version, {
      isWell: true,
      isQuiet: version === ownVersion,
      words: `${name} runs version ${version}, this director ${ownVersion}`,
    });
    this.#once(name, 'file', differing.join(', '), {
      isWell: differing.length === 0,
      isQuiet: false,
      words:
        differing.length === 0
          ? `the file of ${name} says the same as this one's`
          : `the file of ${name} differs from this one's in ${differing.join(', ')}`,
    });
    const isOff = offset !== null && Math.abs(offset) > CLOCK_LIMIT_MS;
    this.#once(name, 'clock', String(isOff), {
      isWell: !isOff,
      isQuiet: !isOff && !this.#told.has(`${name} clock`),
      words: isOff
        ? `the clock of ${name} is ${Math.abs(offset)} ms ${offset > 0 ? 'ahead' : 'behind'}: synchronise both hosts with NTP`
        : `the clock of ${name} agrees with this one's again`,
    });
  }

  #once(
    name: string,
    what: string,
    value: string,
    { isWell, isQuiet, words }: { isWell: boolean; isQuiet: boolean; words: string },
  ): void {
    const key = `${name} ${what}`;
    if (this.#told.get(key) === value) return;
    this.#told.set(key, value);
    if (!isQuiet) this.#log[isWell ? 'info' : 'warn']({ event: 'peer', peer: name, [what]: value }, words);
  }
}
