/** The shape of the configuration file: keys, types, ranges, defaults. What one value says about another is in semantics.ts. */
import * as z from 'zod';
import { ipvs } from './schema-ipvs.js';
import { metrics } from './schema-metrics.js';
import { network } from './schema-routing.js';
import { virtualServer } from './schema-servers.js';
import {
  absolutePath,
  expect,
  hostAddress,
  integer,
  interfaceOf,
  list,
  mapping,
  name,
} from './schema-values.js';
import { vrrp } from './schema-vrrp.js';

const director = mapping('priority, address', {
  priority: integer(1, 255).default(100),
  address: hostAddress,
});

const connectionSync = mapping('interface, id', { interface: interfaceOf, id: integer(1, 255) });

/** Beside 8112, where VRRP within UDP has its default: one rule of a firewall lets both pass. */
export const DEFAULT_PEER_PORT = 8113;

const PEER_CHANNEL = "a mapping (port, key_file, gateway), or 'off'";
const peerChannel = z.union(
  [
    mapping('port, key_file, gateway', {
      port: integer(1, 65_535).default(DEFAULT_PEER_PORT),
      key_file: absolutePath('the whole path of a file with the key').optional(),
      gateway: hostAddress.optional(),
    }),
    z.literal('off', { error: expect(PEER_CHANNEL) }),
  ],
  { error: expect(PEER_CHANNEL) },
);

const masquerade = mapping('source, interface, snat_address', {
  source: network,
  interface: interfaceOf,
  snat_address: hostAddress.optional(),
});

/** The whole file; durations come out as milliseconds, defaults filled in. */
export const fileSchema = mapping('version, directors, ...', {
  version: z.literal(1, { error: expect('1, the version of this format') }),
  directors: z.record(name, director, {
    error: expect('a mapping of director names to { priority, address }'),
  }),
  vrrp: vrrp.optional(),
  connection_sync: connectionSync.optional(),
  peer_channel: peerChannel.optional(),
  ipvs: ipvs.optional(),
  virtual_servers: list('virtual servers', virtualServer).default([]),
  masquerade: list('{ source, interface, snat_address }', masquerade).default([]),
  metrics: metrics.optional(),
});

export type ConfigFile = z.output<typeof fileSchema>;
export type FileMasquerade = ConfigFile['masquerade'][number];
export type FileDirector = ConfigFile['directors'][string];

/** JSON Schema (draft 2020-12) of the file as people write it. */
export function jsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' });
}
