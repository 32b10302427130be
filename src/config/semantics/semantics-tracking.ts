/** Tracked objects, their uses, and hooks: see semantics.ts. */
import { formatDuration } from '../duration.js';
import { OWNER_PRIORITY } from '../model.js';
import type { ConfigFile } from '../schema/schema.js';
import type { FileVirtualServer } from '../schema/schema-servers.js';
import {
  DEFAULT_QUORUM,
  type FileInstance,
  type FileSyncGroup,
  type FileTracked,
  type FileVrrp,
} from '../schema/schema-vrrp.js';
import { type Key, type Section, textSection } from '../section.js';
import { quote } from '../yaml.js';
import { checkCommand, checkKnown, checkUnique, nameOf, namesOf, type Report } from './report.js';
import { checkEach, type Directors, priorityOf } from './semantics-directors.js';

type Tracked = Section<FileTracked>;

/** The keys that say what is tracked, and those that go with each. */
const KINDS = new Map<Key<FileTracked>, readonly Key<FileTracked>[]>([
  ['interface', ['address']],
  ['file', []],
  ['script', ['user', 'timeout']],
  ['process', []],
  ['virtual_server', ['quorum']],
  ['bfd', []],
]);

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  ...[...KINDS.values()].flat(),
  'name',
  'interval',
  'rise',
  'fall',
  'debounce',
]);

export function checkTracking(root: Section<ConfigFile>, directors: Directors, report: Report): void {
  const servers = root.each('virtual_servers');
  const vrrp = root.part('vrrp');
  if (vrrp === undefined) return;
  const objects = vrrp.each('track');
  checkUnique(
    objects.map((object) => object.part('name')),
    'a tracked object named',
    report,
  );
  const weights = new Map(servers.map((server) => [nameOf(server), totalWeight(server)]));
  const serverNames = namesOf(servers);
  for (const object of objects) {
    checkKind(object, report);
    checkEach(object.part('interface'), 'interface', directors, report);
    checkCommand(object.each('script'), report);
    checkTimeout(object, report);
    checkKnown(object.part('virtual_server'), 'virtual server', serverNames, report);
    checkQuorum(object, weights, report);
  }
  checkUses(vrrp, namesOf(objects), directors, report);
  checkHooks(vrrp, report);
}

function checkKind(object: Tracked, report: Report): void {
  const kinds = object.keys.filter((key) => KINDS.has(key as Key<FileTracked>));
  const [first, second] = kinds;
  if (first === undefined) {
    // An unknown key is told as such, and most likely is the kind, mistyped.
    if (object.keys.some((key) => !KNOWN_KEYS.has(key))) return;
    report(object.path, () => `names nothing to track: expected one of ${[...KINDS.keys()].join(', ')}`);
    return;
  }
  if (second !== undefined) {
    report(
      [...object.path, second],
      () => `tracks ${quote(first)} already: give each thing a name and an entry of its own`,
      { at: 'key' },
    );
    return;
  }
  for (const [kind, companions] of KINDS) {
    if (kind === first) continue;
    for (const key of companions) {
      if (!object.has(key)) continue;
      const message = () => `goes with ${quote(kind)}, not with ${quote(first)}: leave it out`;
      report([...object.path, key], message, { at: 'key' });
    }
  }
}

/** There is no shell and no search path. */

function checkTimeout(object: Tracked, report: Report): void {
  const { timeout, interval } = object.value;
  if (timeout === undefined || interval === undefined || timeout <= interval) return;
  report(
    [...object.path, 'timeout'],
    () =>
      `the timeout ${formatDuration(timeout)} is longer than the interval ${formatDuration(interval)}: ` +
      'expected at most the interval',
  );
}

/** Undefined when one of them cannot be read. */
function totalWeight({ value }: Section<FileVirtualServer>): number | undefined {
  let sum = 0;
  for (const real of value.real_servers ?? []) {
    if (real?.weight === undefined) return undefined;
    sum += real.weight;
  }
  return sum;
}

function checkQuorum(
  object: Tracked,
  weights: ReadonlyMap<string, number | undefined>,
  report: Report,
): void {
  const { virtual_server: name } = object.value;
  const quorum = object.has('quorum') ? object.value.quorum : DEFAULT_QUORUM;
  const total = name === undefined ? undefined : weights.get(name);
  if (name === undefined || quorum === undefined || total === undefined || total >= quorum) return;
  report(
    [...object.path, object.has('quorum') ? 'quorum' : 'virtual_server'],
    () =>
      `the real servers of ${quote(name)} weigh ${total} together: a quorum of ${quorum} is never reached`,
  );
}

/** The places of `track` under instances and groups. Weights count for the whole group, and an owner has none. */
function checkUses(
  vrrp: Section<FileVrrp>,
  objects: ReadonlySet<string>,
  directors: Directors,
  report: Report,
): void {
  const groups = vrrp.each('sync_groups');
  const instances = vrrp.each('instances');
  const groupOf = new Map<string, Section<FileSyncGroup>>();
  for (const group of groups) {
    for (const member of group.each('instances')) groupOf.set(member.value, group);
  }
  const holderOf = (instance: Section<FileInstance>) => groupOf.get(nameOf(instance)) ?? instance;
  const owners = new Map<unknown, Owner>();
  for (const instance of instances) {
    const owner = [...directors.keys()].find(
      (director) => priorityOf(instance, director, directors) === OWNER_PRIORITY,
    );
    const holder = holderOf(instance);
    if (owner === undefined || owners.has(holder)) continue;
    owners.set(holder, { director: owner, instance: nameOf(instance) });
  }
  for (const instance of instances) {
    checkUsesOf(instance.each('track'), objects, owners.get(holderOf(instance)), report);
  }
  for (const group of groups) checkUsesOf(group.each('track'), objects, owners.get(group), report);
}

interface Owner {
  readonly director: string;
  readonly instance: string;
}

function checkUsesOf(
  uses: readonly Section<FileInstance['track'][number]>[],
  objects: ReadonlySet<string>,
  owner: Owner | undefined,
  report: Report,
): void {
  const names = uses.map((use) => textSection(use) ?? use.part('name'));
  for (const name of names) checkKnown(name, 'tracked object', objects, report);
  checkUnique(names, 'a use of', report);
  if (owner === undefined) return;
  for (const use of uses) {
    if (!use.has('weight')) continue;
    report(
      [...use.path, 'weight'],
      () =>
        `director ${quote(owner.director)} owns the addresses of ${quote(owner.instance)} (priority 255), which no ` +
        'weight changes: give it at most 254 or leave the weight out',
    );
  }
}

function checkHooks(vrrp: Section<FileVrrp>, report: Report): void {
  const instances = namesOf(vrrp.each('instances'));
  for (const hook of vrrp.each('hooks')) {
    checkCommand(hook.each('command'), report);
    for (const name of hook.each('instances')) checkKnown(name, 'instance', instances, report);
  }
}
