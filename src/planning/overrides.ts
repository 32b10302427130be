/** What the operator said of real servers at run time, over what the file says. Pure. */
import type { RealServer, VirtualServer } from '../config/model-servers.js';
import { endpointText } from '../util/ip-address.js';

/** Of one real server in the services of one name. */
export interface Override {
  readonly virtualServer: string;
  readonly address: string;
  readonly port: number;
  /** Undefined: that of the file. */
  readonly weight?: number | undefined;
  /** Out of the table, and not checked. */
  readonly disabled?: true | undefined;
}

export const OVERRIDE_ACTIONS = ['drain', 'undrain', 'disable', 'enable', 'weight'] as const;
export type OverrideAction = (typeof OVERRIDE_ACTIONS)[number];

export interface OverrideOrder {
  readonly action: OverrideAction;
  /** Null: every virtual server that has the real server. */
  readonly virtualServer: string | null;
  readonly address: string;
  /** Null: every port. */
  readonly port: number | null;
  /** With `weight`; null: that of the file. */
  readonly weight: number | null;
}

/** Most that are kept. */
export const MAX_OVERRIDES = 10_000;

export type OverrideResult =
  | { readonly ok: true; readonly overrides: readonly Override[]; readonly meant: readonly Override[] }
  | { readonly ok: false; readonly reason: string };

type Place = Pick<Override, 'virtualServer' | 'address' | 'port'>;

function keyOf({ virtualServer, address, port }: Place): string {
  return `${virtualServer} ${address} ${port}`;
}

/** An order on what was said before; `meant`: how the real servers stand that it is about. */
export function withOrder(
  overrides: readonly Override[],
  order: OverrideOrder,
  virtualServers: readonly VirtualServer[],
): OverrideResult {
  const places = placesOf(order, virtualServers);
  if (places.length === 0) return { ok: false, reason: refusal(order, virtualServers) };
  const said = new Map(overrides.map((override) => [keyOf(override), override]));
  const meant = places.map((place) => changed({ ...place, ...said.get(keyOf(place)) }, order));
  for (const override of meant) {
    const key = keyOf(override);
    if (saysNothing(override)) said.delete(key);
    else said.set(key, override);
  }
  if (said.size > MAX_OVERRIDES)
    return { ok: false, reason: `at most ${MAX_OVERRIDES} real servers can be overridden` };
  return { ok: true, overrides: [...said.values()], meant };
}

function changed(override: Override, { action, weight }: OverrideOrder): Override {
  switch (action) {
    case 'drain':
      return { ...override, weight: 0 };
    case 'undrain':
      return { ...override, weight: undefined };
    case 'weight':
      return { ...override, weight: weight ?? undefined };
    case 'disable':
      return { ...override, disabled: true };
    case 'enable':
      return { ...override, disabled: undefined };
  }
}

function saysNothing({ weight, disabled }: Override): boolean {
  return weight === undefined && disabled === undefined;
}

function placesOf(order: OverrideOrder, virtualServers: readonly VirtualServer[]): readonly Place[] {
  const places = new Map<string, Place>();
  for (const { name, realServers } of virtualServers) {
    if (order.virtualServer !== null && order.virtualServer !== name) continue;
    for (const { address, port } of realServers) {
      if (address !== order.address || (order.port !== null && order.port !== port)) continue;
      const place = { virtualServer: name, address, port };
      places.set(keyOf(place), place);
    }
  }
  return [...places.values()];
}

function refusal({ virtualServer, address, port }: OverrideOrder, servers: readonly VirtualServer[]): string {
  const real = port === null ? address : endpointText(address, port);
  if (virtualServer === null) return `no virtual server has a real server ${real}`;
  const isKnown = servers.some(({ name }) => name === virtualServer);
  return isKnown
    ? `the virtual server '${virtualServer}' has no real server ${real}`
    : `there is no virtual server '${virtualServer}'`;
}

/** Those whose real server the file still has. */
export function withoutStrangers(
  overrides: readonly Override[],
  virtualServers: readonly VirtualServer[],
): readonly Override[] {
  if (overrides.length === 0) return overrides;
  const known = new Set(
    virtualServers.flatMap(({ name, realServers }) =>
      realServers.map(({ address, port }) => keyOf({ virtualServer: name, address, port })),
    ),
  );
  return overrides.filter((override) => known.has(keyOf(override)));
}

/** The virtual servers as they are to be. */
export function overridden(
  virtualServers: readonly VirtualServer[],
  overrides: readonly Override[],
): readonly VirtualServer[] {
  if (overrides.length === 0) return virtualServers;
  const overrideOf = overrideFinder(overrides);
  const names = new Set(overrides.map(({ virtualServer }) => virtualServer));
  return virtualServers.map((server) => {
    if (!names.has(server.name)) return server;
    const realServers = server.realServers.flatMap((real) => {
      const override = overrideOf(server.name, real);
      if (override?.disabled === true) return [];
      if (override?.weight === undefined) return [real];
      return [{ ...real, weight: override.weight, isWeightFixed: true as const }];
    });
    return { ...server, realServers };
  });
}

export type OverrideOf = (
  virtualServer: string,
  realServer: Pick<RealServer, 'address' | 'port'>,
) => Override | undefined;

export function overrideFinder(overrides: readonly Override[]): OverrideOf {
  const said = new Map(overrides.map((override) => [keyOf(override), override]));
  return (virtualServer, { address, port }) => said.get(keyOf({ virtualServer, address, port }));
}

/** Such as `web: real server 10.0.0.2:80 is disabled, weight 0 (file: 1)`. */
export function overrideText(override: Override, virtualServers: readonly VirtualServer[]): string {
  const { virtualServer, address, port, weight, disabled } = override;
  const inFile = virtualServers
    .filter(({ name }) => name === virtualServer)
    .flatMap(({ realServers }) => realServers)
    .find((real) => real.address === address && real.port === port);
  const parts = [
    ...(disabled === true ? ['disabled'] : []),
    ...(weight === undefined ? [] : [`weight ${weight} (file: ${inFile?.weight ?? 'none'})`]),
  ];
  const words = parts.join(', ') || 'as the file says';
  return `${virtualServer}: real server ${endpointText(address, port)} is ${words}`;
}
