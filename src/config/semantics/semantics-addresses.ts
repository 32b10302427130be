/** Addresses of an instance: see semantics.ts. */
import { isLinkLocal } from '../../util/ip-address.js';
import { addressFamily, nameOf } from '../address.js';
import { booleanOf, type Cursor, type Field, field, items, textOf } from '../cursor.js';
import type { AddressFamily } from '../model.js';
import { quote } from '../yaml.js';
import { addressOf, type Report } from './report.js';
import { checkEach, type Directors, interfaceOf } from './semantics-directors.js';

/**
 * Addresses that one advertisement carries: the count is one byte (RFC 9568 section 5.2.5), and RFC 9568 section
 * 5.2.9 has no fragments: 1500 bytes less the headers of IPv6 (40), UDP (8, if any) and VRRP (8) hold 90 of 16
 * bytes. Under IPv4 the byte is the limit in both versions.
 */
const MAX_ADVERTISED = { ipv4: 255, ipv6: 90 } as const;

/** An entry under `addresses` that can be read. */
interface Entry {
  readonly place: Cursor;
  readonly address: string;
  readonly family: AddressFamily;
}

/** Those in the advertisement. */
function advertised(instance: Cursor): readonly Entry[] {
  return items(field(instance, 'addresses')).flatMap((place) => {
    const address = addressOf(place);
    if (address === undefined || booleanOf(field(place, 'advertise')) === false) return [];
    return [{ place, address, family: addressFamily(address) }];
  });
}

/** The family of what an instance advertises; undefined when nothing can be read. */
export function familyOf(instance: Cursor): AddressFamily | undefined {
  return advertised(instance)[0]?.family;
}

export function checkAddresses(instance: Cursor, directors: Directors, report: Report): void {
  const list = field(instance, 'addresses');
  for (const entry of items(list)) checkEach(field(entry, 'interface'), 'interface', directors, report);
  if (list === undefined || items(list).length === 0) return;
  const entries = advertised(instance);
  const [first] = entries;
  if (first === undefined) {
    const isReadable = items(list).every((entry) => addressOf(entry) !== undefined);
    if (isReadable) {
      report(list, () => "advertises nothing: at least one address has to be without 'advertise: false'");
    }
    return;
  }
  const { family } = first;
  const stranger = entries.find((entry) => entry.family !== family);
  if (stranger !== undefined) {
    report(
      stranger.place,
      () =>
        `${quote(stranger.address)} is ${nameOf(stranger.family)}, and this instance advertises ` +
        `${nameOf(family)}: give it 'advertise: false' or an instance of its own`,
    );
    return;
  }
  const most = MAX_ADVERTISED[family];
  if (entries.length > most) {
    report(
      list,
      () =>
        `one packet advertises at most ${most} ${nameOf(family)} addresses, not ${entries.length}: ` +
        "give the others 'advertise: false' or a second instance",
    );
  }
  if (family === 'ipv6') checkLinkLocal(instance, list, entries, directors, report);
}

/** RFC 9568 section 5.2.9: resolve-vrrp.ts puts it in front, but nobody can make one up. */
function checkLinkLocal(
  instance: Cursor,
  list: Field,
  entries: readonly Entry[],
  directors: Directors,
  report: Report,
): void {
  const own = field(instance, 'interface');
  const isOnOwn = ({ place }: Entry) => {
    const other = field(place, 'interface');
    return (
      other === undefined ||
      [...directors.keys()].every((name) => interfaceOf(other, name) === interfaceOf(own, name))
    );
  };
  if (entries.some((entry) => isLinkLocal(entry.address) && isOnOwn(entry))) return;
  report(
    list,
    () =>
      "VRRP over IPv6 advertises a link-local address on the instance's interface (RFC 9568 section 5.2.9): " +
      'add one that no host there has, such as fe80::1/64',
  );
}

/** Reports an address that two instances hold, or one twice. Link-local ones are told apart by their interface. */
export function checkHeldOnce(instances: readonly Cursor[], directors: Directors, report: Report): void {
  const holders = new Map<string, string>();
  for (const instance of instances) {
    const name = textOf(field(instance, 'name')) ?? '';
    for (const entry of items(field(instance, 'addresses'))) {
      const address = addressOf(entry);
      if (address === undefined) continue;
      const device = field(entry, 'interface') ?? field(instance, 'interface');
      const keys = isLinkLocal(address)
        ? [...directors.keys()].map((each) => `${address} ${each} ${interfaceOf(device, each)}`)
        : [address];
      const holder = keys.map((key) => holders.get(key)).find((found) => found !== undefined);
      if (holder !== undefined) {
        report(entry, () => `the address ${quote(address)} is already held by instance ${quote(holder)}`);
      }
      for (const key of keys) if (!holders.has(key)) holders.set(key, name);
    }
  }
}
