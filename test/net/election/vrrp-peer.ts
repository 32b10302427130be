/**
 * The other end of a VRRP channel: a process of its own, because a network namespace belongs to a process.
 * It imports no test runner, which would take it for a test and speak on its channel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { vrrpTransportOpener } from '../../../src/io/vrrp/transport.js';
import type { VrrpChannel } from '../../../src/runtime/ports.js';

/** What one end received, with the payload as hex. */
export interface Heard {
  readonly payload: string;
  readonly source: string;
  readonly destination: string;
  readonly ttl: number | undefined;
  readonly minTtl?: number | undefined;
  readonly rejected?: string | undefined;
}

/** The first message of the process. */
interface Ready {
  readonly ready: true;
}

interface Order {
  readonly payload: string;
}

/** A second host: a namespace that lives as long as its process. */
export class OtherHost {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async start(): Promise<OtherHost> {
    // `cat` ends with its input, so nothing is left behind whatever becomes of the test.
    const holder = spawn(
      'unshare',
      ['--net', '--mount', 'sh', '-c', 'mount -t sysfs sysfs /sys; echo up; cat'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    await once(holder.stdout, 'data');
    return new OtherHost(holder);
  }

  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** An argument vector that runs within. */
  argv(command: string): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, ...command.split(' ')];
  }

  stop(): void {
    this.#holder.stdin?.end();
  }
}

/** Speaks and listens on `channel` in the other host. */
export class Peer {
  readonly heard: Heard[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: Heard | Ready) => {
      if (!('ready' in message)) this.heard.push(message);
    });
  }

  static async open(host: OtherHost, channel: VrrpChannel): Promise<Peer> {
    const [command = '', ...argv] = host.argv(`${process.execPath} ${fileURLToPath(import.meta.url)}`);
    const child = spawn(command, [...argv, JSON.stringify(channel)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const peer = new Peer(child);
    await once(child, 'message');
    return peer;
  }

  /** Sends to all of the channel's destinations. */
  send(payload: Uint8Array): void {
    const order: Order = { payload: Buffer.from(payload).toString('hex') };
    this.#child.send(order);
  }

  close(): void {
    this.#child.disconnect();
  }
}

/** The process of `Peer.open`. */
function main(channel: VrrpChannel): void {
  const tell = (message: Heard | Ready): void => {
    process.send?.(message);
  };
  const transport = vrrpTransportOpener(() => [])(
    channel,
    ({ payload, ...rest }) => tell({ ...rest, payload: Buffer.from(payload).toString('hex') }),
    (error) => console.error(error),
  );
  process.on('message', ({ payload }: Order) => {
    const bytes = Buffer.from(payload, 'hex');
    transport.send(transport.destinations.map((destination) => ({ payload: bytes, destination })));
  });
  process.on('disconnect', () => transport.close());
  tell({ ready: true });
}

const [, file, settings] = process.argv;
if (file === fileURLToPath(import.meta.url) && settings !== undefined) main(JSON.parse(settings));
