/** A terminal that one table fills and refreshes, and that is afterwards as it was before. */
import type { ReadStream, WriteStream } from 'node:tty';

/** Another screen beside the one with the shell's lines, the cursor hidden; and back again (xterm's control sequences). */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
const INVERSE = '\x1b[7m';
const PLAIN = '\x1b[m';
/** What ends us without a key. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const FALLBACK = { width: 80, height: 24 };

export interface ScreenEvents {
  /** A key; Ctrl-C is `\x03`. */
  readonly onKey: (key: string) => void;
  readonly onResize: () => void;
  /** The terminal is gone. */
  readonly onGone: () => void;
}

export class Screen {
  readonly #input: ReadStream;
  readonly #output: WriteStream;
  #close: (() => void) | undefined;

  constructor(input: ReadStream, output: WriteStream) {
    this.#input = input;
    this.#output = output;
  }

  /** In columns and lines. */
  get size(): { readonly width: number; readonly height: number } {
    const { columns, rows } = this.#output;
    return { width: columns || FALLBACK.width, height: rows || FALLBACK.height };
  }

  open({ onKey, onResize, onGone }: ScreenEvents): void {
    const input = this.#input;
    const output = this.#output;
    const onData = (keys: string): void => {
      for (const key of keys) onKey(key);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      this.close();
      // Nobody listens any more: it ends us as it would have.
      process.kill(process.pid, signal);
    };
    // Also where an error that nobody foresaw ends the process.
    const onExit = (): void => this.close();
    this.#close = () => {
      output.write(LEAVE);
      if (!input.destroyed) input.setRawMode(false);
      input.off('data', onData).off('end', onGone).off('error', onGone).pause();
      output.off('resize', onResize).off('error', onGone);
      for (const signal of SIGNALS) process.off(signal, onSignal);
      process.off('exit', onExit);
    };
    input.setEncoding('utf8').on('data', onData).on('end', onGone).on('error', onGone);
    output.on('resize', onResize).on('error', onGone);
    for (const signal of SIGNALS) process.on(signal, onSignal);
    process.on('exit', onExit);
    input.setRawMode(true);
    output.write(ENTER);
  }

  /** Lines from the top on, the one at `inverse` in inverse video; what was there before is gone. */
  draw(lines: readonly string[], inverse: number): void {
    if (this.#close === undefined) return;
    const { width } = this.size;
    const parts = lines.map((line, index) => {
      const text = index === inverse ? `${INVERSE}${line.padEnd(width)}${PLAIN}` : line;
      // Cleared first: a line as wide as the terminal leaves the cursor on its last character.
      return `\x1b[${index + 1};1H${CLEAR_LINE}${text}`;
    });
    const rest = lines.length < this.size.height ? `\x1b[${lines.length + 1};1H${CLEAR_BELOW}` : '';
    this.#output.write(parts.join('') + rest);
  }

  /** The terminal as it was; more than once is no matter. */
  close(): void {
    const close = this.#close;
    this.#close = undefined;
    close?.();
  }
}
