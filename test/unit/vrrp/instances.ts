/** VRRP instances for tests, with the defaults of the configuration. */
import {
  type DirectorConfig,
  MAIN_TABLE,
  NO_IPVS_SETTINGS,
  type VirtualRoute,
  type VirtualRule,
  type VrrpInstance,
} from '../../../src/config/model.js';
import type { Configuration } from '../../../src/runtime/configuration.js';

/** `advertised` follows `addresses` unless it is given. */
export function vrrpInstance(overrides: Partial<VrrpInstance> = {}): VrrpInstance {
  const settings = {
    name: 'outside',
    interface: 'eth0',
    version: 3,
    family: 'ipv4',
    virtualRouterId: 51,
    priority: 100,
    advertisementIntervalMs: 1000,
    preempt: { mode: 'never' },
    startupDelayMs: 0,
    acceptMode: true,
    virtualMacInterface: undefined,
    transport: { kind: 'multicast' },
    checksum: 'rfc5798',
    addresses: [{ address: '192.0.2.1', prefixLength: 24, interface: overrides.interface ?? 'eth0' }],
    routes: [],
    rules: [],
    announcing: { repeatMs: [100, 1000, 5000], refreshMs: undefined },
    track: [],
    ...overrides,
  } as const;
  return { advertised: settings.addresses.map((one) => one.address), ...settings };
}

/** An IPv4 default route of the main table, but for `overrides`. */
export function virtualRoute(overrides: Partial<VirtualRoute> = {}): VirtualRoute {
  return {
    type: 'unicast',
    table: MAIN_TABLE,
    destination: '0.0.0.0',
    prefixLength: 0,
    via: undefined,
    interface: 'eth0',
    source: undefined,
    metric: undefined,
    scope: undefined,
    onLink: false,
    mtu: undefined,
    ...overrides,
  };
}

/** A rule that sends everything to table 100, but for `overrides`. */
export function virtualRule(overrides: Partial<VirtualRule> = {}): VirtualRule {
  return {
    family: 'ipv4',
    priority: 1000,
    action: { table: 100 },
    invert: false,
    from: undefined,
    to: undefined,
    fwmark: undefined,
    iif: undefined,
    oif: undefined,
    ipProtocol: undefined,
    sourcePorts: undefined,
    destinationPorts: undefined,
    suppressPrefixLength: undefined,
    ...overrides,
  };
}

export function directorConfig(overrides: Partial<DirectorConfig> = {}): DirectorConfig {
  return {
    director: 'lb1',
    peers: [],
    instances: [],
    saysVrrp: true,
    syncGroups: [],
    tracked: [],
    hooks: [],
    permanentAddresses: false,
    connectionSync: undefined,
    peerChannel: undefined,
    ipvs: NO_IPVS_SETTINGS,
    virtualServers: [],
    masquerades: [],
    metrics: undefined,
    ...overrides,
  };
}

/** As the loader would tell it. */
export function configuration(overrides: Partial<DirectorConfig> = {}, path = '/run/x.json'): Configuration {
  const { virtualServers, hooks: _hooks, metrics: _metrics, ...election } = directorConfig(overrides);
  return { election, path, virtualServers: virtualServers.length, realServers: 0, sha256: 'abc' };
}
