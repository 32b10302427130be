/** One case from start to end: each side in each role, and both directions of a planned failover and of a crash. */
import { type Bench, instanceOf, pause, type RunningDirector, settled, stop } from '../net/daemons.js';
import { type InteropCase, isVirtual } from './cases.js';
import { ourFile } from './our-file.js';
import { OWN_ADDRESSES, type Peer, type StartPeer, VIRTUAL_ADDRESSES, VIRTUAL_MACS } from './peer.js';

/** Lines of each side's log that a failure quotes. */
const LAST_WORDS = 12;

/** Each is one cell of the table: milliseconds from the signal until the other side says that it is master. */
export const FAILOVERS = ['ours stops', 'peer stops', 'ours is killed', 'peer is killed'] as const;
export type Failover = (typeof FAILOVERS)[number];

export interface CaseResult {
  readonly case: InteropCase;
  readonly takeoverMs: Partial<Record<Failover, number>>;
  /** Lines in which one side finds fault with the other's packets. */
  readonly complaints: readonly string[];
  /** Undefined: all of it worked. */
  readonly failure: string | undefined;
}

/** Link-local addresses that are known beforehand, and no duplicate address detection under way. */
async function prepareHosts(bench: Bench): Promise<void> {
  await bench.lab.run('client', ['ip', 'addr', 'add', 'fd00:7::100/64', 'dev', 'eth0', 'nodad']);
  for (const host of ['lb1', 'lb2'] as const) {
    const address = `${OWN_ADDRESSES.ipv6[host]}/64`;
    await bench.lab.run(host, ['ip', 'addr', 'add', address, 'dev', 'eth0', 'nodad']);
    await bench.ipv6Usable(host);
  }
}

class Course {
  readonly takeoverMs: Partial<Record<Failover, number>> = {};
  readonly complaints: string[] = [];
  readonly #bench: Bench;
  readonly #case: InteropCase;
  readonly #startPeer: StartPeer;
  /** Some intervals: long enough for a role to move if it wanted to. */
  readonly #quietMs: number;
  #ours: RunningDirector | undefined;
  #peer: Peer | undefined;

  constructor(bench: Bench, which: InteropCase, startPeer: StartPeer) {
    this.#bench = bench;
    this.#case = which;
    this.#startPeer = startPeer;
    this.#quietMs = Math.max(1000, 4 * which.intervalMs);
  }

  async run(): Promise<void> {
    await prepareHosts(this.#bench);
    let ours = await this.#startOurs('master');
    let peer = await this.#startBackupPeer(ours);

    await this.#failover('ours stops', () => stop(ours), peer);
    ours = await this.#startOurs('backup');
    this.#hear(peer);

    await this.#ourTurn('peer stops', () => peer.stop(), ours);
    peer = await this.#startBackupPeer(ours);
    await this.#listen(ours);

    await this.#failover('ours is killed', async () => ours.child.kill('SIGKILL'), peer);
    ours = await this.#startOurs('backup');
    await this.#listen(ours);
    this.#hear(peer);

    await this.#ourTurn('peer is killed', () => peer.kill(), ours);
    await this.#listen(ours);
    await stop(ours);
  }

  /** The last words of both sides, for a failure. */
  lastWords(): string {
    const ours = (this.#ours?.log ?? []).filter((line) => line.event !== undefined).map(({ msg }) => msg);
    const last = (lines: readonly string[]) => lines.slice(-LAST_WORDS).join('\n    ');
    return `\n  ours:\n    ${last(ours)}\n  peer:\n    ${last(this.#peer?.output ?? [])}`;
  }

  async #startOurs(state: 'master' | 'backup'): Promise<RunningDirector> {
    const ours = await this.#bench.start('lb1', ourFile(this.#case, 'ours'));
    this.#ours = ours;
    await settled(`our director is ${state}`, async () => {
      const instance = await instanceOf(ours);
      return instance.state === state && instance.master !== null;
    });
    if (state === 'master') await this.#reached('ours');
    if (state === 'backup') {
      await pause(this.#quietMs);
      await this.#expectOurs(ours, 'backup');
    }
    return ours;
  }

  /** Starts the peer beside our master, which must stay that. */
  async #startBackupPeer(ours: RunningDirector): Promise<Peer> {
    const peer = await this.#startPeer(this.#bench, this.#case);
    this.#peer = peer;
    await pause(this.#quietMs);
    if (peer.state !== 'backup') throw new Error(`the peer is ${peer.state} beside our master`);
    await this.#expectOurs(ours, 'master');
    return peer;
  }

  async #expectOurs(ours: RunningDirector, state: string): Promise<void> {
    const instance = await instanceOf(ours);
    if (instance.state !== state) throw new Error(`our director is ${instance.state} and not ${state}`);
  }

  async #failover(name: Failover, fault: () => Promise<unknown>, peer: Peer): Promise<void> {
    const startMs = performance.now();
    const done = fault();
    await settled(`${name}: the peer takes over`, () => peer.state === 'master');
    this.takeoverMs[name] = Math.round(performance.now() - startMs);
    await done;
    await settled(`${name}: our addresses are gone`, async () => !(await this.#held('lb1')));
    await this.#reached('peer');
  }

  async #ourTurn(name: Failover, fault: () => Promise<unknown>, ours: RunningDirector): Promise<void> {
    const startMs = performance.now();
    const done = fault();
    await settled(`${name}: ours takes over`, async () => (await instanceOf(ours)).state === 'master');
    this.takeoverMs[name] = Math.round(performance.now() - startMs);
    await done;
    await settled(`${name}: our addresses are there`, () => this.#held('lb1'));
    await this.#reached('ours');
  }

  /** Whether a host holds the last of the virtual addresses. */
  async #held(host: string): Promise<boolean> {
    const address = VIRTUAL_ADDRESSES[this.#case.family].at(-1) ?? '';
    return (await this.#bench.lab.run(host, ['ip', '-o', 'addr', 'show'])).includes(` ${address} `);
  }

  /** A client reaches the last of the virtual addresses, by the virtual MAC address or another one as that side has it. */
  async #reached(side: 'ours' | 'peer'): Promise<void> {
    if (this.#case.virtualMac === 'none') return;
    const { family } = this.#case;
    const address = VIRTUAL_ADDRESSES[family].at(-1)?.replace(/\/.*/, '') ?? '';
    const client = (...command: string[]) => this.#bench.lab.run('client', command);
    let entry = '';
    await settled(
      () => `the client reaches ${address} on the side of ${side}; it has: ${entry}`,
      async () => {
        const answer = await client('ping', '-n', '-c1', '-W1', address).catch(() => undefined);
        entry = await client('ip', 'neigh', 'show', address, 'dev', 'eth0');
        return answer !== undefined && entry.includes(VIRTUAL_MACS[family]) === isVirtual(this.#case, side);
      },
    );
  }

  #hear(peer: Peer): void {
    this.complaints.push(...peer.complaints().map((line) => `peer: ${line}`));
  }

  async #listen(ours: RunningDirector): Promise<void> {
    const { counters } = await instanceOf(ours);
    const discarded = Object.entries(counters).filter(([name]) => name.startsWith('discarded'));
    this.complaints.push(...discarded.map(([name, n]) => `ours: ${name} ${n}`));
  }
}

/** Never rejects: what went wrong is in the result. */
export async function runCase(bench: Bench, which: InteropCase, startPeer: StartPeer): Promise<CaseResult> {
  const course = new Course(bench, which, startPeer);
  let failure: string | undefined;
  try {
    await course.run();
  } catch (error) {
    failure = `${error instanceof Error ? error.message : String(error)}${course.lastWords()}`;
  }
  const { takeoverMs, complaints } = course;
  return { case: which, takeoverMs, complaints: [...new Set(complaints)], failure };
}
