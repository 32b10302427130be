/** An instance's settings as `director status --json` tells them, and their differences in words. Pure. */
import type { InstanceBfd, Preempt, TrackUse, VrrpInstance, VrrpTransportKind } from '../config/model.js';
import type { AddressFamily } from '../util/ip-address.js';
import { routeText, ruleText } from './routing-text.js';

/** A contract for programs: fields are only ever added. What is undefined in the model is null or left out here. */
export interface InstanceSettings {
  readonly version: 2 | 3;
  readonly family: AddressFamily;
  /** `always`, `never`, `after 30000 ms`, `after synced, at most 60000 ms`, or with both. */
  readonly preempt: string;
  readonly startup_delay_ms: number;
  readonly accept_mode: boolean;
  readonly virtual_mac_interface: string | null;
  /** Such as `multicast` or `unicast from 10.0.0.1 to 10.0.0.2`. */
  readonly transport: string;
  readonly checksum: string;
  /** Addresses in the advertisement, in its order. */
  readonly advertised: readonly string[];
  /** As `ip route` writes them. */
  readonly routes: readonly string[];
  /** As `ip rule` writes them. */
  readonly rules: readonly string[];
  readonly announce_repeat_ms: readonly number[];
  readonly announce_refresh_ms: number | null;
  /** Names of tracked objects, with their weights: `uplink`, `web weight -30`. */
  readonly track: readonly string[];
  /** Such as `from 10.0.0.1 to 10.0.0.2 every 15 ms, multiplier 3`; null without. */
  readonly bfd: string | null;
}

export function instanceSettings(instance: VrrpInstance): InstanceSettings {
  return {
    version: instance.version,
    family: instance.family,
    preempt: preemptText(instance.preempt),
    startup_delay_ms: instance.startupDelayMs,
    accept_mode: instance.acceptMode,
    virtual_mac_interface: instance.virtualMacInterface ?? null,
    transport: transportText(instance.transport),
    checksum: instance.checksum,
    advertised: instance.advertised,
    routes: instance.routes.map(routeText),
    rules: instance.rules.map(ruleText),
    announce_repeat_ms: instance.announcing.repeatMs,
    announce_refresh_ms: instance.announcing.refreshMs ?? null,
    track: instance.track.map(trackText),
    bfd: instance.bfd === undefined ? null : bfdText(instance.bfd),
  };
}

function bfdText({ local, peers, settings }: InstanceBfd): string {
  const { intervalMs, minReceiveMs, multiplier } = settings;
  const receiving = minReceiveMs === intervalMs ? '' : `, received every ${minReceiveMs} ms`;
  return `from ${local} to ${peers.join(', ')} every ${intervalMs} ms${receiving}, multiplier ${multiplier}`;
}

function preemptText(preempt: Preempt): string {
  if (preempt.mode === 'never') return 'never';
  const { mode, delayMs } = preempt;
  if (mode === 'always') return delayMs === 0 ? 'always' : `after ${delayMs} ms`;
  return `after ${delayMs === 0 ? '' : `${delayMs} ms and `}synced, at most ${preempt.atMostMs} ms`;
}

function transportText(transport: VrrpTransportKind): string {
  if (transport.kind === 'multicast') return 'multicast';
  const { local, peers } = transport;
  const ends = local === undefined ? '' : ` from ${local} to ${peers.join(', ')}`;
  if (transport.kind === 'udp') return `udp port ${transport.port}${ends || ' by multicast'}`;
  return `unicast${ends}${transport.minTtl === 255 ? '' : ` with a TTL of ${transport.minTtl} or more`}`;
}

export function trackText({ object, weight }: TrackUse): string {
  return weight === undefined ? object : `${object} weight ${weight > 0 ? '+' : ''}${weight}`;
}

const NAMES: readonly (readonly [key: keyof InstanceSettings, name: string])[] = [
  ['version', 'VRRP version'],
  ['family', 'family'],
  ['transport', 'transport'],
  ['virtual_mac_interface', 'virtual MAC interface'],
  ['checksum', 'checksum'],
  ['preempt', 'preempt'],
  ['startup_delay_ms', 'start-up delay (ms)'],
  ['accept_mode', 'accept mode'],
  ['bfd', 'BFD'],
  ['announce_repeat_ms', 'announcements repeated after (ms)'],
  ['announce_refresh_ms', 'announcements refreshed every (ms)'],
];

/**
 * One line for each setting that changes; what a running director does not tell yet counts as the same. Of the
 * addresses in the advertisement those in `kept` alone: what is added or removed altogether is told elsewhere.
 */
export function settingDifferences(
  wanted: InstanceSettings,
  now: Partial<InstanceSettings>,
  kept: ReadonlySet<string>,
): string[] {
  const changed = NAMES.flatMap(([key, name]) => {
    const before = now[key];
    if (before === undefined || valueText(before) === valueText(wanted[key])) return [];
    return [`${name} ${valueText(before)} -> ${valueText(wanted[key])}`];
  });
  const isKept = (address: string) => kept.has(address);
  return [
    ...changed,
    ...advertisedDifferences(wanted.advertised.filter(isKept), now.advertised?.filter(isKept)),
    ...listDifferences(wanted.routes, now.routes, 'add route', 'remove route'),
    ...listDifferences(wanted.rules, now.rules, 'add rule', 'remove rule'),
    ...listDifferences(wanted.track, now.track, 'track', 'no longer track'),
  ];
}

function valueText(value: InstanceSettings[keyof InstanceSettings]): string {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  return value.length === 0 ? 'none' : value.join(', ');
}

function advertisedDifferences(wanted: readonly string[], now: readonly string[] | undefined): string[] {
  const differences = listDifferences(wanted, now, 'advertise', 'no longer advertise');
  if (now === undefined || differences.length > 0 || wanted.join() === now.join()) return differences;
  return [`advertise in another order: ${wanted.join(', ')}`];
}

export function listDifferences(
  wanted: readonly string[],
  now: readonly string[] | undefined,
  adds: string,
  removes: string,
): string[] {
  if (now === undefined) return [];
  const [before, after] = [new Set(now), new Set(wanted)];
  return [
    ...wanted.filter((text) => !before.has(text)).map((text) => `${adds} ${text}`),
    ...now.filter((text) => !after.has(text)).map((text) => `${removes} ${text}`),
  ];
}
