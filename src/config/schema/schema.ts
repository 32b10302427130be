/** The shape of the configuration file: keys, types, ranges, defaults. What one value says about another is in semantics.ts. */
import * as z from 'zod';
import { isNetmask } from '../address.js';
import { SCHEDULERS } from '../model.js';
import {
  checkedText,
  duration,
  expect,
  hostAddress,
  integer,
  interfaceOf,
  ipv4Only,
  list,
  mapping,
  name,
} from './schema-values.js';
import { vrrp } from './schema-vrrp.js';

const CHECK_MS = { min: 50, max: 3_600_000, step: 1 } as const;
/** `ipvsadm` MAX_TIMEOUT: 31 days, in whole seconds. */
const PERSISTENCE_MS = { min: 1000, max: 31 * 86_400_000, step: 1000 } as const;

const director = mapping('priority, address', {
  priority: integer(1, 255).default(100),
  address: hostAddress,
});

const connectionSync = mapping('interface, id', { interface: interfaceOf, id: integer(1, 255) });

/** What a request line takes as it is (RFC 9112 section 3.2): visible ASCII. */
const httpPathError = expect("a path that begins with '/', in visible ASCII with %XX for all else");
const httpPath = z.string({ error: httpPathError }).regex(/^\/[!-~]*$/, { error: httpPathError });
const httpHost = z
  .string({ error: expect('a host name') })
  .regex(/^[A-Za-z0-9._:[\]-]{1,255}$/, { error: expect('a host name, with or without :PORT') });

const healthCheck = mapping('tcp or http, interval, timeout, rise, fall', {
  tcp: mapping('no keys: write it as tcp: {}', {}).optional(),
  http: mapping('path, status, host', {
    path: httpPath.default('/'),
    // 1xx is never the last answer (RFC 9110 section 15.2).
    status: integer(200, 599).default(200),
    host: httpHost.optional(),
  }).optional(),
  interval: duration(CHECK_MS).default(2000),
  timeout: duration(CHECK_MS).default(1000),
  rise: integer(1, 255).default(2),
  fall: integer(1, 255).default(3),
});

const persistence = mapping('timeout, netmask', {
  timeout: duration(PERSISTENCE_MS).default(300_000),
  netmask: checkedText('a netmask such as 255.255.255.0', (text) =>
    isNetmask(text) ? undefined : 'is not a netmask such as 255.255.255.0',
  ).default('255.255.255.255'),
});

const realServer = mapping('address, port, weight', {
  address: ipv4Only('real servers'),
  port: integer(1, 65_535).optional(),
  weight: integer(0, 65_535).default(1),
});

const virtualServer = mapping('a virtual server', {
  name,
  address: ipv4Only('virtual servers'),
  port: integer(1, 65_535),
  protocol: z.enum(['tcp', 'udp', 'sctp'], { error: expect("'tcp', 'udp' or 'sctp'") }).default('tcp'),
  scheduler: z
    .enum(SCHEDULERS, { error: expect(`a scheduler (${SCHEDULERS.join(', ')})`) })
    // What `ipvsadm -A` takes when no scheduler is named.
    .default('wlc'),
  forwarding: z.enum(['nat', 'dr', 'tun'], {
    error: (issue) =>
      issue.input === 'fullnat'
        ? "'fullnat' is not supported yet: expected 'nat', 'dr' or 'tun'"
        : expect("'nat', 'dr' or 'tun'")(issue),
  }),
  persistence: persistence.optional(),
  health_check: healthCheck.optional(),
  vrrp_instance: z.string({ error: expect('the name of an instance') }).optional(),
  real_servers: list('real servers', realServer).min(1, { error: 'expected at least one real server' }),
});

/** The whole file; durations come out as milliseconds, defaults filled in. */
export const fileSchema = mapping('version, directors, ...', {
  version: z.literal(1, { error: expect('1, the version of this format') }),
  directors: z.record(name, director, {
    error: expect('a mapping of director names to { priority, address }'),
  }),
  vrrp: vrrp.optional(),
  connection_sync: connectionSync.optional(),
  virtual_servers: list('virtual servers', virtualServer).default([]),
});

export type ConfigFile = z.output<typeof fileSchema>;
export type FileDirector = ConfigFile['directors'][string];
export type FileVirtualServer = ConfigFile['virtual_servers'][number];

/** JSON Schema (draft 2020-12) of the file as people write it. */
export function jsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' });
}
