/**
 * All tracked objects of a director: when to look at which, and what the outcomes mean.
 *
 * The caller runs `createTrack` once, then `stepTrack` for every input. It carries out the effects in order, reports
 * every `look` exactly once as an `outcome` (a cancelled one as well), and wakes the machine at `deadlineMs`. A stray
 * wake is harmless. One object is never looked at twice at a time. Interfaces and virtual servers report by
 * themselves: their observations come in as `observed`, and since they are no looks in a row, `rise` and `fall` do
 * not apply to them.
 */
import type { TrackedObject, TrackKind } from '../config/model.js';
import type { TrackState } from '../vrrp/group-types.js';
import {
  type Observation,
  observe,
  type SettleLimits,
  type SettleState,
  settle,
  settlesAtMs,
  UNSETTLED,
  unsettled,
} from './settle.js';

/** Scripts under way at one time; further ones wait for an outcome. Each is a process. */
export const MAX_SCRIPTS_AT_ONCE = 16;
/** Looks of other kinds under way at one time. */
export const MAX_OTHER_LOOKS_AT_ONCE = 32;
/** First looks at new objects follow one another at this distance, all of them within one interval. */
export const FIRST_LOOK_SPACING_MS = 5;

/** Fraction of the golden ratio: multiples of it, modulo 1, lie evenly spread however many there are. */
const SPREAD = 0.618_033_988_749_895;

/** Kinds that are looked at. */
export type LookKind = Extract<TrackKind, { readonly type: 'script' | 'file' | 'process' }>;

/** `unusable`: the look says nothing about the object, such as a file with garbage; what counted goes on. */
export type LookOutcome = (Observation & { readonly type: 'seen' }) | UnusableOutcome;

export interface UnusableOutcome {
  readonly type: 'unusable';
  readonly reason: string;
}

export type TrackInput =
  /** A reload. An object that did not change keeps its state; one with other limits keeps its verdict. */
  | { readonly type: 'config'; readonly tracked: readonly TrackedObject[] }
  | { readonly type: 'deadline' }
  | { readonly type: 'outcome'; readonly id: number; readonly outcome: LookOutcome }
  | { readonly type: 'observed'; readonly object: string; readonly observation: Observation };

/** What is known of one object. */
export interface TrackVerdict {
  readonly object: string;
  readonly state: TrackState;
  /** A file's number. */
  readonly value: number | undefined;
  readonly reason: string | undefined;
}

export type TrackEffect =
  | { readonly type: 'look'; readonly id: number; readonly object: string; readonly kind: LookKind }
  /** The object is gone or became another one: end the look early; its outcome is still awaited. */
  | { readonly type: 'cancel'; readonly id: number }
  /** The verdict that counts changed: its state, or a file's number. */
  | ({ readonly type: 'verdict'; readonly from: TrackState } & TrackVerdict)
  /** Given once, until a look is usable again. */
  | { readonly type: 'unusable'; readonly object: string; readonly reason: string };

export interface TrackStep {
  readonly state: TrackMachine;
  readonly effects: readonly TrackEffect[];
  /** When to step with `deadline`; Infinity while nothing is due before an outcome. */
  readonly deadlineMs: number;
}

interface Tracked {
  readonly config: TrackedObject;
  /** Undefined for kinds that report by themselves. */
  readonly look: LookKind | undefined;
  readonly limits: SettleLimits;
  /** Position of the looks within the interval. */
  readonly phaseMs: number;
  /** When the next look goes; Infinity while one is under way and for kinds that report by themselves. */
  dueMs: number;
  settled: SettleState;
  unusable: boolean;
}

interface LookUnderWay {
  readonly object: string;
  readonly script: boolean;
  /** Its object is gone or became another one. */
  stale: boolean;
}

/** Opaque to the caller; `stepTrack` changes it in place. */
export interface TrackMachine {
  objects: Map<string, Tracked>;
  /** By identity of the look. */
  readonly underWay: Map<number, LookUnderWay>;
  /** Objects that have been, for the spread of the looks. */
  made: number;
  nextLook: number;
}

/** First step, with the looks that are due at once. */
export function createTrack(tracked: readonly TrackedObject[], nowMs: number): TrackStep {
  const state: TrackMachine = { objects: new Map(), underWay: new Map(), made: 0, nextLook: 1 };
  return stepTrack(state, { type: 'config', tracked }, nowMs);
}

/** `nowMs` is monotonic. What concerns an object that is not known is ignored. */
export function stepTrack(state: TrackMachine, input: TrackInput, nowMs: number): TrackStep {
  const effects: TrackEffect[] = [];
  if (input.type === 'config') {
    configure(state, input.tracked, nowMs, effects);
  } else if (input.type === 'outcome') {
    takeOutcome(state, input.id, input.outcome, nowMs, effects);
  } else if (input.type === 'observed') {
    const object = state.objects.get(input.object);
    if (object !== undefined) {
      change(object, observe(object.settled, input.observation, object.limits, nowMs), effects);
    }
  }
  for (const object of state.objects.values()) {
    change(object, settle(object.settled, object.limits, nowMs), effects);
  }
  return { state, effects, deadlineMs: startDue(state, nowMs, effects) };
}

/** What is known of all objects, in the order of the configuration. */
export function trackVerdicts(state: TrackMachine): TrackVerdict[] {
  return [...state.objects.values()].map(verdictOf);
}

/** Whether every object that is looked at was looked at once. */
export function lookedAtAll(state: TrackMachine): boolean {
  return [...state.objects.values()].every(
    ({ look, settled, unusable }) => look === undefined || unusable || settled.state !== 'unknown',
  );
}

function verdictOf({ config, settled: { state, value, reason } }: Tracked): TrackVerdict {
  return { object: config.name, state, value, reason };
}

function change(object: Tracked, settled: SettleState, effects: TrackEffect[]): void {
  const { state: from, value } = object.settled;
  object.settled = settled;
  if (settled.state === from && settled.value === value) return;
  effects.push({ type: 'verdict', from, ...verdictOf(object) });
}

function configure(
  state: TrackMachine,
  tracked: readonly TrackedObject[],
  nowMs: number,
  effects: TrackEffect[],
): void {
  const before = state.objects;
  state.objects = new Map();
  let fresh = 0;
  for (const config of tracked) {
    const old = before.get(config.name);
    if (old !== undefined && sameText(old.config, config)) {
      state.objects.set(config.name, old);
      continue;
    }
    const firstMs = nowMs + Math.min(fresh * FIRST_LOOK_SPACING_MS, config.intervalMs);
    const object = newObject(config, firstMs, state.made);
    if (object.look !== undefined) fresh += 1;
    state.made += 1;
    if (old !== undefined && sameText(old.config.kind, config.kind)) object.settled = unsettled(old.settled);
    state.objects.set(config.name, object);
  }
  for (const [id, look] of state.underWay) {
    if (look.stale || state.objects.get(look.object) === before.get(look.object)) continue;
    look.stale = true;
    effects.push({ type: 'cancel', id });
  }
}

/** Both come from the same parser, with their keys in the same order. */
function sameText(a: TrackedObject | TrackKind, b: TrackedObject | TrackKind): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isLookedAt(kind: TrackKind): kind is LookKind {
  return kind.type === 'script' || kind.type === 'file' || kind.type === 'process';
}

function newObject(config: TrackedObject, firstMs: number, index: number): Tracked {
  const { kind, rise, fall, debounceMs, intervalMs } = config;
  const look = isLookedAt(kind) ? kind : undefined;
  return {
    config,
    look,
    limits: look === undefined ? { rise: 1, fall: 1, debounceMs } : { rise, fall, debounceMs },
    phaseMs: Math.floor(((index * SPREAD) % 1) * intervalMs),
    dueMs: look === undefined ? Infinity : firstMs,
    settled: UNSETTLED,
    unusable: false,
  };
}

function takeOutcome(
  state: TrackMachine,
  id: number,
  outcome: LookOutcome,
  nowMs: number,
  effects: TrackEffect[],
): void {
  const look = state.underWay.get(id);
  if (look === undefined) return;
  state.underWay.delete(id);
  const object = state.objects.get(look.object);
  if (object === undefined || look.stale) return;
  object.dueMs = nextSlotMs(object, nowMs);
  if (outcome.type === 'unusable') {
    if (!object.unusable) effects.push({ type: 'unusable', object: look.object, reason: outcome.reason });
    object.unusable = true;
    return;
  }
  object.unusable = false;
  change(object, observe(object.settled, outcome, object.limits, nowMs), effects);
}

/**
 * The next multiple of the interval plus the object's own phase: a late wake does not shift the looks, and slots that
 * a slow look or a stalled loop missed are left out instead of made up for.
 */
function nextSlotMs({ config: { intervalMs }, phaseMs }: Tracked, nowMs: number): number {
  return (Math.floor((nowMs - phaseMs) / intervalMs) + 1) * intervalMs + phaseMs;
}

/** Starts what is due, the longest overdue first, and gives the next deadline. */
function startDue(state: TrackMachine, nowMs: number, effects: TrackEffect[]): number {
  const busy = new Set([...state.underWay.values()].map((look) => look.object));
  let scripts = [...state.underWay.values()].filter((look) => look.script).length;
  let others = state.underWay.size - scripts;
  let deadlineMs = Infinity;
  const due: Tracked[] = [];
  for (const object of state.objects.values()) {
    deadlineMs = Math.min(deadlineMs, settlesAtMs(object.settled, object.limits));
    if (object.dueMs <= nowMs) due.push(object);
    else deadlineMs = Math.min(deadlineMs, object.dueMs);
  }
  for (const object of due.sort((a, b) => a.dueMs - b.dueMs)) {
    const { config, look } = object;
    // A look that still runs ends with an outcome, and that starts the next.
    if (look === undefined || busy.has(config.name)) continue;
    const script = look.type === 'script';
    if (script ? scripts >= MAX_SCRIPTS_AT_ONCE : others >= MAX_OTHER_LOOKS_AT_ONCE) continue;
    if (script) scripts += 1;
    else others += 1;
    const id = state.nextLook;
    state.nextLook += 1;
    object.dueMs = Infinity;
    state.underWay.set(id, { object: config.name, script, stale: false });
    effects.push({ type: 'look', id, object: config.name, kind: look });
  }
  return deadlineMs;
}
