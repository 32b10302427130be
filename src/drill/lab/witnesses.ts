/** The drill's witnesses: a probe in the client's namespace, and the kernel's own word on addresses. */
import { access, constants, open, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Lab } from './lab.js';
import { type AddressChange, type ProbeResult, parseAddressLine, parseProbe } from './observations.js';
import { type Child, stopChild } from './process.js';

/** An answer later than this counts as lost; longer than any round trip in the lab. */
const ANSWER_TIMEOUT_MS = 1000;

const NICE = ['nice', '-n', '-20'];
const REAL_TIME = ['chrt', '--rr', '20'];

async function isInstalled(program: string): Promise<boolean> {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const found = await Promise.all(
    places.map((place) =>
      access(join(place, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

/**
 * What the command of a witness begins with, which must not wait for what it measures: the directors' real-time
 * priority (10) is above that of everybody else, on processors that the hosts of a lab share and real ones do not.
 */
export function firstOfAll(lab: Lab, host: string): Promise<readonly string[]> {
  firstInLine ??= lab.run(host, [...REAL_TIME, 'true']).then(
    () => REAL_TIME,
    // Not permitted here, and then not to the directors either.
    () => NICE,
  );
  return firstInLine;
}

/** The answer is the same for every host of this kernel, and the question costs an emulated processor a while. */
let firstInLine: Promise<readonly string[]> | undefined;

/**
 * fping where it is installed: iputils' ping spins on a processor when its interval is below 10 ms, which under
 * emulation takes half the machine from what is measured, and at real-time priority all of it.
 */
async function probeCommand(lab: Lab, host: string, address: string, intervalMs: number): Promise<string[]> {
  if (!(await isInstalled('fping'))) {
    return [...NICE, 'ping', '-D', '-n', '-i', String(intervalMs / 1000), address];
  }
  const [every, limit] = [String(intervalMs), String(ANSWER_TIMEOUT_MS)];
  const fping = ['fping', '-D', '-l', '-i', '1', '-p', every, '-t', limit, address];
  return [...(await firstOfAll(lab, host)), ...fping];
}

/** Pings an address until it is stopped. The output goes to a file, so that reading it disturbs nothing. */
export class Probe {
  readonly #child: Child;
  readonly #file: string;
  readonly #errors: string[];

  private constructor(child: Child, file: string, errors: string[]) {
    this.#child = child;
    this.#file = file;
    this.#errors = errors;
  }

  static async start(
    lab: Lab,
    host: string,
    address: string,
    intervalMs: number,
    file: string,
  ): Promise<Probe> {
    const command = await probeCommand(lab, host, address, intervalMs);
    const output = await open(file, 'w');
    const errors: string[] = [];
    try {
      const child = lab.start(host, command, {
        outputFd: output.fd,
        onErrorLine: (line) => {
          if (line.includes('xmt/rcv')) {
            errors.push(line);
          }
        },
      });
      return new Probe(child, file, errors);
    } finally {
      await output.close();
    }
  }

  /** What it has seen until now. */
  async soFar(): Promise<ProbeResult> {
    return parseProbe(await readFile(this.#file, 'utf8'), '');
  }

  async stop(): Promise<ProbeResult> {
    await stopChild(this.#child, 'SIGINT');
    return parseProbe(await readFile(this.#file, 'utf8'), this.#errors.join('\n'));
  }
}

/** Reports every address that comes to or goes from a host, as the kernel sees it; not that its lifetime is renewed. */
export function watchAddresses(lab: Lab, host: string, onChange: (change: AddressChange) => void): Child {
  const held = new Map<string, boolean>();
  return lab.start(host, ['ip', '-o', '-ts', 'monitor', 'address'], {
    environment: { ...process.env, TZ: 'UTC' },
    onLine: (line) => {
      const change = parseAddressLine(host, line);
      if (change === undefined) return;
      const place = `${change.address} ${change.interface}`;
      if (held.get(place) === change.held) return;
      held.set(place, change.held);
      onChange(change);
    },
  });
}
