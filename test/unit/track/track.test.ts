/** When tracked objects are looked at, and what the outcomes mean, with a hand clock. */
import t from 'tap';
import type { TrackedObject, TrackKind } from '../../../src/config/model.js';
import { quorumObservation, type RealServerHealth } from '../../../src/track/quorum.js';
import { observe, settle, settlesAtMs, UNSETTLED } from '../../../src/track/settle.js';
import {
  createTrack,
  FIRST_LOOK_SPACING_MS,
  type LookOutcome,
  MAX_OTHER_LOOKS_AT_ONCE,
  MAX_SCRIPTS_AT_ONCE,
  stepTrack,
  type TrackEffect,
  type TrackInput,
  type TrackStep,
  trackVerdicts,
} from '../../../src/track/track.js';

const GOOD: LookOutcome = { type: 'seen', ok: true };
const BAD: LookOutcome = { type: 'seen', ok: false, reason: 'exit status 1' };
const SCRIPT: TrackKind = { type: 'script', command: ['/bin/true'], user: undefined, timeoutMs: 500 };

function object(name: string, change: Partial<TrackedObject> = {}): TrackedObject {
  return { name, kind: SCRIPT, intervalMs: 1000, rise: 1, fall: 1, debounceMs: 0, ...change };
}

function number(value: number): LookOutcome {
  return { type: 'seen', ok: value === 0, value };
}

/** Runs the machine as the shell does; looks take `latencyMs` and end as `answer` says. */
class World {
  nowMs = 100_000;
  readonly latencyMs: number;
  answer: (name: string) => LookOutcome = () => GOOD;
  step: TrackStep;
  readonly looks: { readonly atMs: number; readonly object: string }[] = [];
  readonly told: string[] = [];
  readonly cancelled: number[] = [];
  readonly underWay: { readonly id: number; readonly object: string; endMs: number }[] = [];

  constructor(tracked: readonly TrackedObject[], latencyMs = 10) {
    this.latencyMs = latencyMs;
    this.step = createTrack(tracked, this.nowMs);
    this.#take(this.step.effects);
  }

  input(input: TrackInput): void {
    this.step = stepTrack(this.step.state, input, this.nowMs);
    this.#take(this.step.effects);
  }

  configure(...tracked: TrackedObject[]): void {
    this.input({ type: 'config', tracked });
  }

  states(): Record<string, string> {
    return Object.fromEntries(trackVerdicts(this.step.state).map(({ object, state }) => [object, state]));
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      this.underWay.sort((a, b) => a.endMs - b.endMs);
      const look = this.underWay[0];
      const atMs = Math.min(look?.endMs ?? Infinity, this.step.deadlineMs);
      if (atMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      if (look !== undefined && look.endMs <= this.nowMs) {
        this.underWay.shift();
        this.input({ type: 'outcome', id: look.id, outcome: this.answer(look.object) });
      } else {
        this.input({ type: 'deadline' });
      }
    }
    this.nowMs = untilMs;
  }

  #take(effects: readonly TrackEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'look') {
        const { id, object } = effect;
        if (this.underWay.some((other) => other.object === object)) throw new Error(`${object} overlaps`);
        this.looks.push({ atMs: this.nowMs, object });
        this.underWay.push({ id, object, endMs: this.nowMs + this.latencyMs });
      } else if (effect.type === 'verdict') {
        const { object, from, state, value } = effect;
        this.told.push(`${object} ${from}>${state}${value === undefined ? '' : ` ${value}`}`);
      } else if (effect.type === 'unusable') {
        this.told.push(`${effect.object} unusable: ${effect.reason}`);
      } else {
        this.cancelled.push(effect.id);
      }
    }
  }
}

void t.test('the first look comes soon, the next at the interval, never two at a time', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const world = new World(names.map((name) => object(name)));
  world.run(10_000);
  for (const [index, name] of names.entries()) {
    const at = world.looks.filter((look) => look.object === name).map((look) => look.atMs);
    t.equal(at[0], 100_000 + index * FIRST_LOOK_SPACING_MS);
    for (let i = 2; i < at.length; i++) t.equal((at[i] ?? 0) - (at[i - 1] ?? 0), 1000, 'steady');
    t.ok(at.length >= 10 && at.length <= 11, `${at.length} looks`);
  }
  const phases = new Set(world.looks.slice(names.length).map((look) => look.atMs % 1000));
  t.equal(phases.size, names.length, 'spread over the interval');
  t.same(
    world.told,
    names.map((name) => `${name} unknown>up`),
  );
});

void t.test('a look longer than the interval leaves slots out', async (t) => {
  const world = new World([object('slow')], 2500);
  world.run(10_000);
  const at = world.looks.map((look) => look.atMs);
  t.equal(at.length, 4);
  for (let i = 2; i < at.length; i++) t.equal((at[i] ?? 0) - (at[i - 1] ?? 0), 3000);
});

void t.test('the first outcome counts at once, then rise and fall hold', async (t) => {
  const world = new World([object('a', { rise: 2, fall: 3, debounceMs: 5000 })]);
  world.answer = () => BAD;
  world.run(500);
  t.same(world.told, ['a unknown>down'], 'no debounce either');
  const other = new World([object('a', { rise: 2, fall: 3 })]);
  const script = [GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD];
  other.answer = () => script.shift() ?? GOOD;
  other.run(6900);
  t.same(other.told, ['a unknown>up', 'a up>down']);
  other.run(5000);
  t.same(other.told, ['a unknown>up', 'a up>down', 'a down>up']);
});

void t.test('a new verdict must hold for the debounce', async (t) => {
  const world = new World([object('a', { debounceMs: 2500, intervalMs: 1000 })]);
  world.run(500);
  let good = false;
  world.answer = () => (good ? GOOD : BAD);
  world.run(2000);
  good = true;
  world.run(5000);
  t.same(world.told, ['a unknown>up'], 'two seconds of down are passed over');
  good = false;
  const from = world.looks.length;
  world.run(1000);
  const firstBad = world.looks.slice(from)[0];
  t.ok(firstBad);
  world.run((firstBad?.atMs ?? 0) + world.latencyMs + 2499 - world.nowMs);
  t.same(world.told, ['a unknown>up'], 'a millisecond before');
  world.run(1);
  t.same(world.told, ['a unknown>up', 'a up>down'], 'without waiting for another look');
});

void t.test("a file's number is told whenever it changes", async (t) => {
  const file = object('f', { kind: { type: 'file', path: '/run/f' } });
  const world = new World([file]);
  const numbers = [0, 0, 10, 10, 20, -5, 0];
  world.answer = () => number(numbers.shift() ?? 0);
  world.run(8000);
  t.same(world.told, ['f unknown>up 0', 'f up>down 10', 'f down>down 20', 'f down>down -5', 'f down>up 0']);
});

void t.test('a number that never rests is down after the debounce all the same', async (t) => {
  const limits = { rise: 1, fall: 1, debounceMs: 1000 };
  let state = observe(UNSETTLED, { ok: true, value: 0 }, limits, 0);
  for (let atMs = 100; atMs < 1100; atMs += 100) {
    state = observe(state, { ok: false, value: atMs }, limits, atMs);
    t.equal(state.state, 'up');
  }
  t.equal(settlesAtMs(state, limits), 1100);
  state = settle(state, limits, 1100);
  t.match(state, { state: 'down', value: 1000 });
  state = observe(state, { ok: false, value: 7 }, limits, 1200);
  state = observe(state, { ok: false, value: 8 }, limits, 2100);
  t.match(settle(state, limits, 2300), { value: 1000 }, 'between two numbers each must hold');
  t.match(settle(state, limits, 3100), { value: 8 });
});

void t.test('garbage keeps what counted and is told once', async (t) => {
  const world = new World([object('f', { kind: { type: 'file', path: '/run/f' } })]);
  const outcomes: LookOutcome[] = [
    number(7),
    { type: 'unusable', reason: 'x' },
    { type: 'unusable', reason: 'x' },
    number(7),
    { type: 'unusable', reason: 'y' },
  ];
  world.answer = () => outcomes.shift() ?? number(7);
  world.run(7000);
  t.same(world.told, ['f unknown>down 7', 'f unusable: x', 'f unusable: y']);
});

void t.test('interfaces and virtual servers report by themselves', async (t) => {
  const world = new World([
    object('link', { kind: { type: 'interface', interface: 'eth0', address: undefined }, rise: 3, fall: 3 }),
    object('web', { kind: { type: 'virtual-server', virtualServer: 'web', quorum: 2 }, debounceMs: 1000 }),
  ]);
  t.equal(world.step.deadlineMs, Infinity);
  world.run(5000);
  t.same(world.looks, []);
  t.same(world.states(), { link: 'unknown', web: 'unknown' });
  const report = (object: string, ok: boolean) =>
    world.input({ type: 'observed', object, observation: { ok } });
  report('link', true);
  report('link', false);
  report('web', true);
  report('web', false);
  report('strange', false);
  t.same(world.states(), { link: 'down', web: 'up' }, 'an event is no look in a row');
  world.run(999);
  t.same(world.states(), { link: 'down', web: 'up' });
  world.run(1);
  t.same(world.states(), { link: 'down', web: 'down' });
});

void t.test('a reload keeps what did not change', async (t) => {
  const world = new World([object('same'), object('limits'), object('other'), object('gone')]);
  world.answer = (name) => (name === 'gone' ? GOOD : BAD);
  world.run(2000);
  world.told.length = 0;
  const file: TrackKind = { type: 'file', path: '/run/x' };
  const looked = world.looks.length;
  world.configure(
    object('same'),
    object('limits', { fall: 5 }),
    object('other', { kind: file }),
    object('new'),
  );
  t.same(world.states(), { same: 'down', limits: 'down', other: 'unknown', new: 'unknown' });
  t.same(world.told, [], 'and tells nothing by itself');
  world.run(200);
  const atOnce = new Set(world.looks.slice(looked).map((look) => look.object));
  t.same([...atOnce].filter((name) => name !== 'same').sort(), ['limits', 'new', 'other']);
  t.same(world.told, ['other unknown>down', 'new unknown>down']);
});

void t.test('a look under way survives a reload only when its object does', async (t) => {
  const world = new World([object('kept'), object('changed'), object('removed')], 300);
  world.run(20);
  const [kept, changed, removed] = world.underWay;
  t.equal(world.underWay.length, 3);
  world.answer = () => BAD;
  world.configure(object('kept'), object('changed', { kind: { type: 'process', process: 'x' } }));
  t.same(world.cancelled, [changed?.id, removed?.id]);
  world.configure(object('kept'), object('changed'), object('removed'));
  t.same(world.cancelled.length, 2, 'once');
  world.run(275);
  t.same(world.states(), { kept: 'unknown', changed: 'unknown', removed: 'unknown' });
  world.run(20);
  t.match(kept, { object: 'kept' });
  t.same(world.told, ['kept unknown>down'], "outcomes of the old objects are nobody's");
  world.run(400);
  t.same(world.states(), { kept: 'down', changed: 'down', removed: 'down' });
});

void t.test('there are limits to what runs at once, and scripts do not hold up files', async (t) => {
  const file: TrackKind = { type: 'file', path: '/run/x' };
  const scripts = Array.from({ length: 40 }, (_, i) => object(`s${i}`));
  const files = Array.from({ length: 40 }, (_, i) => object(`f${i}`, { kind: file }));
  const world = new World([...scripts, ...files], 5000);
  world.run(2000);
  t.equal(world.looks.filter(({ object }) => object.startsWith('s')).length, MAX_SCRIPTS_AT_ONCE);
  t.equal(world.looks.filter(({ object }) => object.startsWith('f')).length, MAX_OTHER_LOOKS_AT_ONCE);
  world.run(20_000);
  t.equal(new Set(world.looks.map((look) => look.object)).size, 80, 'everyone has a turn');
});

void t.test('a quorum is known as soon as nothing can change it', async (t) => {
  const server = (last: number, weight: number) => ({ address: `10.0.0.${last}`, port: 80, weight });
  const servers = [server(1, 1), server(2, 2), server(3, 3)];
  const verdict = (quorum: number, ...health: RealServerHealth[]) =>
    quorumObservation(servers, quorum, (real) => health[servers.indexOf(real)] ?? 'unknown')?.ok;
  t.equal(verdict(3, 'unknown', 'unknown', 'up'), true);
  t.equal(verdict(4, 'unknown', 'unknown', 'up'), undefined);
  t.equal(verdict(4, 'down', 'down', 'unknown'), false);
  t.equal(verdict(4, 'up', 'down', 'up'), true);
  t.equal(verdict(5, 'up', 'down', 'up'), false);
  t.equal(verdict(6, 'unchecked', 'unchecked', 'unchecked'), true);
  t.match(quorumObservation(servers, 5, () => 'down')?.reason, /weight 0 serve, the quorum is 5/);
});
