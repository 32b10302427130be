/** Two services processes on one wire: what they tell each other, when one asks for a replay, and what the election hears. */
import t from 'tap';
import type { DirectorConfig, PeerChannel } from '../../../src/config/model.js';
import { NO_PEER_MS, SETTLE_MS } from '../../../src/peer/resync-ask.js';
import type { PeerChannelStatus } from '../../../src/runtime/peer-status.js';
import type { Log } from '../../../src/runtime/ports.js';
import { PeerChannelPart } from '../../../src/runtime/services/peer/peer-channel.js';
import type { TakeDatagram } from '../../../src/runtime/services/peer/peer-ports.js';
import type { Roles } from '../../../src/runtime/services/services-messages.js';
import { HandClock } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';
import { macOf } from './helloes.js';

const ADDRESSES = { lb1: '10.0.0.1', lb2: '10.0.0.2' } as const;
type Name = keyof typeof ADDRESSES;

/** A wire that can be cut. */
class Wire {
  readonly clock = new HandClock();
  readonly ears = new Map<string, TakeDatagram>();
  /** Who hears the datagrams of replays, by name. */
  readonly replayEars = new Map<string, (replay: number) => void>();
  /** Of the ten datagrams of each replay. */
  lost = 0;
  isCut = false;
}

class Host {
  readonly name: Name;
  readonly #wire: Wire;
  readonly told: string[] = [];
  /** With each of these. */
  readonly asOf: number[] = [];
  readonly log: string[] = [];
  part: PeerChannelPart;
  /** In the kernel. */
  connections = 0;
  /** Ever. */
  made = 0;
  replays = 0;
  /** What a replay of this host brings to the other one. */
  onReplay: () => void = () => {};
  replayFails = false;
  replayHangs = false;
  keyFault: string | undefined;
  hasInterface = true;
  #random = 0n;

  constructor(name: Name, wire: Wire) {
    this.name = name;
    this.#wire = wire;
    this.part = this.start();
  }

  start(): PeerChannelPart {
    const wire = this.#wire;
    const own = ADDRESSES[this.name];
    const tell = (_: object, words: string): void => void this.log.push(words);
    const log: Log = { debug: tell, info: tell, warn: tell, error: tell };
    this.part = new PeerChannelPart(
      {
        clock: wire.clock,
        log,
        open: (address, _port, take) => {
          wire.ears.set(address, take);
          return {
            send: (bytes, to) => {
              if (wire.isCut) return;
              // Never within the call, as with a socket.
              queueMicrotask(() => wire.ears.get(to)?.(bytes, own, wire.clock.nowMs()));
            },
            expect: () => {},
            drain: () => {},
            droppedCount: () => 0,
            close: () => void wire.ears.delete(address),
          };
        },
        readKey: async () => {
          if (this.keyFault !== undefined) throw new Error(this.keyFault);
          return macOf('k'.repeat(32));
        },
        random64: () => {
          this.#random += 1n;
          return (BigInt(this.name.charCodeAt(2)) << 32n) + this.#random;
        },
        nowEpochMs: () => 1_790_000_000_000 + wire.clock.nowMs() + (this.name === 'lb2' ? 2500 : 0),
        version: '1.2.3',
        countConnections: async () => ({
          connections: this.connections,
          lasting: this.connections,
          established: this.connections,
          made: this.made,
        }),
        probeGateway: async () => true,
        replay: async ({ signal, replay }) => {
          this.replays += 1;
          while (this.replayHangs) {
            signal.throwIfAborted();
            await new Promise(setImmediate);
          }
          if (this.replayFails) throw new Error('the kernel runs no sync daemon that sends');
          this.onReplay();
          const peer = this.name === 'lb1' ? 'lb2' : 'lb1';
          for (let sent = wire.lost; sent < 10; sent++) wire.replayEars.get(peer)?.(replay);
          return { lasting: this.connections, messages: 10 };
        },
        listenToReplays: (interfaceName, onDatagram) => {
          if (!this.hasInterface) throw new Error(`ENODEV: there is no ${interfaceName}`);
          wire.replayEars.set(this.name, onDatagram);
          return () => void wire.replayEars.delete(this.name);
        },
      },
      {
        syncProgress: ({ complete, text }, asOfMs) => {
          this.told.push(`${complete ? 'complete' : 'waits'}: ${text}`);
          this.asOf.push(asOfMs);
        },
      },
    );
    return this.part;
  }

  config(channel: Partial<PeerChannel> = {}, more: Partial<DirectorConfig> = {}): DirectorConfig {
    const peer = this.name === 'lb1' ? 'lb2' : 'lb1';
    return directorConfig({
      director: this.name,
      instances: [vrrpInstance()],
      connectionSync: { interface: 'eth1', id: 1 },
      peerChannel: {
        address: ADDRESSES[this.name],
        port: 8113,
        keyFile: undefined,
        gateway: undefined,
        peers: [{ name: peer, address: ADDRESSES[peer] }],
        sections: { vrrp: '0000000000000001' },
        ...channel,
      },
      ...more,
    });
  }

  /** As `Services` does it: `isKept` when the backup daemon was found running. */
  async boot(isKept: boolean, config = this.config()): Promise<void> {
    await this.part.configure(config);
    this.part.syncDaemons({ isBackupRunning: true, backupStarts: isKept ? 0 : 1 });
  }

  /** Replays that the other one asked for. */
  get served(): number {
    return this.log.filter((line) => line.startsWith('replays the connection table for')).length;
  }

  role(state: Roles[string]['state'], syncVoidMs?: number): void {
    const isVoid = syncVoidMs === undefined ? {} : { syncVoidMs };
    this.part.roles({ outside: { state, settled: true, ...isVoid } });
  }

  get status(): PeerChannelStatus {
    const status = this.part.peerChannel();
    if (status === undefined) throw new Error('there is no channel');
    return status;
  }
}

/** lb1 is master with connections; lb2 has a replay's fruits. */
async function pair(): Promise<{ wire: Wire; lb1: Host; lb2: Host }> {
  const wire = new Wire();
  const [lb1, lb2] = [new Host('lb1', wire), new Host('lb2', wire)];
  lb1.connections = 1000;
  lb1.onReplay = () => {
    lb2.connections = lb1.connections;
  };
  await lb1.boot(true);
  lb1.role('master');
  return { wire, lb1, lb2 };
}

void t.test('a director that comes from nothing gets its table', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  await lb2.boot(false);
  lb2.role('backup');
  t.match(lb2.status, { table: { complete: false } });
  await wire.clock.advance(1000);
  t.equal(lb1.served, 1);
  t.match(lb2.status, { table: { complete: true } }, 'nothing is waited for that is here');
  await wire.clock.advance(SETTLE_MS + 5000);
  t.same(lb2.told, [
    'waits: waits for a peer that can replay its table',
    'waits: receives the connections of lb1',
    'waits: counts what lb1 has sent: 1000',
    'complete: 1000 of 1000 connections of lb1 are here',
  ]);
  t.match(lb2.status, {
    table: { complete: true, connections: 1000 },
    peers: [
      {
        condition: 'up',
        version: '1.2.3',
        clock_offset_ms: -2500,
        round_trip_ms: 0,
        coverage: { of: 'lb2', percent: 100 },
        complete: true,
      },
    ],
  });
  t.match(lb1.status.peers, [{ coverage: { of: 'lb2', percent: 100 }, clock_offset_ms: 2500 }]);
  t.ok(lb1.log.includes('the clock of lb2 is 2500 ms ahead: synchronise both hosts with NTP'));
  await wire.clock.advance(120_000);
  t.equal(lb1.served, 1);
  t.equal(lb2.told.length, 4, 'nothing more is said');
});

void t.test('a services process that restarts with the table kept asks for nothing', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb2.connections = 1000;
  await lb2.boot(true);
  await wire.clock.advance(10_000);
  lb2.part.close();
  lb2.start();
  await lb2.boot(true);
  await wire.clock.advance(10_000);
  t.equal(lb1.served, 0);
  t.same(lb2.told, ['complete: the table was kept', 'complete: the table was kept']);
  t.match(lb1.status.peers, [{ condition: 'up' }]);
});

void t.test('but where the director stood still before, it asks', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb2.connections = 1000;
  lb2.role('backup', 5000);
  await lb2.boot(true);
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 1);
  t.match(lb2.told.at(-1), /^complete: 1000 of 1000/);
  t.same(new Set(lb2.asOf), new Set([5000]));
});

void t.test('a peer that comes back with nothing is not asked for it', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb2.connections = 1000;
  await lb2.boot(true);
  await wire.clock.advance(5000);
  lb2.part.close();
  await wire.clock.advance(10_000);
  t.match(lb1.status.peers, [{ condition: 'peer-silent' }]);
  lb2.start();
  await lb2.boot(false);
  await wire.clock.advance(20_000);
  t.equal(lb2.told.at(-1), 'complete: 1000 of 1000 connections of lb1 are here');
  t.equal(lb1.served, 1);
  t.equal(lb2.served, 0);
});

void t.test('both boot at once', async (t) => {
  const wire = new Wire();
  const [lb1, lb2] = [new Host('lb1', wire), new Host('lb2', wire)];
  await Promise.all([lb1.boot(false), lb2.boot(false)]);
  await wire.clock.advance(20_000);
  t.equal(lb1.told.at(-1), 'complete: 0 of 0 connections of lb2 are here');
  t.equal(lb2.told.at(-1), 'complete: 0 of 0 connections of lb1 are here');
});

void t.test('alone, and then not', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  wire.isCut = true;
  await lb2.boot(false);
  await wire.clock.advance(NO_PEER_MS + 1000);
  t.equal(lb2.told.at(-1), 'waits: no peer answers', 'the election has its own limit');
  t.match(lb2.status.table, { complete: true, text: 'no peer answers' });
  t.match(lb2.status.peers, [{ condition: 'peer-silent', version: null }]);
  wire.isCut = false;
  await wire.clock.advance(20_000);
  t.equal(lb2.told.at(-1), 'complete: 1000 of 1000 connections of lb1 are here');
  t.equal(lb1.served, 1);
});

void t.test('what was missed while the wire was cut, or a link was down, is asked for', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb2.connections = 1000;
  await lb2.boot(true);
  await wire.clock.advance(5000);
  wire.isCut = true;
  await wire.clock.advance(10_000);
  wire.isCut = false;
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 1);
  t.match(lb2.told.at(-1), /^complete: 1000 of 1000/);
  t.equal(lb2.asOf.at(-1), Number.NEGATIVE_INFINITY);
  lb2.role('fault', 70_000);
  t.match(lb2.told.at(-1), /^complete/, 'in fault it hears nothing that could be asked for');
  lb2.role('backup', 80_000);
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 2);
  t.match(lb2.told.slice(-3), [/^waits/, /^waits/, /^complete/], 'it is said anew');
  t.same(lb2.asOf.slice(-3), [80_000, 80_000, 80_000], 'by who knows of the fault');
  lb2.role('backup', 80_000);
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 2, 'once');
  lb2.role('backup', 120_000);
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 3, 'also by one that stood still and kept its role');
  t.equal(lb2.asOf.at(-1), 120_000);
});

void t.test('a replay that cannot be', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb1.replayFails = true;
  await lb2.boot(false);
  await wire.clock.advance(30_000);
  t.ok(lb1.served >= 3);
  t.ok(lb2.told.includes('waits: lb1 cannot replay its table'));
});

void t.test('a replay ends with the role: what it says would be old', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb1.replayHangs = true;
  await lb2.boot(false);
  lb2.role('backup');
  await wire.clock.advance(1000);
  t.equal(lb1.served, 1);
  lb1.role('backup');
  lb2.role('master');
  // The peer's loop is one of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await wire.clock.advance(60_000);
  const [ended] = lb1.log.filter((line) => line.startsWith('the connection table is not replayed'));
  t.equal(ended, 'the connection table is not replayed for lb2: this director is no longer master');
  t.match(lb2.told.at(-1), /this director is master, and nobody has what its table lacks/);
  t.equal(lb1.served, 1);
});

void t.test('a director that stops is not held for a second master while it clears away', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  await lb2.boot(true);
  lb2.connections = 1000;
  lb2.role('backup');
  await wire.clock.advance(5000);
  lb2.role('master');
  await lb1.part.succeeded();
  await wire.clock.advance(20_000);
  t.match(lb2.status.peers, [{ condition: 'up' }]);
  t.notOk(lb2.log.some((line) => line.includes('both are master')));
});

void t.test('where there is nothing to ask for', async (t) => {
  const wire = new Wire();
  const lb1 = new Host('lb1', wire);
  await lb1.boot(false, lb1.config({}, { connectionSync: undefined }));
  t.same(lb1.told, ['waits: nothing is synchronised']);
  t.equal(lb1.part.peerChannel()?.table.complete, false, 'it was compared with nobody');
  await lb1.part.configure(lb1.config({}, { peerChannel: undefined }));
  t.equal(lb1.told.at(-1), 'waits: there is no peer channel');
  t.equal(lb1.part.peerChannel(), undefined);
  lb1.role('fault', 1000);
  lb1.role('backup', 2000);
  t.equal(lb1.told.length, 3, 'a group that comes back from a fault hears it again');
});

void t.test('a key that cannot be read closes the channel, and is tried again', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb2.keyFault = '/etc/key can be read by others than root';
  await lb1.part.configure(lb1.config({ keyFile: '/etc/key' }));
  await lb2.boot(true, lb2.config({ keyFile: '/etc/key' }));
  await wire.clock.advance(15_000);
  t.match(lb2.status, { authenticated: true, faults: [/^the peer channel is closed: .*others than root$/] });
  t.match(lb1.status.peers, [{ condition: 'peer-silent' }]);
  lb2.keyFault = undefined;
  await wire.clock.advance(5000);
  t.match(lb1.status.peers, [{ condition: 'up' }]);
  t.same(lb2.status.faults, []);
  t.equal(lb2.log.filter((line) => line.startsWith('the peer channel is closed')).length, 1, 'told once');
});

void t.test('a file that differs is told of once, and a reload that mends it', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  await lb2.boot(true, lb2.config({ sections: { vrrp: '0000000000000002' } }));
  await wire.clock.advance(60_000);
  t.match(lb1.status.peers, [{ differing_sections: ['vrrp'] }]);
  t.equal(lb1.log.filter((line) => line === "the file of lb2 differs from this one's in vrrp").length, 1);
  await lb2.part.configure(lb2.config());
  await wire.clock.advance(1000);
  t.match(lb1.status.peers, [{ differing_sections: [] }]);
  t.match(lb1.log.at(-1), /says the same/);
});

void t.test('a flood of strangers has one line a minute', async (t) => {
  const { wire, lb1 } = await pair();
  for (let minute = 0; minute < 3; minute++) {
    for (let i = 0; i < 1000; i++)
      wire.ears.get('10.0.0.1')?.(new Uint8Array(i), '10.9.9.9', wire.clock.nowMs());
    await wire.clock.advance(60_000);
  }
  t.equal(lb1.status.discards.stranger, 3000);
  t.equal(lb1.log.filter((line) => line.includes('not taken: 1000 stranger')).length, 3);
});

void t.test('datagrams of the sync group are lost: what is missing is asked for again', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  await lb2.boot(true);
  lb2.role('backup');
  lb2.connections = 997;
  await wire.clock.advance(20_000);
  t.equal(lb1.served, 1);
  t.ok(lb2.log.includes("connection table: 3 of the master's are not here"));
  t.equal(lb2.told.at(-1), 'complete: 1000 of 1000 connections of lb1 are here');
  await wire.clock.advance(600_000);
  t.equal(lb1.served, 1, 'and no longer');
});

void t.test('what was lost of a replay is asked for again, though counts see nothing', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  // Those whose end was lost make up for those that are missing.
  lb2.connections = 2000;
  lb1.onReplay = () => {};
  await lb2.boot(true);
  lb2.role('backup');
  await wire.clock.advance(30_000);
  t.equal(lb1.served, 0, 'all that nobody asked for has arrived');
  wire.lost = 3;
  await wire.clock.advance(30_000);
  t.ok(lb2.log.includes("connection table: 3 datagrams of the master's last replay were lost"));
  const before = lb1.served;
  t.ok(before >= 2, 'and again, while more are lost');
  wire.lost = 0;
  await wire.clock.advance(7000);
  t.ok(lb1.served > before);
  t.equal(lb2.told.at(-1), 'complete: 2000 of 1000 connections of lb1 are here');
  const { served } = lb1;
  await wire.clock.advance(600_000);
  t.equal(lb1.served, served, 'and then no longer');
});

void t.test(
  'an interface that is made anew is listened to again, and one that hears nothing says nothing',
  async (t) => {
    const { wire, lb1, lb2 } = await pair();
    lb2.connections = 1000;
    lb2.hasInterface = false;
    await lb2.boot(true);
    lb2.role('backup');
    wire.lost = 3;
    await wire.clock.advance(60_000);
    t.equal(lb1.served, 0);
    lb2.hasInterface = true;
    lb2.part.syncDaemons({ isBackupRunning: true, backupStarts: 1 });
    await wire.clock.advance(60_000);
    t.ok(lb1.served > 2);
    const { served } = lb1;
    wire.lost = 10;
    await wire.clock.advance(300_000);
    t.ok(lb1.served <= served + 1, 'what nobody hears may yet be heard by the kernel');
  },
);

void t.test('a pair whose connections come and go is asked for little', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  lb1.onReplay = () => {};
  await lb2.boot(true);
  lb2.role('backup');
  for (let second = 0; second < 3600; second++) {
    lb1.made += 50;
    // The kernel tells of each up to three seconds late.
    lb2.connections = lb1.connections - 100 - (second % 50);
    await wire.clock.advance(1000);
  }
  t.ok(lb1.served < 40, `${lb1.served} replays in an hour`);
  t.match(lb1.status.peers, [{ coverage: { of: 'lb2', percent: 100 } }]);
});

void t.test('a master asks for nothing, whatever a backup holds', async (t) => {
  const { wire, lb1, lb2 } = await pair();
  await lb2.boot(true);
  lb2.role('backup');
  lb2.connections = 5000;
  lb1.connections = 10;
  await wire.clock.advance(60_000);
  t.equal(lb1.served + lb2.served, 0);
});

void t.test(
  'who is master tells of everything again, with nobody asking, and lets who asks go first',
  async (t) => {
    const { wire, lb1, lb2 } = await pair();
    lb2.connections = 1000;
    await lb2.boot(true);
    await wire.clock.advance(9000);
    t.equal(lb1.replays, 0, 'not at once');
    await wire.clock.advance(60_000);
    t.ok(lb1.replays > 4 && lb1.replays < 8, `${lb1.replays} replays in a minute`);
    t.equal(lb2.replays, 0, 'a backup tells of nothing');
    t.equal(lb1.served + lb2.served, 0);

    lb1.replayHangs = true;
    await wire.clock.advance(12_000);
    const before = lb1.replays;
    lb2.role('fault', 1000);
    lb2.role('backup', 2000);
    await wire.clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 0));
    await wire.clock.advance(1000);
    t.equal(lb1.replays, before + 1);
    t.equal(lb1.served, 1);
    lb1.replayHangs = false;
    await new Promise((resolve) => setTimeout(resolve, 0));
    await wire.clock.advance(10_000);
    t.match(lb2.told.at(-1), /^complete: 1000 of 1000/);

    lb2.role('master');
    await wire.clock.advance(2000);
    const both = lb1.replays + lb2.replays;
    await wire.clock.advance(60_000);
    t.equal(lb1.replays + lb2.replays, both, 'of two masters neither does');
  },
);
