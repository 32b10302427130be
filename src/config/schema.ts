/** The shape of the configuration file: keys, types, ranges, defaults. What one value says about another is in semantics.ts. */
import * as z from 'zod';
import { isNetmask, parseHostAddress, refuseHostPrefix } from './address.js';
import { DURATION_PATTERN, formatDuration, parseDuration } from './duration.js';
import { SCHEDULERS } from './model.js';
import { suggestion } from './nearest.js';
import { MAX_FAULTS } from './report.js';
import { quote } from './yaml.js';

export const DEFAULT_PRIORITY = 100;
export const DEFAULT_PROTOCOL = 'tcp';
/** What `ipvsadm -A` takes when no scheduler is named. */
export const DEFAULT_SCHEDULER = 'wlc';
export const DEFAULT_CHECK_INTERVAL = '2s';
export const DEFAULT_CHECK_TIMEOUT = '1s';

/** RFC 9568 section 5.2.7: 12 bits of centiseconds, 0 is discarded. */
const ADVERTISEMENT_INTERVAL_MS = { min: 10, max: 40_950, step: 10 } as const;
const PREEMPT_DELAY_MS = { min: 0, max: 3_600_000, step: 1 } as const;
const CHECK_MS = { min: 50, max: 3_600_000, step: 1 } as const;
/** `ipvsadm` MAX_TIMEOUT: 31 days, in whole seconds. */
const PERSISTENCE_MS = { min: 1000, max: 31 * 86_400_000, step: 1000 } as const;
/** RFC 9568 section 5.2.5: the count of addresses is one byte. */
const MAX_ADDRESSES = 255;
/** IFNAMSIZ of the kernel, the closing zero byte left out. */
const MAX_INTERFACE_NAME = 15;
const MAX_NAME = 64;

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

/** A value of the file in a message: short, on one line, collections by their kind. */
function show(value: unknown): string {
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string'
    ? quote(value)
    : `${typeof value === 'number' || typeof value === 'boolean' ? value : typeof value}`;
}

/** The message for a value that is missing or is not `expected`. */
function expect(expected: string): (issue: RawIssue) => string {
  return (issue) =>
    issue.input === undefined
      ? `is missing: expected ${expected}`
      : `expected ${expected}, not ${show(issue.input)}`;
}

/** One line for each unknown key, in the order of `issue.keys`: parse.ts gives each its own position. */
function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  return keys
    .slice(0, MAX_FAULTS + 1)
    .map((key) => {
      const meant = suggestion(key, known);
      return `unknown key ${quote(key)}${meant === '' ? `; known here: ${known.join(', ')}` : meant}`;
    })
    .join('\n');
}

function mapping<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? unknownKeys(issue.keys, known)
        : expect(`a mapping (${what})`)(issue),
  });
}

function list<Item extends z.ZodType>(what: string, item: Item) {
  return z.array(item, { error: expect(`a list of ${what}`) });
}

function integer(min: number, max: number) {
  const error = expect(`a whole number from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

interface DurationRange {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** Text with a unit in, milliseconds out. */
function duration({ min, max, step }: DurationRange) {
  const whole = step === 1 ? '' : ` in whole ${step === 10 ? 'centiseconds' : 'seconds'}`;
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}${whole}`;
  return z
    .string({
      error: (issue) =>
        typeof issue.input === 'number'
          ? `a duration needs a unit: write ${issue.input}s or ${issue.input}ms instead of ${issue.input}`
          : expect(`a duration ${range}, such as 500ms, 1s, 5m or 2h`)(issue),
    })
    .regex(DURATION_PATTERN, {
      error: expect(`a duration ${range}, such as 500ms, 1s, 5m or 2h`),
      abort: true,
    })
    .refine(
      (text) => {
        const ms = parseDuration(text);
        return ms !== undefined && ms >= min && ms <= max && ms % step === 0;
      },
      { error: expect(`a duration ${range}`), abort: true },
    )
    .transform((text) => parseDuration(text) ?? min);
}

function checkedText(expected: string, refuse: (text: string) => string | undefined) {
  return z.string({ error: expect(expected) }).superRefine((text, context) => {
    const reason = refuse(text);
    if (reason !== undefined) context.addIssue({ code: 'custom', message: `${quote(text)} ${reason}` });
  });
}

const hostAddress = checkedText('an IPv4 address such as 192.168.1.253', (text) => {
  const parsed = parseHostAddress(text);
  return parsed.ok ? undefined : parsed.reason;
});

const hostPrefix = checkedText(
  'an IPv4 address with prefix length such as 192.168.1.253/24',
  refuseHostPrefix,
);

const NAME_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${MAX_NAME - 1}}$`);
const nameError = expect(`a name of 1 to ${MAX_NAME} letters, digits, '.', '_' or '-'`);
const name = z.string({ error: nameError }).regex(NAME_PATTERN, { error: nameError });

/** `dev_valid_name` of the kernel: fits IFNAMSIZ, is not `.` or `..`, has no `/`, no `:` and no white space. */
const INTERFACE_PATTERN = new RegExp(`^(?!\\.{1,2}$)[^/:\\s]{1,${MAX_INTERFACE_NAME}}$`);
const interfaceError = expect(
  `an interface name of 1 to ${MAX_INTERFACE_NAME} characters without '/', ':' or white space`,
);
const interfaceName = z.string({ error: interfaceError }).regex(INTERFACE_PATTERN, { error: interfaceError });
const interfaceOf = z.union([interfaceName, z.record(z.string(), interfaceName)], {
  error: expect('an interface name, or a mapping with one for each director'),
});

const director = mapping('priority, address', {
  priority: integer(1, 255).default(DEFAULT_PRIORITY),
  address: hostAddress,
});

const notYet = (what: string) => z.never({ error: `${what} is not supported yet` }).optional();

const preempt = z
  .union(
    [
      z.boolean(),
      mapping('delay', {
        delay: duration(PREEMPT_DELAY_MS).default(0),
        after: notYet("'preempt: { after: synced }'"),
        at_most: notYet("'at_most', which belongs to 'preempt: { after: synced }',"),
      }),
    ],
    { error: expect('true, false or { delay: 30s }') },
  )
  .default(true);

const virtualAddress = z.union(
  [hostPrefix, mapping('address, interface', { address: hostPrefix, interface: interfaceOf.optional() })],
  {
    error: expect(
      'an IPv4 address with prefix length such as 192.168.1.253/24, or { address: ..., interface: ... }',
    ),
  },
);

const instance = mapping('a VRRP instance', {
  name,
  interface: interfaceOf,
  virtual_router_id: integer(1, 255),
  version: z
    .literal(3, {
      error: (issue) =>
        issue.input === 2 ? 'VRRP version 2 is not supported yet: expected 3' : expect('3')(issue),
    })
    .default(3),
  advertisement_interval: duration(ADVERTISEMENT_INTERVAL_MS).default(1000),
  priority: z
    .record(z.string(), integer(1, 255), { error: expect('a mapping of director names to priorities') })
    .optional(),
  preempt,
  checksum: z.enum(['rfc5798', 'rfc9568'], { error: expect("'rfc5798' or 'rfc9568'") }).default('rfc5798'),
  addresses: list('addresses', virtualAddress)
    .min(1, { error: 'expected at least one address' })
    .max(MAX_ADDRESSES, { error: `expected at most ${MAX_ADDRESSES} addresses` }),
});

const syncGroup = mapping('name, instances', {
  name,
  instances: list('instance names', z.string({ error: expect('the name of an instance') })).min(2, {
    error: 'a sync group needs at least two instances',
  }),
});

const vrrp = mapping('instances, sync_groups', {
  instances: list('VRRP instances', instance),
  sync_groups: list('sync groups', syncGroup).default([]),
});

const connectionSync = mapping('interface, id', { interface: interfaceOf, id: integer(1, 255) });

const httpPath = z
  .string({ error: expect("a path that begins with '/'") })
  // oxlint-disable-next-line no-control-regex -- the request line is made of it
  .regex(/^\/[^\s\u0000-\u001f\u007f]*$/, {
    error: expect("a path that begins with '/', without white space"),
  });
const httpHost = z
  .string({ error: expect('a host name') })
  .regex(/^[A-Za-z0-9._:[\]-]{1,255}$/, { error: expect('a host name, with or without :PORT') });

const healthCheck = mapping('tcp or http, interval, timeout, rise, fall', {
  tcp: mapping('no keys: write it as tcp: {}', {}).optional(),
  http: mapping('path, status, host', {
    path: httpPath.default('/'),
    status: integer(100, 599).default(200),
    host: httpHost.optional(),
  }).optional(),
  interval: duration(CHECK_MS).default(parseDuration(DEFAULT_CHECK_INTERVAL) ?? 0),
  timeout: duration(CHECK_MS).default(parseDuration(DEFAULT_CHECK_TIMEOUT) ?? 0),
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
  address: hostAddress,
  port: integer(1, 65_535).optional(),
  weight: integer(0, 65_535).default(1),
});

const virtualServer = mapping('a virtual server', {
  name,
  address: hostAddress,
  port: integer(1, 65_535),
  protocol: z
    .enum(['tcp', 'udp', 'sctp'], { error: expect("'tcp', 'udp' or 'sctp'") })
    .default(DEFAULT_PROTOCOL),
  scheduler: z
    .enum(SCHEDULERS, { error: expect(`a scheduler (${SCHEDULERS.join(', ')})`) })
    .default(DEFAULT_SCHEDULER),
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

/** JSON Schema (draft 2020-12) of the file as people write it. */
export function jsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' });
}
