/** Tracked objects, their uses, and hooks: see semantics.ts. */
import { type Cursor, type Field, field, fields, items, numberOf, textOf } from '../cursor.js';
import { formatDuration, parseDuration } from '../duration.js';
import { OWNER_PRIORITY } from '../model.js';
import { quote } from '../yaml.js';
import { checkKnown, checkUnique, namesOf, type Report } from './report.js';
import { checkEach, type Directors, priorityOf } from './semantics-directors.js';

/** The keys that say what is tracked, and those that go with each. */
const KINDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['interface', ['address']],
  ['file', []],
  ['script', ['user', 'timeout']],
  ['process', []],
  ['virtual_server', ['quorum']],
]);

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  ...[...KINDS.values()].flat(),
  'name',
  'interval',
  'rise',
  'fall',
  'debounce',
]);

const DEFAULT_WEIGHT = 1;

export function checkTracking(root: Cursor, directors: Directors, report: Report): void {
  const vrrp = field(root, 'vrrp');
  const objects = items(field(vrrp, 'track'));
  checkUnique(
    objects.map((object) => field(object, 'name')),
    'a tracked object named',
    report,
  );
  const servers = items(field(root, 'virtual_servers'));
  const weights = new Map(
    servers.map((server) => [textOf(field(server, 'name')) ?? '', totalWeight(server)]),
  );
  const serverNames = namesOf(servers);
  for (const object of objects) {
    checkKind(object, report);
    checkEach(field(object, 'interface'), 'interface', directors, report);
    checkCommand(field(object, 'script'), report);
    checkTimeout(object, report);
    checkKnown(field(object, 'virtual_server'), 'virtual server', serverNames, report);
    checkQuorum(object, weights, report);
  }
  checkUses(vrrp, namesOf(objects), directors, report);
  checkHooks(vrrp, report);
}

function keyPlace({ path, keyOffset }: Field): { path: Field['path']; offset: number } {
  return { path, offset: keyOffset };
}

function checkKind(object: Cursor, report: Report): void {
  if (object.node.kind !== 'mapping') return;
  const found = [...KINDS.keys()].filter((kind) => field(object, kind) !== undefined);
  const places = found.flatMap((kind) => field(object, kind) ?? []);
  const [first, second] = places.toSorted((a, b) => a.keyOffset - b.keyOffset);
  if (first === undefined) {
    // An unknown key is told as such, and most likely is the kind, mistyped.
    if (fields(object).some(({ key }) => !KNOWN_KEYS.has(key))) return;
    report(object, () => `names nothing to track: expected one of ${[...KINDS.keys()].join(', ')}`);
    return;
  }
  if (second !== undefined) {
    report(
      keyPlace(second),
      () => `tracks ${quote(first.key)} already: give each thing a name and an entry of its own`,
    );
    return;
  }
  for (const [kind, companions] of KINDS) {
    if (kind === first.key) continue;
    for (const companion of companions) {
      const place = field(object, companion);
      if (place === undefined) continue;
      report(keyPlace(place), () => `goes with ${quote(kind)}, not with ${quote(first.key)}: leave it out`);
    }
  }
}

/** There is no shell and no search path. */
function checkCommand(command: Cursor | undefined, report: Report): void {
  const [path] = items(command);
  const text = textOf(path);
  if (path === undefined || text === undefined || text.startsWith('/')) return;
  report(path, () => `expected the whole path of the command, which begins with '/', not ${quote(text)}`);
}

function checkTimeout(object: Cursor, report: Report): void {
  const place = field(object, 'timeout');
  const timeoutMs = parseDuration(textOf(place) ?? '');
  const interval = field(object, 'interval');
  const intervalMs = interval === undefined ? 1000 : parseDuration(textOf(interval) ?? '');
  if (place === undefined || timeoutMs === undefined || intervalMs === undefined || timeoutMs <= intervalMs) {
    return;
  }
  report(
    place,
    () =>
      `the timeout ${formatDuration(timeoutMs)} is longer than the interval ${formatDuration(intervalMs)}: ` +
      'expected at most the interval',
  );
}

/** Undefined when one of them cannot be read. */
function totalWeight(server: Cursor): number | undefined {
  let sum = 0;
  for (const real of items(field(server, 'real_servers'))) {
    const place = field(real, 'weight');
    const weight = place === undefined ? DEFAULT_WEIGHT : numberOf(place);
    if (weight === undefined) return undefined;
    sum += weight;
  }
  return sum;
}

function checkQuorum(object: Cursor, weights: ReadonlyMap<string, number | undefined>, report: Report): void {
  const server = field(object, 'virtual_server');
  const place = field(object, 'quorum');
  const quorum = place === undefined ? 1 : numberOf(place);
  const name = textOf(server) ?? '';
  const total = weights.get(name);
  if (server === undefined || quorum === undefined || total === undefined || total >= quorum) return;
  report(
    place ?? server,
    () =>
      `the real servers of ${quote(name)} weigh ${total} together: a quorum of ${quorum} is never reached`,
  );
}

/** The places of `track` under instances and groups. Weights count for the whole group, and an owner has none. */
function checkUses(
  vrrp: Cursor | undefined,
  objects: ReadonlySet<string>,
  directors: Directors,
  report: Report,
): void {
  const groups = items(field(vrrp, 'sync_groups'));
  const groupOf = new Map<string, Cursor>();
  for (const group of groups) {
    for (const member of items(field(group, 'instances'))) groupOf.set(textOf(member) ?? '', group);
  }
  const owners = new Map<Cursor, Owner>();
  const instances = items(field(vrrp, 'instances'));
  const holderOf = (instance: Cursor) => groupOf.get(textOf(field(instance, 'name')) ?? '') ?? instance;
  for (const instance of instances) {
    const owner = [...directors.keys()].find(
      (director) => priorityOf(instance, director, directors) === OWNER_PRIORITY,
    );
    const holder = holderOf(instance);
    if (owner === undefined || owners.has(holder)) continue;
    owners.set(holder, { director: owner, instance: textOf(field(instance, 'name')) ?? '' });
  }
  for (const instance of instances) checkUsesOf(instance, objects, owners.get(holderOf(instance)), report);
  for (const group of groups) checkUsesOf(group, objects, owners.get(group), report);
}

interface Owner {
  readonly director: string;
  readonly instance: string;
}

function checkUsesOf(
  user: Cursor,
  objects: ReadonlySet<string>,
  owner: Owner | undefined,
  report: Report,
): void {
  const uses = items(field(user, 'track'));
  const names = uses.map((use) => (textOf(use) === undefined ? field(use, 'name') : use));
  for (const name of names) checkKnown(name, 'tracked object', objects, report);
  checkUnique(names, 'a use of', report);
  if (owner === undefined) return;
  for (const use of uses) {
    const weight = field(use, 'weight');
    if (weight === undefined) continue;
    report(
      weight,
      () =>
        `director ${quote(owner.director)} owns the addresses of ${quote(owner.instance)} (priority 255), which no ` +
        'weight changes: give it at most 254 or leave the weight out',
    );
  }
}

function checkHooks(vrrp: Cursor | undefined, report: Report): void {
  const instances = namesOf(items(field(vrrp, 'instances')));
  for (const hook of items(field(vrrp, 'hooks'))) {
    checkCommand(field(hook, 'command'), report);
    for (const name of items(field(hook, 'instances'))) checkKnown(name, 'instance', instances, report);
  }
}
