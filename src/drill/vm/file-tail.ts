import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const READ_BYTES = 64 * 1024;
/** What is kept of a program's output; what comes after it still goes out by lines. */
const KEPT_CHARACTERS = 16 * 1024 * 1024;

/** Reads on in a file that another process appends to. */
export class FileTail {
  private readonly path: string;
  private readonly onLine: ((line: string) => void) | undefined;
  private readonly decoder = new StringDecoder('utf8');
  private readonly kept: string[] = [];
  private keptCharacters = 0;
  private offset = 0;
  private rest = '';

  constructor(path: string, onLine: ((line: string) => void) | undefined) {
    this.path = path;
    this.onLine = onLine;
  }

  /** Takes what was added since; a file that is not there yet has nothing. */
  read(): void {
    let file: number;
    try {
      file = openSync(this.path, 'r');
    } catch {
      return;
    }
    try {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      for (let got = readSync(file, buffer, 0, READ_BYTES, this.offset); got > 0; ) {
        this.offset += got;
        this.take(this.decoder.write(buffer.subarray(0, got)));
        got = readSync(file, buffer, 0, READ_BYTES, this.offset);
      }
    } finally {
      closeSync(file);
    }
  }

  /** Reads to the end, hands out a last line without a newline, and returns everything. */
  finish(): string {
    this.read();
    this.take(this.decoder.end());
    if (this.rest !== '') this.onLine?.(this.rest);
    this.rest = '';
    return this.kept.join('');
  }

  private take(text: string): void {
    if (this.keptCharacters < KEPT_CHARACTERS) {
      this.kept.push(text);
      this.keptCharacters += text.length;
    }
    if (this.onLine === undefined) return;
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.onLine(line);
  }
}
