/** Finds running processes by name in /proc. */
import { readFileSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';

/** Processes that one search looks at. */
const MAX_PROCESSES = 65_536;
/** Processes whose state a search reads in one turn of the event loop; each takes some 20 µs. */
export const MAX_STATES_A_TURN = 64;
/** Names whose process is remembered. */
const MAX_REMEMBERED = 1024;
/** TASK_COMM_LEN of the kernel, less the terminating zero. */
const MAX_COMM_BYTES = 15;
/** Of a command line, for its first argument (PATH_MAX). */
const MAX_ARGV0_BYTES = 4096;

/**
 * `undefined`: the process ended meanwhile. Read at once, unlike the command line: the kernel makes it up from memory
 * without waiting for the process, and libuv's threads would cost many times that.
 */
function comm(proc: string, pid: string): string | undefined {
  try {
    // proc_pid_stat(5): pid (comm) state ...; comm itself may hold blanks and brackets.
    const stat = readFileSync(`${proc}/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const state = stat.charAt(end + 2);
    // A zombie or a dead process runs no more, and keeps its name.
    if (end < 0 || state === 'Z' || state === 'X' || state === 'x') return undefined;
    return Buffer.from(stat.slice(stat.indexOf('(') + 1, end), 'latin1').toString('utf8');
  } catch {
    return undefined;
  }
}

async function argv0(proc: string, pid: string): Promise<string | undefined> {
  try {
    const file = await open(`${proc}/${pid}/cmdline`);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_ARGV0_BYTES), 0, MAX_ARGV0_BYTES, 0);
      return buffer.toString('utf8', 0, bytesRead).split('\0')[0];
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

function isOneOf(names: ReadonlySet<string>, found: string): boolean {
  return names.has(found) && Buffer.byteLength(found) <= MAX_COMM_BYTES;
}

export class ProcessTable {
  readonly #proc: string;
  readonly #nextTurn: () => Promise<unknown>;
  /** Ids of the processes found last, by name. */
  readonly #remembered = new Map<string, string>();
  /** Names that the next search looks for. */
  #wanted = new Set<string>();
  #next: Promise<ReadonlyMap<string, string>> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param proc where procfs is
   * @param nextTurn resolves in the next turn of the event loop
   */
  constructor(proc = '/proc', nextTurn: () => Promise<unknown> = () => setImmediate()) {
    this.#proc = proc;
    this.#nextTurn = nextTurn;
  }

  /**
   * Whether a process of this name runs: its comm, or the base name of its argv[0]. This process does not count. The
   * one found last is looked at first; only when it is gone all are searched, once for all the names that wait.
   * Does not come back while the kernel holds a process's memory map locked.
   * @throws when /proc cannot be read
   */
  async has(name: string): Promise<boolean> {
    const last = this.#remembered.get(name);
    if (last !== undefined && (await this.#is(last, name))) return true;
    this.#remembered.delete(name);
    const found = (await this.#soon(name)).get(name);
    if (found !== undefined && this.#remembered.size < MAX_REMEMBERED) this.#remembered.set(name, found);
    return found !== undefined;
  }

  /** One search at a time, so that a hanging one holds one of libuv's few threads and not all. */
  #soon(name: string): Promise<ReadonlyMap<string, string>> {
    this.#wanted.add(name);
    if (this.#next !== undefined) return this.#next;
    const next = this.#last.then(() => {
      const names = this.#wanted;
      this.#wanted = new Set();
      this.#next = undefined;
      return this.#search(names);
    });
    this.#next = next;
    this.#last = next.catch(() => {});
    return next;
  }

  async #is(pid: string, name: string): Promise<boolean> {
    const found = comm(this.#proc, pid);
    if (found === undefined) return false;
    return isOneOf(new Set([name]), found) || (await this.#baseName(pid)) === name;
  }

  /** Undefined for a kernel thread, which has no command line. */
  async #baseName(pid: string): Promise<string | undefined> {
    const first = await argv0(this.#proc, pid);
    return first === undefined || first === '' ? undefined : basename(first);
  }

  /** Looks at the names of all processes before it looks at their command lines, which cost more. */
  async #search(names: Set<string>): Promise<ReadonlyMap<string, string>> {
    const own = String(process.pid);
    const all = (await readdir(this.#proc)).filter((entry) => /^\d+$/.test(entry) && entry !== own);
    if (all.length > MAX_PROCESSES) throw new Error(`there are more than ${MAX_PROCESSES} processes`);
    const found = new Map<string, string>();
    const take = (name: string, pid: string): void => {
      names.delete(name);
      found.set(name, pid);
    };
    const alive: string[] = [];
    for (const [position, pid] of all.entries()) {
      if (names.size === 0) return found;
      if (position > 0 && position % MAX_STATES_A_TURN === 0) await this.#nextTurn();
      const name = comm(this.#proc, pid);
      if (name === undefined) continue;
      alive.push(pid);
      if (isOneOf(names, name)) take(name, pid);
    }
    for (const pid of alive) {
      if (names.size === 0) return found;
      const name = await this.#baseName(pid);
      if (name !== undefined && names.has(name)) take(name, pid);
    }
    return found;
  }
}
