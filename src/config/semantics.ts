/**
 * What one value of the file says about another. Works on the tree, not on the validated file: a wrong value in one
 * place hides no fault in another. A value of the wrong kind is passed over here, schema.ts has told of it.
 */
import { type Cursor, type Field, field, fields, items, numberOf, type RawFault, textOf } from './cursor.js';
import { suggestion } from './nearest.js';
import { addressOf, checkUnique, type Report, reportInto } from './report.js';
import { checkVirtualServers } from './semantics-servers.js';
import { quote } from './yaml.js';

/** Names listed in one message. */
const MAX_LISTED = 20;

/** Hosts that may share a file: every check of interfaces is done for each. */
export const MAX_DIRECTORS = 16;

interface Choice {
  readonly name: string;
  readonly shortName?: string | undefined;
}

/** The key under `directors` that is meant, or undefined when there is none. */
export function selectDirector(root: Cursor, choice: Choice): string | undefined {
  const names = directorNames(root);
  if (names.includes(choice.name)) return choice.name;
  return names.find((name) => name === choice.shortName);
}

export function checkSemantics(root: Cursor, choice: Choice): RawFault[] {
  const faults: RawFault[] = [];
  const report = reportInto(faults);
  const directors = field(root, 'directors');
  const names = directorNames(root);
  if (directors !== undefined && names.length > MAX_DIRECTORS) {
    report(directors, () => `names ${names.length} directors: at most ${MAX_DIRECTORS} share a file`);
    return faults;
  }
  if (directors?.node.kind === 'mapping' && selectDirector(root, choice) === undefined) {
    report(directors, () => unknownDirector(choice.name, names));
  }
  checkUnique(
    fields(directors).map((entry) => field(entry, 'address')),
    'a director with the address',
    report,
  );

  const vrrp = field(root, 'vrrp');
  const instances = items(field(vrrp, 'instances'));
  checkInstances(instances, names, report);
  checkSyncGroups(items(field(vrrp, 'sync_groups')), instances, report);
  checkInterface(field(field(root, 'connection_sync'), 'interface'), names, report);
  checkVirtualServers(items(field(root, 'virtual_servers')), instances, report);
  return faults;
}

function directorNames(root: Cursor): string[] {
  return fields(field(root, 'directors')).map((entry) => entry.key);
}

function unknownDirector(name: string, names: readonly string[]): string {
  if (names.length === 0) return 'no director is named here: expected at least one';
  const listed = names.slice(0, MAX_LISTED).join(', ') + (names.length > MAX_LISTED ? ', ...' : '');
  return `no director is named ${quote(name)}: the file has ${listed}; '--director NAME' chooses one`;
}

function checkInstances(instances: readonly Cursor[], directors: readonly string[], report: Report): void {
  checkUnique(
    instances.map((instance) => field(instance, 'name')),
    'an instance named',
    report,
  );
  const holders = new Map<string, string>();
  for (const instance of instances) {
    checkInterface(field(instance, 'interface'), directors, report);
    checkDirectorKeys(fields(field(instance, 'priority')), directors, report);
    for (const entry of items(field(instance, 'addresses'))) {
      checkInterface(field(entry, 'interface'), directors, report);
      checkHeldOnce(entry, textOf(field(instance, 'name')) ?? '', holders, report);
    }
  }
  checkVirtualRouterIds(instances, directors, report);
}

function checkHeldOnce(entry: Cursor, instance: string, holders: Map<string, string>, report: Report): void {
  const address = addressOf(entry);
  if (address === undefined) return;
  const holder = holders.get(address);
  if (holder !== undefined)
    report(entry, () => `the address ${quote(address)} is already held by instance ${quote(holder)}`);
  else holders.set(address, instance);
}

function checkDirectorKeys(entries: readonly Field[], directors: readonly string[], report: Report): void {
  for (const entry of entries) {
    if (directors.includes(entry.key)) continue;
    const place = { path: entry.path, offset: entry.keyOffset };
    report(place, () => `no director is named ${quote(entry.key)}${suggestion(entry.key, directors)}`);
  }
}

/** A mapping of interfaces has one for each director, and for nobody else. */
function checkInterface(place: Field | undefined, directors: readonly string[], report: Report): void {
  if (place?.node.kind !== 'mapping') return;
  const entries = fields(place);
  checkDirectorKeys(entries, directors, report);
  const named = new Set(entries.map((entry) => entry.key));
  const missing = directors.filter((name) => !named.has(name));
  if (missing.length > 0) {
    const listed = missing.slice(0, MAX_LISTED).join(', ');
    report(place, () => `names no interface for ${listed}: every director needs one`);
  }
}

/** RFC 9568 section 5.2.3: the VRID tells the virtual routers of one link apart. */
function checkVirtualRouterIds(
  instances: readonly Cursor[],
  directors: readonly string[],
  report: Report,
): void {
  const taken = new Map<string, string>();
  for (const instance of instances) {
    const id = field(instance, 'virtual_router_id');
    const device = field(instance, 'interface');
    const number = numberOf(id);
    if (id === undefined || number === undefined) continue;
    const name = textOf(field(instance, 'name')) ?? '';
    for (const director of directors) {
      const own = textOf(device) ?? textOf(field(device, director));
      if (own === undefined) continue;
      const key = `${director}\n${own}\n${number}`;
      const other = taken.get(key);
      if (other === undefined) {
        taken.set(key, name);
        continue;
      }
      report(
        id,
        () => `VRID ${number} is already that of instance ${quote(other)} on interface ${quote(own)}`,
      );
      break;
    }
  }
}

function checkSyncGroups(groups: readonly Cursor[], instances: readonly Cursor[], report: Report): void {
  checkUnique(
    groups.map((group) => field(group, 'name')),
    'a sync group named',
    report,
  );
  const known = new Set(instances.map((instance) => textOf(field(instance, 'name')) ?? ''));
  const memberOf = new Map<string, string>();
  for (const group of groups) {
    const groupName = textOf(field(group, 'name')) ?? '';
    for (const member of items(field(group, 'instances'))) {
      const name = textOf(member);
      if (name === undefined) continue;
      const other = memberOf.get(name);
      if (!known.has(name)) {
        report(member, () => `no instance is named ${quote(name)}${suggestion(name, known)}`);
      } else if (other !== undefined) {
        report(
          member,
          () => `instance ${quote(name)} is already in sync group ${quote(other)}: it can be in one`,
        );
      }
      memberOf.set(name, groupName);
    }
  }
}
