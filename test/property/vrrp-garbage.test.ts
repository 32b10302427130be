/** Hostile input to the state machine: nothing makes it fail, and what is not for it changes nothing. */
import fc from 'fast-check';
import t from 'tap';
import { step } from '../../src/vrrp/group.js';
import { createGroup } from '../../src/vrrp/group-create.js';
import type { GroupInput, GroupState, GroupStep } from '../../src/vrrp/group-types.js';
import { type Advertisement, decodeAdvertisement, encodeAdvertisement } from '../../src/vrrp/packet.js';
import { vrrpInstance } from '../unit/vrrp/instances.js';
import { advertisement, envelopeOf, ipv4, ipv6, wire } from './vrrp-arbitraries.js';

const RUNS = { numRuns: 1_500 };

const OURS = { outside: '192.0.2.21', inside: 'fe80::21', old: '192.0.2.22' };
const PEERS = { outside: '192.0.2.11', inside: 'fe80::11', old: '192.0.2.12' };
type Name = keyof typeof OURS;

const INSTANCES = {
  outside: vrrpInstance({ preempt: { mode: 'always', delayMs: 300 }, priority: 120 }),
  inside: vrrpInstance({
    name: 'inside',
    family: 'ipv6',
    virtualRouterId: 52,
    advertisementIntervalMs: 100,
    addresses: [{ address: 'fe80::1', prefixLength: 64, interface: 'eth0' }],
  }),
  old: vrrpInstance({ name: 'old', version: 2, priority: 255, virtualRouterId: 53 }),
};
const GROUPS: readonly (readonly Name[])[] = [['outside', 'inside'], ['outside'], ['old']];

function create(names: readonly Name[]): GroupState {
  const members = names.map((name) => ({ config: INSTANCES[name], source: OURS[name], linkUp: true }));
  return createGroup('group', members, 0, [{ object: 'probe', weight: -50 }]);
}

const anyName = fc.constantFrom<Name>('outside', 'inside', 'old');
const anySource = fc.oneof(fc.constantFrom(...Object.values(OURS), ...Object.values(PEERS)), ipv4, ipv6);

/** As the service takes it from the wire: decoded, and of the instance's version and family; else undefined. */
function fromWire(name: Name, message: Uint8Array, source: string, nowMs: number): GroupInput | undefined {
  const { version, family } = INSTANCES[name];
  const result = decodeAdvertisement(message, envelopeOf(family));
  if (!result.ok || result.advertisement.version !== version) return undefined;
  const { advertisement: heard } = result;
  return { type: 'advertisement', instance: name, advertisement: heard, source, receivedAtMs: nowMs };
}

/** What a peer of this instance says. */
function fromPeer(name: Name, priority: number, intervalMs: number): Advertisement {
  const { version, family, virtualRouterId, advertised: addresses } = INSTANCES[name];
  const advertisementIntervalMs = version === 2 ? 1000 : intervalMs;
  return { version, family, virtualRouterId, priority, advertisementIntervalMs, addresses };
}

type Happening =
  /** A peer speaks, by way of the wire. */
  | { readonly kind: 'peer'; readonly name: Name; readonly priority: number; readonly intervalMs: number }
  /** Bytes come, by way of the decoder. */
  | { readonly kind: 'bytes'; readonly name: Name; readonly message: Uint8Array; readonly source: string }
  /** An advertisement that the decoder might let pass, to anyone, from anyone, of any age. */
  | {
      readonly kind: 'hostile';
      readonly to: string;
      readonly heard: Advertisement;
      readonly source: string;
      readonly ageMs: number;
    }
  | { readonly kind: 'input'; readonly input: GroupInput };

function inputOf(happening: Happening, nowMs: number): GroupInput | undefined {
  switch (happening.kind) {
    case 'peer': {
      const { name, priority, intervalMs } = happening;
      const addressing = { ...envelopeOf(INSTANCES[name].family), checksum: 'rfc5798' } as const;
      const sent = encodeAdvertisement(fromPeer(name, priority, intervalMs), addressing);
      return fromWire(name, sent, PEERS[name], nowMs);
    }
    case 'bytes':
      return fromWire(happening.name, happening.message, happening.source, nowMs);
    case 'hostile': {
      const { to: instance, heard, source, ageMs } = happening;
      const receivedAtMs = nowMs - ageMs;
      return { type: 'advertisement', instance, advertisement: heard, source, receivedAtMs };
    }
    case 'input':
      return happening.input;
  }
}

const input: fc.Arbitrary<GroupInput> = fc.oneof(
  fc.constantFrom<GroupInput>(
    { type: 'deadline' },
    { type: 'start' },
    { type: 'stop' },
    { type: 'withdrawn' },
    { type: 'maintenance', on: true },
    { type: 'maintenance', on: false },
  ),
  fc.record({ type: fc.constant('link' as const), instance: anyName, up: fc.boolean() }),
  fc.record({ type: fc.constant('address-failed' as const), instance: anyName }),
  fc.record({
    type: fc.constant('source' as const),
    instance: anyName,
    source: fc.option(anySource, { nil: undefined }),
  }),
  fc.record({
    type: fc.constant('tracked' as const),
    object: fc.constantFrom('probe', 'other'),
    state: fc.constantFrom('up' as const, 'down' as const),
  }),
);

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.constant<Happening>({ kind: 'input', input: { type: 'deadline' } }),
  fc.record({
    kind: fc.constant('peer' as const),
    name: anyName,
    priority: fc.integer({ min: 0, max: 255 }),
    intervalMs: fc.constantFrom(10, 100, 1000, 40_950),
  }),
  fc.record({
    kind: fc.constant('bytes' as const),
    name: anyName,
    message: wire.map(({ message }) => message),
    source: anySource,
  }),
  fc.record({
    kind: fc.constant('hostile' as const),
    to: fc.oneof(anyName, fc.string()),
    heard: advertisement,
    source: anySource,
    ageMs: fc.nat(100_000),
  }),
  fc.record({ kind: fc.constant('input' as const), input }),
);

/** A past: what happened, each so many milliseconds after the one before it. */
const history = fc.array(fc.tuple(fc.oneof(fc.nat(50), fc.nat(5_000)), happening), { maxLength: 40 });
const group = fc.constantFrom(...GROUPS);

const TIMES = ['timerMs', 'sinceMs', 'activeAdverIntervalMs', 'heardAtMs'] as const;

function assertSane({ state, effects, deadlineMs }: GroupStep, names: readonly Name[]): void {
  if (Number.isNaN(deadlineMs)) throw new Error('the deadline is no time');
  if (state.instances.map(({ config }) => config.name).join() !== names.join())
    throw new Error('lost instances');
  for (const instance of state.instances) {
    for (const time of TIMES) if (Number.isNaN(instance[time])) throw new Error(`${time} is no time`);
    if (instance.activeAdverIntervalMs < 10 || instance.activeAdverIntervalMs > 40_950)
      throw new Error(`an interval of ${instance.activeAdverIntervalMs} ms`);
  }
  for (const effect of effects) {
    if (effect.type !== 'send') continue;
    if (!Number.isInteger(effect.priority) || effect.priority < 0 || effect.priority > 255)
      throw new Error(`priority ${effect.priority}`);
  }
}

interface Present {
  readonly state: GroupState;
  readonly deadlineMs: number;
  /** When the machine stepped last: time alone changes nothing in between. */
  readonly nowMs: number;
}

function live(names: readonly Name[], past: readonly (readonly [number, Happening])[]): Present {
  let nowMs = 1000;
  let result = step(create(names), { type: 'start' }, nowMs);
  let steppedMs = nowMs;
  for (const [afterMs, happens] of past) {
    nowMs += afterMs;
    const next = inputOf(happens, nowMs);
    if (next === undefined) continue;
    steppedMs = nowMs;
    result = step(result.state, next, nowMs);
    assertSane(result, names);
  }
  return { state: result.state, deadlineMs: result.deadlineMs, nowMs: steppedMs };
}

/** All but whom it complained about. */
function essence(state: GroupState): string {
  const instances = state.instances.map((instance) => ({ ...instance, noticed: [] }));
  return JSON.stringify({ ...state, instances }, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

await t.test('whatever happens, the machine goes on and stays sane', async () => {
  fc.assert(
    fc.property(group, history, (names, past) => {
      live(names, past);
    }),
    RUNS,
  );
});

await t.test('the past is not changed by what comes after it', async () => {
  fc.assert(
    fc.property(group, history, happening, (names, past, happens) => {
      const { state, nowMs } = live(names, past);
      const before = essence(state);
      const next = inputOf(happens, nowMs);
      if (next === undefined) return true;
      const [first, second] = [step(state, next, nowMs), step(state, next, nowMs)];
      return essence(state) === before && essence(first.state) === essence(second.state);
    }),
    { numRuns: 500 },
  );
});

/** Advertisements that an instance must not heed, in words. */
function unheeded(
  name: Name,
  heard: Advertisement,
): Record<string, { heard: Advertisement; source: string; to: string }> {
  const { advertised } = INSTANCES[name];
  const good = fromPeer(name, heard.priority, heard.advertisementIntervalMs);
  const foreign = heard.addresses.filter((address) => !advertised.includes(address));
  const from = PEERS[name];
  return {
    'an instance that is none': { heard: good, source: from, to: 'nobody' },
    'another cluster': { heard: { ...good, addresses: foreign }, source: from, to: name },
    ...(name === 'old' && {
      'another interval in version 2': {
        heard: { ...good, advertisementIntervalMs: 2000 },
        source: from,
        to: name,
      },
    }),
  };
}

await t.test('what is not for it leaves the machine as it is', async (t) => {
  const states = new Set<string>();
  fc.assert(
    fc.property(group, history, advertisement, fc.nat(60_000), (names, past, heard, ageMs) => {
      const { state, deadlineMs, nowMs } = live(names, past);
      const before = essence(state);
      for (const { config, source, state: role } of state.instances) {
        states.add(role);
        const name = names.find((one) => one === config.name) ?? 'outside';
        const own = { heard: fromPeer(name, heard.priority, 1000), source, to: name };
        for (const [what, one] of Object.entries({ ...unheeded(name, heard), 'an echo': own })) {
          const receivedAtMs = nowMs - ageMs;
          const { heard: said, source: from, to: instance } = one;
          const input = {
            type: 'advertisement',
            instance,
            advertisement: said,
            source: from,
            receivedAtMs,
          } as const;
          const result = step(state, input, nowMs);
          const heeded = result.effects.filter(({ type }) => type !== 'count' && type !== 'notice');
          if (heeded.length > 0) throw new Error(`${what}: ${JSON.stringify(heeded)}`);
          if (essence(result.state) !== before) throw new Error(`${what}: the state changed`);
          if (result.deadlineMs !== deadlineMs) throw new Error(`${what}: the deadline moved`);
        }
      }
    }),
    RUNS,
  );
  t.same([...states].sort(), ['backup', 'fault', 'initialize', 'master'], 'in every state');
});
