/**
 * What one value of the file says about another. Works on the tree, not on the validated file: a wrong value in one
 * place hides no fault in another. A value of the wrong kind is passed over here, schema.ts has told of it.
 */
import { isLinkLocal } from '../../util/ip-address.js';
import { canonicalAddress } from '../address.js';
import { type Cursor, field, fields, items, type RawFault, textOf } from '../cursor.js';
import { quote } from '../yaml.js';
import { checkUnique, reportInto } from './report.js';
import { checkEach, type Directors, listed } from './semantics-directors.js';
import { checkInstances, checkSyncGroups } from './semantics-instances.js';
import { checkVirtualServers } from './semantics-servers.js';
import { checkTracking } from './semantics-tracking.js';

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
  const place = field(root, 'directors');
  const names = directorNames(root);
  if (place !== undefined && names.length > MAX_DIRECTORS) {
    report(place, () => `names ${names.length} directors: at most ${MAX_DIRECTORS} share a file`);
    return faults;
  }
  if (place?.node.kind === 'mapping' && selectDirector(root, choice) === undefined) {
    report(place, () => unknownDirector(choice.name, names));
  }
  const directors: Directors = new Map(fields(place).map((entry) => [entry.key, entry]));
  const addresses = fields(place).flatMap((entry) => field(entry, 'address') ?? []);
  checkUnique(addresses, 'a director with the address', report, canonicalAddress);
  for (const address of addresses) {
    if (!isLinkLocal(textOf(address) ?? '')) continue;
    report(address, () => 'a link-local address reaches nobody without its interface: expected another one');
  }

  const vrrp = field(root, 'vrrp');
  checkInstances(vrrp, directors, report);
  checkSyncGroups(vrrp, report);
  checkTracking(root, directors, report);
  checkEach(field(field(root, 'connection_sync'), 'interface'), 'interface', directors, report);
  checkVirtualServers(items(field(root, 'virtual_servers')), items(field(vrrp, 'instances')), report);
  return faults;
}

function directorNames(root: Cursor): string[] {
  return fields(field(root, 'directors')).map((entry) => entry.key);
}

function unknownDirector(name: string, names: readonly string[]): string {
  if (names.length === 0) return 'no director is named here: expected at least one';
  return `no director is named ${quote(name)}: the file has ${listed(names)}; '--director NAME' chooses one`;
}
