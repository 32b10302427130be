/** VRRP instances for tests, with the defaults of the configuration. */
import type { DirectorConfig, VrrpInstance } from '../../src/config/model.js';

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
    announcing: { repeatMs: [100, 1000, 5000], refreshMs: undefined },
    track: [],
    ...overrides,
  } as const;
  return { advertised: settings.addresses.map((one) => one.address), ...settings };
}

export function directorConfig(overrides: Partial<DirectorConfig> = {}): DirectorConfig {
  return {
    director: 'lb1',
    peers: [],
    instances: [],
    syncGroups: [],
    tracked: [],
    hooks: [],
    connectionSync: undefined,
    virtualServers: [],
    ...overrides,
  };
}
