/**
 * What one value of the file says about another. Works on what holds of the file (../draft.ts): a wrong value in one
 * place hides no fault in another. A value of the wrong kind is passed over here, the schema has told of it.
 */
import { familyOf, isLinkLocal } from '../../util/ip-address.js';
import { familyName, NFT_INTERFACE, splitPrefix } from '../address.js';
import type { RawFault } from '../place.js';
import type { ConfigFile, FileMasquerade } from '../schema/schema.js';
import type { Section } from '../section.js';
import { quote, type YamlNode } from '../yaml.js';
import { checkUnique, type Report, reportInto } from './report.js';
import { checkBfd } from './semantics-bfd.js';
import { checkEach, type Directors, interfaceOf, listed } from './semantics-directors.js';
import { checkInstances, checkSyncGroups } from './semantics-instances.js';
import { checkVirtualServers } from './semantics-servers.js';
import { checkTracking } from './semantics-tracking.js';

/** Hosts that may share a file: every check of interfaces is done for each. */
export const MAX_DIRECTORS = 16;

/** Which part of the file is this host's. */
export interface DirectorChoice {
  /** As which a director runs that reads the file again: as long as the file has it, whatever the host is called by now. */
  readonly current?: string | undefined;
  /** Key under `directors`, usually the host name. */
  readonly name: string;
  /** Taken when `name` is not there: the host name up to its first dot. */
  readonly shortName?: string | undefined;
}

/** The key under `directors` that is meant, or undefined when there is none. */
export function selectDirector(root: Section<ConfigFile>, choice: DirectorChoice): string | undefined {
  return directorAmong(root.part('directors')?.keys ?? [], choice);
}

/** The same of the keys. */
export function directorAmong(names: readonly string[], choice: DirectorChoice): string | undefined {
  return [choice.current, choice.name, choice.shortName].find(
    (one) => one !== undefined && names.includes(one),
  );
}

/** `tree` has the places of what `root` says. */
export function checkSemantics(
  root: Section<ConfigFile>,
  tree: YamlNode,
  choice: DirectorChoice,
): RawFault[] {
  const faults: RawFault[] = [];
  const report = reportInto(faults, tree);
  const section = root.part('directors');
  const names = section?.keys ?? [];
  if (section !== undefined && names.length > MAX_DIRECTORS) {
    report(section.path, () => `names ${names.length} directors: at most ${MAX_DIRECTORS} share a file`);
    return faults;
  }
  if (section !== undefined && selectDirector(root, choice) === undefined) {
    report(section.path, () => unknownDirector(choice.name, names));
  }
  const directors: Directors = new Map(names.map((name) => [name, section?.part(name)]));
  checkDirectorAddresses(directors, report);

  const vrrp = root.part('vrrp');
  checkInstances(vrrp, directors, report);
  checkSyncGroups(vrrp, report);
  checkTracking(root, directors, report);
  checkBfd(vrrp, directors, report);
  checkEach(root.part('connection_sync')?.part('interface'), 'interface', directors, report);
  checkMasquerades(root.each('masquerade'), directors, report);
  const around = { directors, instances: vrrp?.each('instances') ?? [], syncs: root.has('connection_sync') };
  checkVirtualServers(root.each('virtual_servers'), around, report);
  return faults;
}

function checkMasquerades(
  masquerades: readonly Section<FileMasquerade>[],
  directors: Directors,
  report: Report,
): void {
  for (const masquerade of masquerades) {
    const device = masquerade.part('interface');
    checkEach(device, 'interface', directors, report);
    for (const director of directors.keys()) {
      const name = interfaceOf(device, director);
      if (name === undefined || NFT_INTERFACE.test(name)) continue;
      report(
        [...masquerade.path, 'interface'],
        () => `${quote(name)} is a name that nftables cannot be told`,
      );
      break;
    }
    const { source, snat_address: to } = masquerade.value;
    if (source === undefined || to === undefined) continue;
    const family = familyOf(splitPrefix(source).address);
    if (family === familyOf(to)) continue;
    report(
      [...masquerade.path, 'snat_address'],
      () => `${quote(to)} is ${familyName(familyOf(to))}, and the source ${familyName(family)}`,
    );
  }
}

function checkDirectorAddresses(directors: Directors, report: Report): void {
  const addresses = [...directors.values()].flatMap((director) => director?.part('address') ?? []);
  checkUnique(addresses, 'a director with the address', report);
  for (const { value, path } of addresses) {
    if (!isLinkLocal(value)) continue;
    report(path, () => 'a link-local address reaches nobody without its interface: expected another one');
  }
}

function unknownDirector(name: string, names: readonly string[]): string {
  if (names.length === 0) return 'no director is named here: expected at least one';
  return `no director is named ${quote(name)}: the file has ${listed(names)}; '--director NAME' chooses one`;
}
