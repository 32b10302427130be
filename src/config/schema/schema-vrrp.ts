/** The shape of `vrrp`: instances, sync groups, tracked objects and hooks. */
import * as z from 'zod';
import { HOOK_EVENTS, MAX_HELD } from '../model.js';
import { instanceBfd, trackedBfd } from './schema-bfd.js';
import { route, rule } from './schema-routing.js';
import {
  absolutePath,
  command,
  duration,
  expect,
  hostAddress,
  hostPrefix,
  integer,
  interfaceOf,
  list,
  mapping,
  name,
  user,
} from './schema-values.js';

/** Not interoperable with anything, so any port would do: that of the protocol's number, 112, with 8000 added. */
export const DEFAULT_UDP_PORT = 8112;

/** RFC 9568 section 5.2.7 (12 bits of centiseconds) and RFC 3768 section 5.3.7 (8 bits of seconds); 0 is discarded. */
const ADVERTISEMENT_INTERVAL_MS = {
  min: 10,
  max: 255_000,
  step: 10,
  said: 'from 10ms to 40.95s in whole centiseconds (version 2: from 1s to 255s in whole seconds)',
} as const;
const DELAY_MS = { min: 0, max: 3_600_000, step: 1 } as const;
const AWAIT_SYNC_MS = { min: 1000, max: 3_600_000, step: 1 } as const;
/** No default of the schema's: it goes with `after: synced` alone. */
export const DEFAULT_AWAIT_SYNC_MS = 60_000;
const LOOK_MS = { min: 50, max: 3_600_000, step: 1 } as const;
const HOOK_TIMEOUT_MS = { min: 100, max: 3_600_000, step: 1 } as const;
const ANNOUNCE_MS = { min: 10, max: 3_600_000, step: 1 } as const;
const REFRESH_MS = { min: 1000, max: 86_400_000, step: 1 } as const;
const MAX_REPEATS = 16;

/** Virtual routers that one host's guardian can bid farewell for. */
export const MAX_INSTANCES = 256;
/** Every packet without a cached route is compared with one after the other. */
export const MAX_RULES = 256;
const MAX_TRACKED = 1024;
const MAX_HOOKS = 64;
/** A quorum and the sum of weights it is compared with. */
const MAX_QUORUM = 2 ** 31 - 1;
/** No default of the schema's: a quorum goes with virtual servers alone. */
export const DEFAULT_QUORUM = 1;
/** keepalived's bound too: a weight can carry a priority from one end to the other. */
export const MAX_TRACK_WEIGHT = 253;

const preempt = z
  .union(
    [
      z.boolean(),
      mapping('delay, after, at_most', {
        delay: duration(DELAY_MS).default(0),
        after: z.literal('synced', { error: expect("'synced'") }).optional(),
        at_most: duration(AWAIT_SYNC_MS).optional(),
      }),
    ],
    { error: expect('true, false, { delay: 30s } or { after: synced, at_most: 60s }') },
  )
  .default(true);

const virtualAddress = z.union(
  [
    hostPrefix,
    mapping('address, interface, advertise', {
      address: hostPrefix,
      interface: interfaceOf.optional(),
      advertise: z.boolean({ error: expect('true or false') }).default(true),
    }),
  ],
  {
    error: expect(
      'an address with prefix length such as 192.168.1.253/24 or 2001:db8::1/64, or { address: ..., interface: ... }',
    ),
  },
);

const addressOfEach = z.record(z.string(), hostAddress, {
  error: expect('a mapping with an address for each director'),
});

const transport = z
  .union(
    [
      mapping('unicast or udp', {
        unicast: addressOfEach.optional(),
        min_ttl: integer(1, 255).optional(),
        udp: mapping('port, peers', {
          port: integer(1, 65_535).default(DEFAULT_UDP_PORT),
          peers: addressOfEach.optional(),
        }).optional(),
      }),
      z.enum(['multicast', 'unicast', 'udp'], {
        error: expect("'multicast', 'unicast', 'udp', { unicast: ... } or { udp: ... }"),
      }),
    ],
    { error: expect("'multicast', 'unicast', 'udp', { unicast: ... } or { udp: ... }") },
  )
  .default('multicast');

/** After the first announcement: switches drop frames, neighbours miss them, so it is said again. */
const DEFAULT_REPEAT_MS = [100, 1000, 5000];

const announce = mapping('repeat, refresh', {
  repeat: list('durations', duration(ANNOUNCE_MS))
    .max(MAX_REPEATS, { error: `expected at most ${MAX_REPEATS} repetitions` })
    .default(DEFAULT_REPEAT_MS),
  refresh: duration(REFRESH_MS).optional(),
});

const weight = integer(-MAX_TRACK_WEIGHT, MAX_TRACK_WEIGHT).refine((value) => value !== 0, {
  error: 'a weight of 0 says nothing: leave it out for a fault, or take another',
});

const objectName = z.string({ error: expect('the name of a tracked object') });

const track = list(
  'tracked objects',
  z.union([objectName, mapping('name, weight', { name: objectName, weight: weight.optional() })], {
    error: expect('the name of a tracked object, or { name: ..., weight: ... }'),
  }),
).default([]);

const flag = z.boolean({ error: expect('true or false') });

const instance = mapping('a VRRP instance', {
  name,
  interface: interfaceOf,
  virtual_router_id: integer(1, 255),
  version: z.literal([2, 3], { error: expect('2 or 3') }).default(3),
  advertisement_interval: duration(ADVERTISEMENT_INTERVAL_MS).default(1000),
  priority: z
    .record(z.string(), integer(1, 255), { error: expect('a mapping of director names to priorities') })
    .optional(),
  preempt,
  startup_delay: duration(DELAY_MS).optional(),
  accept_mode: flag.default(true),
  virtual_mac: flag.default(false),
  transport,
  checksum: z.enum(['rfc5798', 'rfc9568'], { error: expect("'rfc5798' or 'rfc9568'") }).default('rfc5798'),
  addresses: list('addresses', virtualAddress)
    .min(1, { error: 'expected at least one address' })
    .max(MAX_HELD, { error: `expected at most ${MAX_HELD} addresses` }),
  routes: list('routes', route)
    .max(MAX_HELD, { error: `expected at most ${MAX_HELD} routes` })
    .default([]),
  rules: list('rules', rule)
    .max(MAX_RULES, { error: `expected at most ${MAX_RULES} rules` })
    .default([]),
  announce: announce.default({ repeat: DEFAULT_REPEAT_MS }),
  track,
  bfd: instanceBfd.optional(),
});

const instanceName = z.string({ error: expect('the name of an instance') });

const syncGroup = mapping('name, instances, track', {
  name,
  instances: list('instance names', instanceName).min(2, {
    error: 'a sync group needs at least two instances',
  }),
  track,
});

const processName = 'the name of a process, without its path';

const tracked = mapping('name and interface, file, script, process, virtual_server or bfd', {
  name,
  interface: interfaceOf.optional(),
  address: hostAddress.optional(),
  file: absolutePath("a path that begins with '/'").optional(),
  script: command.optional(),
  user: user.optional(),
  timeout: duration(LOOK_MS).optional(),
  process: z
    .string({ error: expect(processName) })
    .regex(/^[^/\s\0][^/\0]{0,254}$/, { error: expect(processName) })
    .optional(),
  virtual_server: z.string({ error: expect('the name of a virtual server') }).optional(),
  quorum: integer(1, MAX_QUORUM).optional(),
  bfd: trackedBfd.optional(),
  interval: duration(LOOK_MS).default(1000),
  rise: integer(1, 255).default(1),
  fall: integer(1, 255).default(1),
  debounce: duration(DELAY_MS).default(0),
});

const events = HOOK_EVENTS.map((event) => `'${event}'`).join(', ');

const hook = mapping('command, on, instances, user, timeout', {
  command,
  on: list('events', z.enum(HOOK_EVENTS, { error: expect(`one of ${events}`) }))
    .min(1, { error: `expected at least one of ${events}` })
    .default([...HOOK_EVENTS]),
  instances: list('instance names', instanceName)
    .min(1, { error: 'expected at least one instance: leave the key out for all of them' })
    .optional(),
  user: user.optional(),
  timeout: duration(HOOK_TIMEOUT_MS).default(10_000),
});

export const vrrp = mapping('instances, sync_groups, track, hooks, startup_delay, permanent_addresses', {
  startup_delay: duration(DELAY_MS).default(0),
  permanent_addresses: flag.default(false),
  instances: list('VRRP instances', instance).max(MAX_INSTANCES, {
    error: `expected at most ${MAX_INSTANCES} instances`,
  }),
  sync_groups: list('sync groups', syncGroup).default([]),
  track: list('tracked objects', tracked)
    .max(MAX_TRACKED, { error: `expected at most ${MAX_TRACKED} tracked objects` })
    .default([]),
  hooks: list('hooks', hook)
    .max(MAX_HOOKS, { error: `expected at most ${MAX_HOOKS} hooks` })
    .default([]),
});

export type FileVrrp = z.output<typeof vrrp>;
export type FileInstance = FileVrrp['instances'][number];
export type FileAddress = FileInstance['addresses'][number];
export type FileSyncGroup = FileVrrp['sync_groups'][number];
export type FileTracked = FileVrrp['track'][number];
