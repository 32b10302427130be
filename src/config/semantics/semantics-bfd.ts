/** BFD sessions of instances and of tracked objects: see semantics.ts. */
import { familyOf, isLinkLocal } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import type { Path } from '../place.js';
import type { FileTrackedBfd } from '../schema/schema-bfd.js';
import type { FileInstance, FileVrrp } from '../schema/schema-vrrp.js';
import type { Section } from '../section.js';
import { quote } from '../yaml.js';
import { checkUnique, type Report } from './report.js';
import { advertisedFamily } from './semantics-addresses.js';
import { checkEach, type Directors, interfaceOf } from './semantics-directors.js';

/** Each speaks and listens a hundred times in a second, in the process of the election. */
export const MAX_BFD_SESSIONS = 32;

interface Timers {
  readonly interval?: number | undefined;
  readonly min_receive?: number | undefined;
  readonly multiplier?: number | undefined;
}

/** RFC 5881 section 3: two systems have one session on a link, whoever asks for it. */
class Sessions {
  readonly #timers = new Map<string, string>();

  take(
    director: string,
    device: string,
    peer: string,
    { interval, min_receive, multiplier }: Timers,
  ): boolean {
    const key = `${director} ${device} ${peer}`;
    const timers = `${interval} ${min_receive ?? interval} ${multiplier}`;
    const before = this.#timers.get(key) ?? timers;
    this.#timers.set(key, before);
    return before === timers;
  }

  of(director: string): number {
    return [...this.#timers.keys()].filter((key) => key.startsWith(`${director} `)).length;
  }
}

export function checkBfd(vrrp: Section<FileVrrp> | undefined, directors: Directors, report: Report): void {
  if (vrrp === undefined) return;
  const sessions = new Sessions();
  for (const instance of vrrp.each('instances')) checkInstance(instance, directors, sessions, report);
  for (const object of vrrp.each('track')) {
    const bfd = object.part('bfd');
    if (bfd !== undefined) checkTracked(bfd, directors, sessions, report);
  }
  for (const director of directors.keys()) {
    const count = sessions.of(director);
    if (count <= MAX_BFD_SESSIONS) continue;
    report(vrrp.path, () => `asks for ${count} BFD sessions: one director has at most ${MAX_BFD_SESSIONS}`);
    return;
  }
}

function tellTwice(path: Path, peer: string, report: Report): void {
  report(
    path,
    () =>
      `another BFD session with ${peer} on this interface has other timers: two hosts have one session on a link`,
  );
}

function checkInstance(
  instance: Section<FileInstance>,
  directors: Directors,
  sessions: Sessions,
  report: Report,
): void {
  const bfd = instance.part('bfd');
  if (bfd === undefined) return;
  if (directors.size === 1) report(bfd.path, () => 'BFD needs a second director to speak to');
  const peers = bfd.part('peers');
  if (peers !== undefined) {
    checkEach(peers, 'address', directors, report);
    const addresses = peers.keys.flatMap((key) => peers.part(key) ?? []);
    checkUnique(addresses, 'a director with the address', report);
  }
  const { transport } = instance.value;
  const isMulticast = transport === undefined || transport === 'multicast';
  const ends = typeof transport === 'object' ? (transport.unicast ?? transport.udp?.peers) : undefined;
  const named = peers?.value ?? ends;
  const addressOf = (name: string) => named?.[name] ?? directors.get(name)?.value.address;
  if (peers !== undefined || isMulticast)
    checkFamily(instance, peers?.path ?? bfd.path, addressOf, directors, report);
  for (const director of directors.keys()) {
    const device = interfaceOf(instance.part('interface'), director);
    for (const other of directors.keys()) {
      const peer = addressOf(other);
      if (other === director || device === undefined || peer === undefined) continue;
      if (!sessions.take(director, device, peer, bfd.value)) return tellTwice(bfd.path, peer, report);
    }
  }
}

function checkFamily(
  instance: Section<FileInstance>,
  path: Path,
  addressOf: (director: string) => string | undefined,
  directors: Directors,
  report: Report,
): void {
  const family = advertisedFamily(instance);
  for (const name of directors.keys()) {
    const address = addressOf(name);
    if (address === undefined || family === undefined || familyOf(address) === family) continue;
    report(
      path,
      () =>
        `the address of director ${quote(name)} is ${familyName(familyOf(address))}, and the instance ${familyName(family)}: ` +
        "name for each director under 'peers' the address that it advertises from",
    );
    return;
  }
}

function checkTracked(
  bfd: Section<FileTrackedBfd>,
  directors: Directors,
  sessions: Sessions,
  report: Report,
): void {
  for (const [key, what] of [
    ['interface', 'interface'],
    ['peer', 'peer'],
    ['source', 'source'],
  ] as const) {
    checkEach(bfd.part(key), what, directors, report);
  }
  for (const director of directors.keys()) {
    const [device, peer, source] = [
      interfaceOf(bfd.part('interface'), director),
      interfaceOf(bfd.part('peer'), director),
      interfaceOf(bfd.part('source'), director),
    ];
    if (peer === undefined) continue;
    if (source !== undefined && familyOf(source) !== familyOf(peer)) {
      const message = () =>
        `the source ${source} is ${familyName(familyOf(source))}, and the peer ${peer} ${familyName(familyOf(peer))}`;
      report([...bfd.path, 'source'], message);
      return;
    }
    if (source === undefined && familyOf(peer) === 'ipv6' && !isLinkLocal(peer)) {
      report(bfd.path, () => `names no source for the peer ${peer}: expected the address that it answers to`);
      return;
    }
    if (device === undefined) continue;
    if (!sessions.take(director, device, peer, bfd.value)) return tellTwice(bfd.path, peer, report);
  }
}
