/**
 * Runs inside the VM: a table of COUNT synthetic connections goes from one host's kernel to another's, once out of
 * /proc/net/ip_vs_conn and once out of a shadow table that heard them. Prints one JSON object (`KernelResult`).
 *
 * Usage: sync-scale.js COUNT [LIMIT_S]; `fill COUNT` and `shadow COUNT` are its helpers.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../../src/drill/lab/lab.js';
import type { Child } from '../../../src/drill/lab/process.js';
import type { Topology } from '../../../src/drill/lab/topology.js';
import { waitFor } from '../../../src/drill/wait.js';
import { GroupListener } from '../../../src/io/sync/group-listener.js';
import { GroupSender, groupOf } from '../../../src/io/sync/group-sender.js';
import { decodeMessage, MessageWriter, type SyncConnection } from '../../../src/sync/message.js';
import { ShadowTable } from '../../../src/sync/shadow-table.js';
import { MAIN } from '../../program.js';
import { syntheticConnection } from '../support/synthetic-connections.js';

export interface KernelResult {
  readonly count: number;
  /** `director sync digest` and `replay`, seconds; undefined: longer than the limit. */
  readonly digestSeconds: number | undefined;
  readonly replaySeconds: number | undefined;
  /** Connections of the receiver's kernel afterwards, and whether its digest is the sender's. */
  readonly arrived: number | undefined;
  readonly isSame: boolean | undefined;
  /** The same out of the shadow; its digest alone. */
  readonly shadowDigestSeconds: number;
  readonly shadowReplaySeconds: number;
  readonly heard: number;
  readonly shadowArrived: number | undefined;
}

const GROUP = { interface: 'eth0', syncid: 51, state: 'master' } as const;
const SYNC = ['--mcast-interface', 'eth0', '--syncid', '51'];
const TABLE = `-A -t 192.0.2.1:80 -s rr
-a -t 192.0.2.1:80 -r 10.0.0.2:80 -m
-a -t 192.0.2.1:80 -r 10.0.0.3:80 -m
`;
const TOPOLOGY: Topology = {
  name: 'nat',
  configFile: 'nat.yaml',
  networks: ['inside'],
  hosts: ['filler', 'lb1', 'lb2', 'lb3'].map((name, index) => ({
    name,
    role: 'director',
    cables: [{ interface: 'eth0', network: 'inside', address: `10.9.9.${index + 1}/24` }],
  })),
  vip: '192.0.2.1',
  port: 80,
};
const SELF = fileURLToPath(import.meta.url);
const { signal } = new AbortController();
const LIMIT = { timeoutMs: 900_000, everyMs: 200, signal };

async function send(connections: Iterable<SyncConnection>): Promise<void> {
  const group = groupOf(GROUP);
  const sender = new GroupSender(group);
  const writer = new MessageWriter(group.syncid, group.maxBytes);
  for (const connection of connections) {
    const full = writer.add(connection);
    if (full !== undefined) await sender.send(full);
  }
  const rest = writer.flush();
  if (rest !== undefined) await sender.send(rest);
  sender.close();
}

function* synthetic(count: number): Generator<SyncConnection> {
  for (let number = 0; number < count; number++) yield syntheticConnection(number, 4);
}

/** Hears, and at each line of stdin tells what it knows and says all of it again. */
async function shadow(): Promise<void> {
  const table = new ShadowTable();
  const now = () => Math.floor(performance.now() / 1000);
  const listener = new GroupListener(
    { interface: 'eth0', group: '224.0.0.81', port: 8848 },
    ({ payload }) => {
      for (const connection of decodeMessage(payload).connections) table.hear(connection, now());
    },
  );
  process.stdout.write('ready\n');
  for (;;) {
    await once(process.stdin, 'data');
    const startMs = performance.now();
    table.digest(now());
    const digestedMs = performance.now();
    await send(table.connections(now()));
    const seconds = (ms: number) => ms / 1000;
    const told = {
      heard: table.size,
      dropped: listener.dropped,
      digestSeconds: seconds(digestedMs - startMs),
      replaySeconds: seconds(performance.now() - digestedMs),
    };
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
}

class Scale {
  readonly #lab = new Lab(TOPOLOGY);
  readonly #count: number;
  readonly #limitMs: number;

  constructor(count: number, limitMs: number) {
    this.#count = count;
    this.#limitMs = limitMs;
  }

  async run(): Promise<KernelResult> {
    const lab = this.#lab;
    await lab.build();
    for (const host of ['lb1', 'lb2', 'lb3']) {
      await lab.run(host, ['ipvsadm', '-R'], TABLE);
      await lab.run(host, ['sysctl', '-q', '-w', 'net.ipv4.vs.sync_sock_size=8388608']);
    }
    const lines: string[] = [];
    const listener = lab.start('lb1', [process.execPath, SELF, 'shadow'], {
      onLine: (line) => lines.push(line),
    });
    await this.#line(lines, 0);
    await lab.run('lb1', ['ipvsadm', '--start-daemon', 'backup', ...SYNC]);
    await lab.run('filler', [process.execPath, SELF, 'fill', String(this.#count)]);
    await lab.run('lb1', ['ipvsadm', '--stop-daemon', 'backup']);
    await lab.run('lb1', ['ipvsadm', '--start-daemon', 'master', ...SYNC]);

    await lab.run('lb3', ['ipvsadm', '--start-daemon', 'backup', ...SYNC]);
    const told = await this.#shadowed(listener, lines);
    const shadowArrived = (await this.#digest('lb3'))?.connections;
    await lab.run('lb3', ['ipvsadm', '--stop-daemon', 'backup']);

    await lab.run('lb2', ['ipvsadm', '--start-daemon', 'backup', ...SYNC]);
    const there = await this.#digest('lb1');
    const replaySeconds = await this.#seconds('lb1', 'replay');
    const here = replaySeconds === undefined ? undefined : await this.#digest('lb2');
    await lab.destroy();
    return {
      count: this.#count,
      digestSeconds: there?.seconds,
      replaySeconds,
      arrived: here?.connections,
      isSame: here && here.text === there?.text,
      shadowDigestSeconds: told.digestSeconds,
      shadowReplaySeconds: told.replaySeconds,
      heard: told.heard,
      shadowArrived,
    };
  }

  async #shadowed(
    listener: Child,
    lines: readonly string[],
  ): Promise<{ heard: number; digestSeconds: number; replaySeconds: number }> {
    listener.write('now\n');
    return JSON.parse(await this.#line(lines, 1));
  }

  async #line(lines: readonly string[], index: number): Promise<string> {
    await waitFor('the shadow', async () => (lines.length > index ? undefined : 'no line'), LIMIT);
    return lines[index] ?? '';
  }

  async #digest(host: string): Promise<{ seconds: number; connections: number; text: string } | undefined> {
    const startMs = performance.now();
    const text = await this.#sync(host, 'digest');
    if (text === undefined) return undefined;
    const { counts }: { counts: number[] } = JSON.parse(text);
    const connections = counts.reduce((sum, one) => sum + one, 0);
    return { seconds: (performance.now() - startMs) / 1000, connections, text };
  }

  async #seconds(host: string, what: string): Promise<number | undefined> {
    const startMs = performance.now();
    const text = await this.#sync(host, what);
    return text === undefined ? undefined : (performance.now() - startMs) / 1000;
  }

  /** Undefined where it takes longer than the limit. */
  async #sync(host: string, what: string): Promise<string | undefined> {
    const seconds = String(Math.ceil(this.#limitMs / 1000));
    const command = ['timeout', seconds, process.execPath, MAIN, 'sync', what, '--json'];
    return this.#lab.run(host, command).catch((error: Error) => {
      if (/status 124/.test(error.message)) return undefined;
      throw error;
    });
  }
}

const [mode = '', argument = '120'] = process.argv.slice(2);
if (mode === 'fill') await send(synthetic(Number(argument)));
else if (mode === 'shadow') await shadow();
else {
  const result = await new Scale(Number(mode), 1000 * Number(argument)).run();
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
