/** The runner of the tracked objects, with a hand clock and looks that end when the test says so. */
import t from 'tap';
import type { TrackedObject } from '../../../src/config/model.js';
import type { Log } from '../../../src/runtime/ports.js';
import type { TrackProber } from '../../../src/runtime/services/services-ports.js';
import { TrackRunner } from '../../../src/runtime/services/track-runner.js';
import type { RealServerHealth } from '../../../src/track/quorum.js';
import type { LookKind, LookOutcome, TrackVerdict } from '../../../src/track/track.js';
import { realServer, virtualServer } from '../config/servers.js';
import { HandClock, settled } from '../hand-clock.js';

function object(name: string, kind: TrackedObject['kind']): TrackedObject {
  return { name, kind, intervalMs: 1000, rise: 1, fall: 1, debounceMs: 0 };
}

const FILE = object('f', { type: 'file', path: '/run/f' });
const LINK = object('link', { type: 'interface', interface: 'eth0', address: undefined });
const QUORUM = object('web', { type: 'virtual-server', virtualServer: 'web', quorum: 2 });

const WEB = virtualServer({ realServers: [realServer('10.0.0.1'), realServer('10.0.0.2', { weight: 2 })] });

class HandProber implements TrackProber {
  readonly looks: { kind: LookKind; cancel: AbortSignal; end: (outcome: LookOutcome) => void }[] = [];

  look(kind: LookKind, cancel: AbortSignal): Promise<LookOutcome> {
    return new Promise((end) => {
      this.looks.push({ kind, cancel, end });
    });
  }
}

function world(tracked: readonly TrackedObject[], health: Record<string, RealServerHealth> = {}) {
  const clock = new HandClock();
  const prober = new HandProber();
  const told: TrackVerdict[] = [];
  const lines: string[] = [];
  const to = (level: string) => (_: object, message: string) => {
    lines.push(`${level} ${message}`);
  };
  const log: Log = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') };
  const runner = new TrackRunner(
    { tracked, virtualServers: [WEB] },
    {
      clock,
      prober,
      log,
      health: (_, { address }) => health[address] ?? 'unknown',
      onVerdict: (verdict) => told.push(verdict),
    },
  );
  const last = () => told.at(-1);
  return { clock, prober, told, lines, runner, health, last };
}

void t.test('looks, tells the change, and looks again at the interval', async (t) => {
  const { clock, prober, told, lines, last } = world([FILE, LINK]);
  t.equal(prober.looks.length, 1, 'interfaces are not looked at here');
  prober.looks[0]?.end({ type: 'seen', ok: false, value: 5, reason: 'holds 5' });
  await settled();
  t.match(last(), { object: 'f', state: 'down', value: 5 });
  await clock.advance(1000);
  t.equal(prober.looks.length, 2);
  await clock.advance(5000);
  t.equal(prober.looks.length, 2, 'no look before the last has ended');
  prober.looks[1]?.end({ type: 'seen', ok: false, value: 5 });
  await clock.advance(1000);
  t.equal(told.length, 1);
  t.equal(prober.looks.length, 3);
  prober.looks[2]?.end({ type: 'unusable', reason: 'garbage' });
  await settled();
  t.same(lines, ['warn tracked f is down, number 5 (holds 5)', 'warn tracked f: garbage']);
});

void t.test('a quorum follows the health of the real servers', async (t) => {
  const { runner, health, told, lines } = world([QUORUM]);
  t.same(told, [], 'unknown at first');
  health['10.0.0.1'] = 'up';
  runner.healthChanged();
  t.same(told, []);
  health['10.0.0.2'] = 'up';
  runner.healthChanged();
  health['10.0.0.2'] = 'down';
  runner.healthChanged();
  runner.healthChanged();
  t.same(
    told.map(({ object, state }) => `${object} ${state}`),
    ['web up', 'web down'],
  );
  t.equal(lines[1], 'warn tracked web is down (real servers of weight 1 serve, the quorum is 2)');
  runner.configure({ tracked: [{ ...QUORUM, kind: { ...WEB_KIND, quorum: 1 } }], virtualServers: [WEB] });
  t.match(told.at(-1), { object: 'web', state: 'up' });
  t.match(runner.verdicts, [{ object: 'web', state: 'up' }]);
});

void t.test('of several services of one name the worst counts', async (t) => {
  const { runner, told, health } = world([QUORUM], { '10.0.0.1': 'up', '10.0.0.2': 'up' });
  t.match(told.at(-1), { state: 'up' });
  const other = virtualServer({ realServers: [realServer('10.0.0.9', { weight: 2 })] });
  runner.configure({ tracked: [QUORUM], virtualServers: [WEB, other] });
  t.equal(told.length, 1, 'nothing is known of the second');
  health['10.0.0.9'] = 'down';
  runner.healthChanged();
  t.match(told.at(-1), { state: 'down' });
  health['10.0.0.9'] = 'up';
  runner.healthChanged();
  t.match(told.at(-1), { state: 'up' });
});

const WEB_KIND = { type: 'virtual-server', virtualServer: 'web', quorum: 2 } as const;

void t.test('a known quorum is told from the start', async (t) => {
  const { told } = world([QUORUM], { '10.0.0.1': 'unchecked', '10.0.0.2': 'unchecked' });
  t.match(told, [{ object: 'web', state: 'up' }]);
});

void t.test('a reload and the close end looks, and nothing comes after the close', async (t) => {
  const { runner, prober, told, clock } = world([FILE]);
  runner.configure({ tracked: [object('f', { type: 'file', path: '/run/other' })], virtualServers: [] });
  t.ok(prober.looks[0]?.cancel.aborted);
  t.equal(prober.looks.length, 1, 'not before the old one has ended');
  prober.looks[0]?.end({ type: 'seen', ok: false, value: 1 });
  await settled();
  t.equal(prober.looks.length, 2);
  t.same(told, []);
  runner.close();
  t.ok(prober.looks[1]?.cancel.aborted);
  prober.looks[1]?.end({ type: 'seen', ok: false, value: 1 });
  await clock.advance(5000);
  t.same(told, []);
  t.equal(prober.looks.length, 2);
});
