/** Addresses of an instance: see semantics.ts. */
import { type AddressFamily, canonicalAddress, familyOf, isLinkLocal } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import { OWNER_PRIORITY } from '../model.js';
import type { Path } from '../place.js';
import type { FileAddress, FileInstance } from '../schema/schema-vrrp.js';
import { type Section, textSection } from '../section.js';
import { quote } from '../yaml.js';
import { nameOf, type Report } from './report.js';
import { checkEach, type Directors, interfaceOf, priorityOf } from './semantics-directors.js';

/**
 * Addresses that one advertisement carries: the count is one byte (RFC 9568 section 5.2.5), and RFC 9568 section
 * 5.2.9 has no fragments: 1500 bytes less the headers of IPv6 (40), UDP (8, if any) and VRRP (8) hold 90 of 16
 * bytes. Under IPv4 the byte is the limit in both versions.
 */
const MAX_ADVERTISED = { ipv4: 255, ipv6: 90 } as const;

/** An entry under `addresses` that can be read. */
interface Entry {
  readonly path: Path;
  /** Canonical, the prefix length left out. */
  readonly address: string;
  readonly family: AddressFamily;
  readonly advertise: boolean;
  readonly interface: Section<FileInstance['interface']> | undefined;
}

function entryOf(section: Section<FileAddress>): Entry | undefined {
  const { value, path } = section;
  const prefix = typeof value === 'string' ? value : value.address;
  const [address] = prefix?.split('/') ?? [];
  if (address === undefined) return undefined;
  const isText = textSection(section) !== undefined;
  return {
    path,
    address,
    family: familyOf(address),
    advertise: typeof value === 'string' || value.advertise !== false,
    interface: isText ? undefined : section.part('interface'),
  };
}

function entriesOf(instance: Section<FileInstance>): readonly Entry[] {
  return instance.each('addresses').flatMap((section) => entryOf(section) ?? []);
}

/** Whether every entry can be read. */
function isReadable(instance: Section<FileInstance>): boolean {
  return entriesOf(instance).length === instance.value.addresses?.length;
}

/** All addresses of an instance; undefined when one of them cannot be read, or there are none. */
export function addressesOf(instance: Section<FileInstance>): readonly string[] | undefined {
  const entries = entriesOf(instance);
  return entries.length > 0 && isReadable(instance) ? entries.map(({ address }) => address) : undefined;
}

/** The family of what an instance advertises; undefined when nothing can be read. */
export function advertisedFamily(instance: Section<FileInstance>): AddressFamily | undefined {
  return entriesOf(instance).find(({ advertise }) => advertise)?.family;
}

export function advertisedCount(instance: Section<FileInstance>): number {
  return entriesOf(instance).filter(({ advertise }) => advertise).length;
}

export function checkAddresses(instance: Section<FileInstance>, directors: Directors, report: Report): void {
  const entries = entriesOf(instance);
  for (const section of instance.each('addresses')) {
    checkEach(section.part('interface'), 'interface', directors, report);
  }
  for (const entry of entries) checkWhose(entry, instance, directors, report);
  const path = [...instance.path, 'addresses'];
  if (instance.value.addresses?.length === 0) return;
  const advertised = entries.filter(({ advertise }) => advertise);
  const [first] = advertised;
  if (first === undefined) {
    if (!isReadable(instance)) return;
    report(path, () => "advertises nothing: at least one address has to be without 'advertise: false'");
    return;
  }
  const { family } = first;
  const stranger = advertised.find((entry) => entry.family !== family);
  if (stranger !== undefined) {
    report(
      stranger.path,
      () =>
        `${quote(stranger.address)} is ${familyName(stranger.family)}, and this instance advertises ` +
        `${familyName(family)}: give it 'advertise: false' or an instance of its own`,
    );
    return;
  }
  const most = MAX_ADVERTISED[family];
  if (advertised.length > most) {
    report(
      path,
      () =>
        `one packet advertises at most ${most} ${familyName(family)} addresses, not ${advertised.length}: ` +
        "give the others 'advertise: false' or a second instance",
    );
  }
  // One that cannot be read may be the link-local one.
  if (family === 'ipv6' && isReadable(instance)) checkLinkLocal(instance, advertised, directors, report);
}

/** No host has it before it is master, but for its owner (RFC 9568 section 6.1): it would be taken from it. */
function checkWhose(
  { address, path }: Entry,
  instance: Section<FileInstance>,
  directors: Directors,
  report: Report,
): void {
  if (address.startsWith('127.')) {
    report(
      path,
      () => `${quote(address)} is a loopback address: every host has it, and nobody else reaches it`,
    );
  }
  for (const [name, director] of directors) {
    const own = director?.value.address;
    if (own === undefined || canonicalAddress(own) !== address) continue;
    const priority = priorityOf(instance, name, directors);
    if (priority === undefined || priority === OWNER_PRIORITY) continue;
    report(
      path,
      () =>
        `${quote(address)} is the address of director ${quote(name)}, which would lose it whenever it is not master: ` +
        `expected another one, or priority ${OWNER_PRIORITY} there (the owner of the address, RFC 9568)`,
    );
  }
}

/** RFC 9568 section 5.2.9: resolve-vrrp.ts puts it in front, but nobody can make one up. */
function checkLinkLocal(
  instance: Section<FileInstance>,
  advertised: readonly Entry[],
  directors: Directors,
  report: Report,
): void {
  const own = instance.part('interface');
  const isOnOwn = ({ interface: other }: Entry) =>
    other === undefined ||
    [...directors.keys()].every((name) => interfaceOf(other, name) === interfaceOf(own, name));
  if (advertised.some((entry) => isLinkLocal(entry.address) && isOnOwn(entry))) return;
  report(
    [...instance.path, 'addresses'],
    () =>
      "VRRP over IPv6 advertises a link-local address on the instance's interface (RFC 9568 section 5.2.9): " +
      'add one that no host there has, such as fe80::1/64',
  );
}

/** Reports an address that two instances hold, or one twice. Link-local ones are told apart by their interface. */
export function checkHeldOnce(
  instances: readonly Section<FileInstance>[],
  directors: Directors,
  report: Report,
): void {
  const holders = new Map<string, string>();
  for (const instance of instances) {
    for (const { address, path, interface: own } of entriesOf(instance)) {
      const device = own ?? instance.part('interface');
      const keys = isLinkLocal(address)
        ? [...directors.keys()].map((each) => `${address} ${each} ${interfaceOf(device, each)}`)
        : [address];
      const holder = keys.map((key) => holders.get(key)).find((found) => found !== undefined);
      if (holder !== undefined) {
        report(path, () => `the address ${quote(address)} is already held by instance ${quote(holder)}`);
      }
      for (const key of keys) if (!holders.has(key)) holders.set(key, nameOf(instance));
    }
  }
}
