/** BFD sessions within the VRRP service, on a fake host: who is told what, and when sockets are opened anew. */
import t from 'tap';
import { type BfdPacket, decodeBfd, encodeBfd } from '../../../src/bfd/packet.js';
import type { DirectorConfig, TrackedObject } from '../../../src/config/model.js';
import { VrrpService } from '../../../src/runtime/election/vrrp-service.js';
import type { BfdLink, BfdPorts, ReceivedBfd } from '../../../src/runtime/ports.js';
import { settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';
import { FakeHost, OWN, PEER, roleOf } from './vrrp-service-bench.js';

const SETTINGS = { intervalMs: 15, minReceiveMs: 15, multiplier: 3 };
const OURS = 4711;
const THEIRS = 815;

interface OpenLink {
  readonly link: BfdLink;
  readonly deliver: (message: ReceivedBfd) => void;
  readonly sent: BfdPacket[];
  /** In the receive queue, not yet read. */
  readonly queue: ReceivedBfd[];
  closed: boolean;
}

/** A host whose BFD peer is moved by hand. */
class BfdHost extends FakeHost {
  readonly links: OpenLink[] = [];
  refusesBfd: Error | undefined;
  readonly director: VrrpService;

  constructor() {
    super();
    const bfd: BfdPorts = {
      random: () => 0,
      discriminator: () => OURS,
      sourceOf: (device, _, wanted) => {
        const source = wanted ?? OWN;
        if (!this.held.has(`${device} ${source}`))
          throw new Error(`interface ${device} does not hold ${source}`);
        return source;
      },
      open: (link, deliver) => {
        if (this.refusesBfd !== undefined) throw this.refusesBfd;
        const open: OpenLink = { link, deliver, sent: [], queue: [], closed: false };
        this.links.push(open);
        return {
          send: (_, payload) => {
            const decoded = decodeBfd(payload);
            if (!decoded.ok) throw new Error(decoded.reason);
            open.sent.push(decoded.packet);
          },
          drain: () => {
            for (const message of open.queue.splice(0)) deliver(message);
          },
          unread: () => 0,
          close: () => {
            open.closed = true;
          },
        };
      },
    };
    this.director = new VrrpService({ ...this.ports, bfd });
  }

  async begin(config: DirectorConfig): Promise<void> {
    await this.director.start(config, []);
    await settled();
  }

  /** Nobody takes over from it. */
  async end(): Promise<void> {
    const stopped = this.director.stop();
    await this.clock.advance(5000);
    await stopped;
  }

  get last(): OpenLink {
    const last = this.links.at(-1);
    if (last === undefined) throw new Error('no link is open');
    return last;
  }

  get session() {
    const [session] = this.director.bfd.status();
    if (session === undefined) throw new Error('there is no session');
    return session;
  }

  say(packet: Partial<BfdPacket>, more: Partial<ReceivedBfd> = {}): void {
    this.last.deliver(this.message(packet, more));
  }

  message(packet: Partial<BfdPacket>, more: Partial<ReceivedBfd> = {}): ReceivedBfd {
    const payload = encodeBfd({
      state: 'up',
      diagnostic: 0,
      poll: false,
      final: false,
      demand: false,
      multiplier: 3,
      discriminator: THEIRS,
      yourDiscriminator: OURS,
      desiredMinTxUs: 15_000,
      requiredMinRxUs: 15_000,
      ...packet,
    });
    return { payload, source: PEER, ttl: 255, receivedAtMs: this.clock.nowMs(), ...more };
  }

  async comeUp(): Promise<void> {
    await this.clock.advance(1);
    this.say({ state: 'down', yourDiscriminator: 0 });
    this.say({ state: 'init' });
    this.say({ state: 'up', final: true });
    await this.clock.advance(1);
  }
}

const object = (more: Partial<TrackedObject> = {}): TrackedObject => ({
  name: 'neighbour',
  kind: { type: 'bfd', interface: 'eth0', peer: PEER, source: undefined, settings: SETTINGS },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
  ...more,
});

const watched = vrrpInstance({ bfd: { local: OWN, peers: [PEER], settings: SETTINGS } });
const PAIR = directorConfig({ instances: [watched] });
const tracking = (weight: number | undefined, more: Partial<TrackedObject> = {}): DirectorConfig =>
  directorConfig({
    instances: [vrrpInstance({ track: [{ object: 'neighbour', weight }] })],
    tracked: [object(more)],
  });

void t.test('a master whose session expires is succeeded in the same turn', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  host.advertise({ priority: 150 });
  await host.comeUp();
  t.match(host.session, { state: 'up', peer: PEER, instances: ['outside'], reason: null });
  host.heard();
  await host.clock.advance(42);
  t.equal(roleOf(host.director, 'outside'), 'backup');
  await host.clock.advance(3);
  t.equal(roleOf(host.director, 'outside'), 'master');
  t.ok(host.heard().includes('send 51 priority 100'));
  t.match(host.session, { state: 'down', reason: 'control detection time expired' });
  t.same(
    host.log.filter(({ event }) => event === 'bfd').map(({ message }) => message),
    [
      `BFD session with ${PEER} on eth0 is up`,
      `BFD session with ${PEER} on eth0 is down: control detection time expired`,
    ],
  );
  await host.end();
});

void t.test('one that was never up, or ends in good order, moves nothing', async (t) => {
  for (const last of ['never', 'down', 'admin-down'] as const) {
    const host = new BfdHost();
    await host.begin(PAIR);
    host.advertise({ priority: 150 });
    if (last === 'never') await host.clock.advance(1);
    else {
      await host.comeUp();
      host.say({ state: last });
    }
    await host.clock.advance(2500);
    t.equal(host.session.state, 'down');
    t.equal(roleOf(host.director, 'outside'), 'backup', last);
    await host.end();
  }
});

void t.test('what lies in the receive queue is read before a peer is lost', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  host.advertise({ priority: 150 });
  await host.comeUp();
  await host.clock.advance(30);
  host.last.queue.push(host.message({}));
  await host.clock.advance(30);
  t.equal(host.last.queue.length, 0);
  t.equal(host.session.state, 'up');
  await host.clock.advance(20);
  t.equal(host.session.state, 'down', 'and tells when it came');
  await host.end();
});

void t.test('this director says that it leaves, before it says farewell', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  await host.comeUp();
  const { sent } = host.last;
  await host.end();
  t.match(sent.at(-1), { state: 'admin-down', diagnostic: 7 });
  t.ok(host.last.closed);
});

void t.test('a tracked session', async (t) => {
  await t.test('without a first verdict the instance is in fault, which ends as it comes up', async (t) => {
    const host = new BfdHost();
    await host.begin(tracking(undefined));
    t.equal(roleOf(host.director, 'outside'), 'fault');
    await host.comeUp();
    t.equal(roleOf(host.director, 'outside'), 'backup');
    host.say({ state: 'admin-down' });
    t.equal(roleOf(host.director, 'outside'), 'fault', 'for whatever reason it went');
    await host.end();
  });
  await t.test('weighs nothing until it is known, and is down after five seconds', async (t) => {
    const host = new BfdHost();
    await host.begin(tracking(-30));
    const priority = () => host.director.states()[0]?.priority;
    await host.clock.advance(4900);
    t.equal(priority(), 100);
    await host.clock.advance(200);
    t.equal(priority(), 70);
    await host.comeUp();
    t.equal(priority(), 100);
    await host.end();
  });
  await t.test('its verdict has to hold for the debounce time', async (t) => {
    const host = new BfdHost();
    await host.begin(tracking(-30, { debounceMs: 500 }));
    const priority = () => host.director.states()[0]?.priority;
    await host.comeUp();
    await host.clock.advance(100);
    t.equal(host.session.state, 'down');
    t.equal(priority(), 100);
    await host.clock.advance(500);
    t.equal(priority(), 70);
    await host.end();
  });
});

void t.test('what is not taken is counted by its reason', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  await host.comeUp();
  host.say({ yourDiscriminator: 1, state: 'down' });
  host.say({ state: 'down' }, { ttl: 254 });
  host.say({ state: 'down' }, { payload: new Uint8Array(3) });
  host.say({ state: 'down' }, { source: '192.0.2.99' });
  t.match(host.session, {
    state: 'up',
    counters: { discarded_unknown_discriminator: 1, discarded_bad_ttl: 1, discarded_bad_length: 1 },
  });
  await host.end();
});

void t.test('sockets follow the address and the device', async (t) => {
  const host = new BfdHost();
  host.held.delete(`eth0 ${OWN}`);
  await host.begin(PAIR);
  t.equal(host.links.length, 0);
  t.match(host.session, { fault: `interface eth0 does not hold ${OWN}` });
  host.held.add(`eth0 ${OWN}`);
  host.director.addressChanged({ address: OWN, interface: 'eth0', added: true, dadFailed: false });
  t.equal(host.links.length, 1);
  t.match(host.session, { fault: null });
  host.director.addressChanged({ address: '192.0.2.77', interface: 'eth0', added: true, dadFailed: false });
  t.equal(host.links.length, 1, 'another address is nothing to it');
  await host.comeUp();
  host.indexes.set('eth0', 9);
  host.director.linkChanged('eth0');
  t.same(
    host.links.map(({ closed }) => closed),
    [true, false],
    'a device that was made anew',
  );
  t.equal(host.session.state, 'up', 'the session goes on');
  await host.end();
});

void t.test('a port that is taken is tried again', async (t) => {
  const host = new BfdHost();
  host.refusesBfd = new Error('bind EADDRINUSE');
  await host.begin(PAIR);
  t.equal(host.session.fault, 'bind EADDRINUSE');
  host.refusesBfd = undefined;
  await host.clock.advance(5000);
  t.equal(host.links.length, 1);
  t.equal(host.session.fault, null);
  await host.end();
});

void t.test('a reload', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  await host.comeUp();
  const slower = { ...SETTINGS, intervalMs: 100 };
  const bfd = { local: OWN, peers: [PEER], settings: slower };
  await host.director.reconfigure(
    directorConfig({
      instances: [{ ...watched, bfd, track: [{ object: 'neighbour', weight: -9 }] }],
      tracked: [object()],
    }),
  );
  await host.clock.advance(15);
  t.match(host.last.sent.at(-1), { poll: true, desiredMinTxUs: 100_000, state: 'up' });
  t.equal(host.links.length, 1);
  t.same(host.session.objects, ['neighbour']);
  t.equal(host.director.states()[0]?.priority, 100, 'who begins to track it knows that it is up');
  const { sent } = host.last;
  await host.director.reconfigure(directorConfig({ instances: [vrrpInstance()] }));
  t.match(sent.at(-1), { state: 'admin-down' }, 'one that nobody asks for any more is no failure');
  t.ok(host.last.closed);
  t.same(host.director.bfd.status(), []);
  await host.end();
});

void t.test('while it is watched, the guardian acts sooner', async (t) => {
  const host = new BfdHost();
  await host.begin(PAIR);
  await host.clock.advance(4000);
  t.equal(roleOf(host.director, 'outside'), 'master');
  t.equal(host.orders?.leaseMs, 3000);
  await host.comeUp();
  t.equal(host.orders?.leaseMs, 250);
  await host.clock.advance(100);
  t.equal(host.session.state, 'down');
  t.equal(host.orders?.leaseMs, 3000);
  await host.end();
});
