import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { monotonicClock } from '../../../src/io/host/clock.js';
import { openNotifier } from '../../../src/io/operator/sd-notify.js';
import type { IpMessageInfo } from '../../../src/io/sockets/ip-socket.js';
import { native } from '../../../src/io/sockets/native.js';
import { ETH_P_ALL, PacketSocket } from '../../../src/io/sockets/packet-socket.js';
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';
import { UnixDgramSocket } from '../../../src/io/sockets/unix-dgram-socket.js';
import { openAnnouncer } from '../../../src/io/vrrp/announcer.js';
import { vrrpTransportOpener } from '../../../src/io/vrrp/transport.js';
import type { ReceivedVrrp } from '../../../src/runtime/ports.js';
import { ipv4Payload } from '../../../src/vrrp/ipv4-header.js';
import { inNamespace, run, until } from './helpers.js';

function main(): void {
  void t.test('raw IPv4: TTL, interface, addresses and receive time come with the message', async (t) => {
    const a = new RawSocket({ type: 'raw4', protocol: 112 });
    const b = new RawSocket({ type: 'raw4', protocol: 112 });
    t.teardown(() => {
      a.close();
      b.close();
    });
    a.bindToDevice('va');
    a.setMulticastInterface('va', '10.9.0.1');
    a.setMulticastTTL(17);
    b.bindToDevice('vb');
    b.addMembership('224.0.0.18', 'vb');
    b.bind();
    await once(b, 'listening');
    const before = monotonicClock.nowMs();
    a.send(Buffer.from('abc'), '224.0.0.18');
    // Held up on purpose: the stamp must be of the arrival, not of the reading.
    while (monotonicClock.nowMs() < before + 300);
    const readFromMs = monotonicClock.nowMs();
    const [packet, info]: [Buffer, IpMessageInfo] = await new Promise((resolve) =>
      b.once('message', (packet, info) => resolve([packet, info])),
    );
    t.equal(Buffer.from(ipv4Payload(packet) ?? []).toString(), 'abc');
    t.match(info, { address: '10.9.0.1', destination: '224.0.0.18', hopLimit: 17 });
    t.equal(info.interfaceIndex, native().interfaceInfo('vb').index);
    t.ok(
      info.receivedAtMs >= before - 5 && info.receivedAtMs < readFromMs,
      `${info.receivedAtMs - before} ms`,
    );
  });

  void t.test('raw IPv6: hop limit and interface', async (t) => {
    const a = new RawSocket({ type: 'raw6', protocol: 112 });
    const b = new RawSocket({ type: 'raw6', protocol: 112 });
    t.teardown(() => {
      a.close();
      b.close();
    });
    run('ip', '-6', 'address', 'add', 'fd00:9::1/64', 'dev', 'va', 'nodad');
    a.setMulticastInterface('va');
    a.setMulticastTTL(255);
    b.bindToDevice('vb');
    b.addMembership('ff02::12', 'vb');
    b.bind();
    const received: IpMessageInfo[] = [];
    b.on('message', (_, info) => received.push(info));
    // The link-local address may still be tentative (RFC 4862 section 5.4).
    await until(() => {
      a.send(Buffer.from('abcd'), 'ff02::12', native().interfaceInfo('va').index);
      return received.length > 0;
    }, 'a message');
    t.match(received[0], { destination: 'ff02::12', hopLimit: 255, size: 4 });
    t.equal(received[0]?.interfaceIndex, native().interfaceInfo('vb').index);
  });

  void t.test('drain delivers at once, in order, what is queued', async (t) => {
    const path = '@lvs-director-test-drain';
    const receiver = new UnixDgramSocket().bind(path);
    const sender = new UnixDgramSocket();
    t.teardown(() => {
      receiver.close();
      sender.close();
    });
    const got: string[] = [];
    receiver.on('message', (message) => {
      got.push(message.toString());
      // One that comes while the others are being delivered has its turn after them.
      if (got.length === 1) sender.send(Buffer.from('8'), path);
      receiver.drain();
    });
    for (let i = 0; i < 8; i++) sender.send(Buffer.from(`${i}`), path);
    t.same(got, []);
    receiver.drain();
    t.same(got, ['0', '1', '2', '3', '4', '5', '6', '7', '8']);
  });

  void t.test('unix datagrams: paths, abstract names and the kernel’s errors', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'lvs-director-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'a');
    const a = new UnixDgramSocket().bind(path);
    const b = new UnixDgramSocket().bind('@lvs-director-test-b');
    const got: string[] = [];
    a.on('message', (message, info) => got.push(`${info.address} ${message.toString()}`));
    b.on('message', (message, info) => got.push(`${info.address} ${message.toString()}`));
    a.send(Buffer.from('to b'), '@lvs-director-test-b');
    b.send(Buffer.from('to a'), path);
    b.send(Buffer.alloc(0), path);
    await until(() => got.length === 3, 'three messages');
    t.same(new Set(got), new Set([`${path} to b`, '@lvs-director-test-b to a', '@lvs-director-test-b ']));
    t.throws(() => a.send(Buffer.from('x'), join(folder, 'none')), { code: 'ENOENT', syscall: 'sendmsg' });
    t.throws(() => new UnixDgramSocket().bind(path), { code: 'EADDRINUSE', syscall: 'bind' });
    t.throws(() => a.send(Buffer.from('x'), 'x'.repeat(108)), { code: 'ERR_SOCKET_ADDRESS' });
    a.close();
    b.close();
    await once(b, 'close');
    t.throws(() => a.send(Buffer.from('x'), path), { code: 'ERR_SOCKET_CLOSED' });
    a.drain();
    a.close();
  });

  void t.test('a link that goes down is an error event, and the socket goes on afterwards', async (t) => {
    run('ip', 'link', 'add', 'vc', 'type', 'veth', 'peer', 'name', 'vd');
    run('ip', 'link', 'set', 'vc', 'up');
    run('ip', 'link', 'set', 'vd', 'up');
    const socket = new PacketSocket({ type: 'frame' }).bind('vd', ETH_P_ALL);
    const sender = new PacketSocket({ type: 'frame' });
    t.teardown(() => {
      socket.close();
      sender.close();
    });
    const codes: unknown[] = [];
    const sources: string[] = [];
    socket.on('error', (error) => codes.push('code' in error ? error.code : error));
    socket.on('message', (frame) => sources.push(frame.toString('hex', 6, 12)));
    run('ip', 'link', 'set', 'vd', 'down');
    await until(() => codes.length > 0, 'an error');
    t.equal(codes[0], 'ENETDOWN');
    run('ip', 'link', 'set', 'vd', 'up');
    await until(() => {
      sender.send(Buffer.from(`ffffffffffff02000000000188b5${'00'.repeat(46)}`, 'hex'), 'vc', 0x88b5);
      return sources.includes('020000000001');
    }, 'a frame after the link came back');
    t.equal(codes.length, 1);
  });

  void t.test('VRRP transport: what leaves, what arrives, what is passed over', async (t) => {
    run('ip', 'address', 'add', '10.9.0.253/24', 'dev', 'va');
    const gotA: ReceivedVrrp[] = [];
    const gotB: ReceivedVrrp[] = [];
    const fail = (error: Error): void => {
      t.fail(error.message);
    };
    const open = vrrpTransportOpener(() => ['10.9.0.253', '10.9.0.254']);
    const channel = (name: string) =>
      ({
        interface: name,
        family: 'ipv4',
        transport: { kind: 'multicast' },
        virtualMacInterface: undefined,
      }) as const;
    const a = open(channel('va'), (message) => gotA.push(message), fail);
    const b = open(channel('vb'), (message) => gotB.push(message), fail);
    t.teardown(() => {
      a.close();
      b.close();
      run('ip', 'address', 'del', '10.9.0.253/24', 'dev', 'va');
    });
    t.equal(a.source, '10.9.0.1');
    a.send([{ payload: Buffer.from('hello'), destination: '224.0.0.18' }]);
    b.drain();
    t.equal(gotB.length, 1, 'drained without a turn of the event loop');
    t.match(gotB[0], { source: '10.9.0.1', destination: '224.0.0.18', ttl: 255 });
    t.equal(Buffer.from(gotB[0]?.payload ?? []).toString(), 'hello');
    a.drain();
    t.same(gotA, [], 'no own packet');
    t.throws(() => open(channel('nope0'), () => {}, fail), { code: 'ERR_NO_INTERFACE_ADDRESS' });
    t.throws(() => vrrpTransportOpener(() => ['10.9.0.1', '10.9.0.253'])(channel('va'), () => {}, fail), {
      code: 'ERR_NO_INTERFACE_ADDRESS',
    });
  });

  void t.test('gratuitous ARP as tcpdump reads it', async (t) => {
    const tcpdump = spawn('tcpdump', ['-Z', 'root', '-i', 'vb', '-e', '-vv', '-n', '-l', '-c', '2', 'arp'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let ready = '';
    tcpdump.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    tcpdump.stderr.on('data', (chunk: Buffer) => (ready += chunk.toString()));
    await until(() => ready.includes('listening on vb'), 'tcpdump listens');
    const errors: Error[] = [];
    const announcer = openAnnouncer((error) => errors.push(error));
    const vip = { prefixLength: 24, interface: 'va' };
    announcer.announce([
      { ...vip, address: '10.9.0.253' },
      { address: '10.9.0.77', prefixLength: 32, interface: 'nope0' },
      { address: '10.9.0.78', prefixLength: 32, interface: 'lo' },
      { ...vip, address: '10.9.0.254' },
    ]);
    await once(tcpdump, 'close');
    announcer.close();
    const mac = native()
      .interfaceInfo('va')
      .hardwareAddress.toString('hex')
      .replaceAll(/(..)(?!$)/g, '$1:');
    const lines = text.split('\n').filter((line) => line !== '');
    t.equal(lines.length, 2);
    for (const [i, address] of ['10.9.0.253', '10.9.0.254'].entries()) {
      t.match(lines[i], `${mac} > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 60`);
      t.match(lines[i], /Request who-has (\S+) tell \1, length 46/);
      t.match(lines[i], `who-has ${address} tell`);
    }
    t.match(errors, [{ code: 'ERR_ANNOUNCE', cause: { code: 'ENODEV' } }]);
    t.equal(errors.length, 1);
  });

  void t.test('sd_notify', async (t) => {
    const manager = new UnixDgramSocket().bind('@lvs-director-test-notify');
    const errors: Error[] = [];
    t.teardown(() => manager.close());
    const notifier = openNotifier((error) => errors.push(error), {
      NOTIFY_SOCKET: '@lvs-director-test-notify',
      WATCHDOG_USEC: '1500000',
      WATCHDOG_PID: String(process.pid),
    });
    t.equal(notifier.watchdogMs, 1500);
    const got: string[] = [];
    manager.on('message', (message) => got.push(message.toString()));
    notifier.notify('READY=1\nSTATUS=master');
    manager.drain();
    t.same(got, ['READY=1\nSTATUS=master']);
    const lost = openNotifier((error) => errors.push(error), { NOTIFY_SOCKET: '/nonexistent/notify' });
    lost.notify('READY=1');
    t.match(errors, [{ cause: { code: 'ENOENT' } }]);
    const none = openNotifier((error) => errors.push(error), { WATCHDOG_USEC: '5', WATCHDOG_PID: '1' });
    none.notify('READY=1');
    t.equal(none.watchdogMs, undefined);
    t.equal(errors.length, 1);
  });
}

if (inNamespace(import.meta.url)) main();
