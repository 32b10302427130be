import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { native, nativeFile } from '../../../src/io/sockets/native.js';
import { encodeDisarm, encodeOrders } from '../../../src/io/vrrp/guardian-orders.js';
import { vrrpTransportOpener } from '../../../src/io/vrrp/transport.js';
import type { GuardianOrders, VrrpTransport } from '../../../src/runtime/ports.js';
import { encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { inNamespace, run, until } from './helpers.js';

const VRID = 51;
const GROUP = '224.0.0.18';
const VIPS = ['10.9.0.253', '10.9.0.254'];

function advertisement(virtualRouterId: number, priority: number): Uint8Array {
  const content = { version: 3, family: 'ipv4', virtualRouterId, priority, addresses: VIPS } as const;
  const addressing = { checksum: 'rfc9568', source: '10.9.0.2', destination: GROUP } as const;
  return encodeAdvertisement({ ...content, advertisementIntervalMs: 1000 }, addressing);
}

function ordersWith(holdMs: number, leaseMs = 0): GuardianOrders {
  return {
    farewells: [
      {
        interface: 'va',
        sendInterface: 'va',
        source: '10.9.0.1',
        destinations: [{ address: GROUP, payload: advertisement(VRID, 0) }],
        udpPort: undefined,
        minTtl: 255,
        virtualRouterId: VRID,
        addresses: VIPS.map((address) => ({ address, prefixLength: 32, interface: 'va' })),
        routes: [],
        rules: [],
      },
    ],
    holdMs,
    leaseMs,
  };
}

const held = (): string[] =>
  VIPS.filter((address) => run('ip', '-4', 'address', 'show', 'dev', 'va').includes(`${address}/32`));

/** True while a process with this id is there and not a zombie. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !run('ps', '-o', 'stat=', '-p', String(pid)).startsWith('Z');
  } catch {
    return false;
  }
}

/** The peer: hears farewells on the other end of the wire and can speak as the successor. */
function openPeer(): { transport: VrrpTransport; farewells: () => number; close: () => void } {
  let count = 0;
  const transport = vrrpTransportOpener(() => [])(
    { interface: 'vb', family: 'ipv4', transport: { kind: 'multicast' }, virtualMacInterface: undefined },
    (message) => {
      const sound = message.ttl === 255 && message.source === '10.9.0.1' && message.payload[1] === VRID;
      if (sound && message.payload[2] === 0) count++;
    },
    (error) => t.fail(error.message),
  );
  return { transport, farewells: () => count, close: () => transport.close() };
}

class Daemon {
  readonly child: ChildProcess;
  readonly lines: string[] = [];

  constructor(orders: GuardianOrders) {
    const farewells = orders.farewells.map((farewell) => ({
      ...farewell,
      destinations: farewell.destinations.map(({ address, payload }) => ({
        address,
        payload: Buffer.from(payload).toString('hex'),
      })),
    }));
    const file = fileURLToPath(new URL('guardian-daemon.js', import.meta.url));
    this.child = spawn(process.execPath, [file, JSON.stringify({ ...orders, farewells })], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.child.stdout?.on('data', (bytes: Buffer) => {
      this.lines.push(
        ...bytes
          .toString()
          .split('\n')
          .filter((line) => line !== ''),
      );
    });
  }

  /** Id of the guardian, once it took orders `times` times. */
  async armed(times = 1): Promise<number> {
    const said = (): string[] => this.lines.filter((line) => line.startsWith('armed '));
    await until(() => said().length >= times, 'the guardian is armed');
    return Number(said().at(-1)?.slice('armed '.length));
  }
}

/** Sends raw bytes to a guardian and gives what it answered and how it ended. */
async function feed(bytes: Buffer): Promise<{ answers: string; code: number | null; words: string }> {
  const child = spawn(nativeFile('guardian'), [], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const link = child.stdio[3];
  if (!(link instanceof Socket)) throw new Error('no pipe');
  let answers = '';
  let words = '';
  link.on('data', (chunk: Buffer) => (answers += chunk.toString()));
  link.on('error', () => {});
  child.stderr?.on('data', (chunk: Buffer) => (words += chunk.toString()));
  link.end(bytes);
  const [code]: (number | null)[] = await once(child, 'close');
  return { answers, code: code ?? null, words };
}

function main(): void {
  t.beforeEach(() => {
    for (const address of VIPS) run('ip', 'address', 'replace', `${address}/32`, 'dev', 'va');
  });

  void t.test('SIGKILL of the daemon: farewell at once, addresses until the successor spoke', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const daemon = new Daemon(ordersWith(30_000));
    const pid = await daemon.armed();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGABRT'] as const) process.kill(pid, signal);
    // From before: says nothing about a successor.
    peer.transport.send([{ payload: advertisement(VRID, 90), destination: GROUP }]);
    daemon.child.kill('SIGKILL');
    await until(() => peer.farewells() === 1, 'a farewell');
    t.same(held(), VIPS, 'the addresses are kept');
    peer.transport.send([{ payload: advertisement(VRID, 0), destination: GROUP }]);
    peer.transport.send([{ payload: advertisement(VRID + 1, 100), destination: GROUP }]);
    peer.transport.send([{ payload: Buffer.from([0x31, VRID]), destination: GROUP }]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.same(held(), VIPS, 'none of these is a successor');
    peer.transport.send([{ payload: advertisement(VRID, 100), destination: GROUP }]);
    await until(() => !alive(pid), 'the guardian ends');
    t.same(held(), [], 'the addresses are removed');
    t.equal(peer.farewells(), 1);
  });

  void t.test('no successor: the addresses go when the hold time is over', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const daemon = new Daemon(ordersWith(200));
    const pid = await daemon.armed();
    run('ip', 'address', 'del', `${VIPS[0]}/32`, 'dev', 'va');
    daemon.child.kill('SIGKILL');
    await until(() => !alive(pid), 'the guardian ends');
    peer.transport.drain();
    t.equal(peer.farewells(), 1);
    t.same(held(), []);
  });

  void t.test('disarm: nothing happens', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const daemon = new Daemon(ordersWith(50));
    const pid = await daemon.armed();
    daemon.child.stdin?.write('disarm\n');
    await once(daemon.child, 'exit');
    await until(() => !alive(pid), 'the guardian ends');
    peer.transport.drain();
    t.equal(peer.farewells(), 0);
    t.same(held(), VIPS);
  });

  void t.test('a frozen daemon: the lease runs out, and the daemon learns of it', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const daemon = new Daemon(ordersWith(30_000, 400));
    const pid = await daemon.armed();
    // Renewed in time it does not act.
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      daemon.child.stdin?.write('renew\n');
    }
    await daemon.armed(5);
    t.equal(peer.farewells(), 0);
    daemon.child.kill('SIGSTOP');
    await until(() => peer.farewells() === 1, 'a farewell');
    t.same(daemon.lines.includes('acted'), false);
    daemon.child.kill('SIGCONT');
    await until(() => daemon.lines.includes('acted'), 'the daemon is told');
    await until(() => !alive(pid), 'the guardian leaves the rest to the daemon');
    t.same(held(), VIPS, 'the addresses are the daemon’s affair again');
    daemon.child.stdin?.write('renew\n');
    t.not(await daemon.armed(6), pid, 'another guardian watches');
    daemon.child.stdin?.write('disarm\n');
    await once(daemon.child, 'exit');
  });

  void t.test('a guardian that is killed is replaced, with the same orders', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const daemon = new Daemon(ordersWith(50));
    const first = await daemon.armed();
    process.kill(first, 'SIGKILL');
    const second = await daemon.armed(2);
    t.not(second, first);
    daemon.child.kill('SIGKILL');
    await until(() => !alive(second), 'the guardian ends');
    peer.transport.drain();
    t.equal(peer.farewells(), 1);
    t.same(held(), []);
  });

  void t.test('malformed frames are refused', async (t) => {
    const peer = openPeer();
    t.teardown(peer.close);
    const index = (name: string): number => native().interfaceInfo(name).index;
    const good = encodeOrders(ordersWith(0), index);
    const header = (length: number, type: number): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(length, 0);
      bytes.writeUInt32LE(type, 4);
      return bytes;
    };

    t.match(await feed(header(0xffff_ffff, 1)), { answers: '', code: 2, words: /malformed frame/ });
    t.match(await feed(header(0, 9)), { answers: '', code: 2 });
    t.match(await feed(header(0, 3)), { answers: 'X', code: 0 }, 'nothing to renew');
    t.match(await feed(Buffer.concat([header(1, 3), Buffer.alloc(1)])), { answers: '', code: 2 });
    t.match(await feed(Buffer.concat([header(1, 2), Buffer.alloc(1)])), { answers: '', code: 2 });
    t.match(await feed(Buffer.alloc(0)), { answers: '', code: 0 });
    t.match(await feed(encodeDisarm()), { answers: '', code: 0 });
    t.match(await feed(good.subarray(0, -1)), { answers: '', code: 0, words: '' }, 'a torn first frame');
    // Every shorter body, framed soundly: the lengths inside do not fit.
    for (let length = 0; length < good.length - 8; length += 7) {
      const body = good.subarray(8, 8 + length);
      const result = await feed(Buffer.concat([header(length, 1), body]));
      t.match(result, { answers: 'X', code: 0, words: /malformed orders/ });
    }
    const longer = Buffer.concat([header(good.length - 7, 1), good.subarray(8), Buffer.alloc(1)]);
    t.match(await feed(longer), { answers: 'X', code: 0 });
    t.equal(peer.farewells(), 0);
    t.same(held(), VIPS);

    const result = await feed(Buffer.concat([good, longer, good.subarray(0, 20)]));
    t.match(result, { answers: 'RXAD', code: 3, words: /the daemon died: 1 of 1 farewells sent/ });
    t.same(held(), [], 'the sound orders stay in force');
  });

  void t.test('an interface that is not there does not spoil the rest', async (t) => {
    const orders = ordersWith(0);
    const index = (name: string): number => native().interfaceInfo(name).index;
    const farewells = orders.farewells.flatMap((farewell) => [
      { ...farewell, interface: 'nope0', sendInterface: 'nope0' },
      farewell,
    ]);
    const result = await feed(encodeOrders({ ...orders, farewells }, index));
    t.match(result, { answers: 'RAD', code: 3, words: /on nope0: No such device[^]*1 of 2 farewells sent/ });
    t.same(held(), []);
  });

  void t.test('a standard error in a file whose file system hangs holds up nothing', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'guardian-'));
    const path = (name: string): string => join(folder, name);
    // A write(2) of our own stands for the file system: to descriptor 2 it waits until a file is gone.
    writeFileSync(path('hangs'), '');
    t.teardown(() => rmSync(folder, { recursive: true }));
    writeFileSync(
      path('hang.c'),
      `#include <sys/syscall.h>
      #include <unistd.h>
      ssize_t write(int fd, const void *bytes, size_t length) {
        while (fd == 2 && access("${path('hangs')}", F_OK) == 0) usleep(10000);
        return syscall(SYS_write, fd, bytes, length);
      }`,
    );
    run('cc', '-shared', '-fPIC', '-o', path('hang.so'), path('hang.c'));
    const words = openSync(path('words'), 'a');
    const child = spawn(nativeFile('guardian'), [], {
      stdio: ['ignore', 'ignore', words, 'pipe'],
      env: { LD_PRELOAD: path('hang.so') },
    });
    t.teardown(() => child.kill('SIGKILL'));
    closeSync(words);
    const orders = ordersWith(0);
    const farewells = orders.farewells.flatMap((farewell) => [
      { ...farewell, interface: 'nope0', sendInterface: 'nope0' },
      farewell,
    ]);
    const link = child.stdio[3];
    if (!(link instanceof Socket)) throw new Error('no pipe');
    link.resume().on('error', () => {});
    link.end(encodeOrders({ ...orders, farewells }, (name) => native().interfaceInfo(name).index));
    await until(() => child.exitCode !== null, 'it acted and ended');
    t.equal(child.exitCode, 3);
    t.same(held(), []);
    t.equal(readFileSync(path('words'), 'utf8'), '');
    rmSync(path('hangs'));
    await until(() => readFileSync(path('words'), 'utf8').includes('nope0'), 'and it is told after all');
  });

  void t.test('orders beyond the limits never leave', async (t) => {
    const orders = ordersWith(0);
    const [farewell] = orders.farewells;
    if (farewell === undefined) throw new Error('no farewell');
    for (const wrong of [
      { ...orders, holdMs: -1 },
      { ...orders, leaseMs: 3_600_001 },
      { ...orders, farewells: Array.from({ length: 513 }, () => farewell) },
      { ...orders, farewells: [{ ...farewell, virtualRouterId: 0 }] },
      { ...orders, farewells: [{ ...farewell, source: 'fe80::1' }] },
      {
        ...orders,
        farewells: [{ ...farewell, destinations: [{ address: GROUP, payload: new Uint8Array(8193) }] }],
      },
      { ...orders, farewells: [{ ...farewell, interface: 'x'.repeat(16) }] },
    ]) {
      t.throws(() => encodeOrders(wrong, () => 1), { code: 'ERR_GUARDIAN_ORDERS' });
    }
  });
}

if (inNamespace(import.meta.url)) main();
