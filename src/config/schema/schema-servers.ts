/** The shape of `virtual_servers`. */
import * as z from 'zod';
import { isNetmask } from '../address.js';
import { FORWARDINGS, SCHEDULER_FLAGS, SCHEDULERS } from '../model-servers.js';
import { parseAddressRange, parsePortRange } from '../ranges.js';
import { healthCheck, healthChecks } from './schema-checks.js';
import { checkedText, duration, expect, hostAddress, integer, list, mapping, name } from './schema-values.js';

/** `ipvsadm` MAX_TIMEOUT: 31 days, in whole seconds. */
const PERSISTENCE_MS = { min: 1000, max: 31 * 86_400_000, step: 1000 } as const;
const DRAIN_MS = { min: 0, max: 86_400_000, step: 1 } as const;
const SLOW_START_MS = { min: 0, max: 3_600_000, step: 1 } as const;
/** Weights of all real servers that a file may have. */
const MAX_QUORUM = 0xffff_ffff;

const port = integer(1, 65_535);

const persistence = mapping('timeout, netmask, prefix_length, engine', {
  timeout: duration(PERSISTENCE_MS).default(300_000),
  netmask: checkedText('a netmask such as 255.255.255.0', (text) =>
    isNetmask(text) ? undefined : 'is not a netmask such as 255.255.255.0',
  ).default('255.255.255.255'),
  prefix_length: integer(1, 128).default(128),
  engine: z
    .enum(['sip'], { error: expect("'sip', the one persistence engine that the kernel has") })
    .optional(),
});

const forwarding = z.enum(FORWARDINGS, { error: expect("'nat', 'dr', 'tun' or 'fullnat'") });

const tunnel = mapping('type, port, checksum', {
  type: z.enum(['ipip', 'gue', 'gre'], { error: expect("'ipip', 'gue' or 'gre'") }),
  port: port.optional(),
  checksum: z
    .enum(['none', 'csum', 'remcsum'], { error: expect("'none', 'csum' or 'remcsum'") })
    .default('none'),
});

/** Connections; the kernel counts them in 32 bits. */
const threshold = integer(0, 0xffff_ffff).default(0);

const realServer = mapping('address, port, weight, forwarding, tunnel, thresholds', {
  address: hostAddress,
  port: port.optional(),
  weight: integer(0, 65_535).default(1),
  forwarding: forwarding.optional(),
  tunnel: tunnel.optional(),
  thresholds: mapping('upper, lower', { upper: threshold, lower: threshold }).optional(),
});

const quorum = mapping('up, hysteresis', {
  up: integer(1, MAX_QUORUM),
  hysteresis: integer(0, MAX_QUORUM).default(0),
});

const percentError = expect('a percentage such as 50%, 1% to 100%');
const percent = z
  .string({ error: percentError })
  .regex(/^([1-9][0-9]?|100)%$/, { error: percentError })
  .transform((text) => Number(text.slice(0, -1)) / 100);

const sorryServer = mapping('address, port, forwarding, tunnel', {
  address: hostAddress,
  port: port.optional(),
  forwarding: forwarding.optional(),
  tunnel: tunnel.optional(),
});

const addressRange = checkedText('an address, or a range such as 192.0.2.20-192.0.2.30', (text) => {
  const range = parseAddressRange(text);
  return range.ok ? undefined : range.reason;
});
const portRange = z.union([
  port,
  checkedText('a port, or a range such as 8000-8010', (text) => {
    const range = parsePortRange(text);
    return range.ok ? undefined : range.reason;
  }),
]);

/** What says which traffic is meant has many forms: semantics-services.ts sees to it that one is there. */
export const virtualServer = mapping('a virtual server', {
  name,
  address: hostAddress.optional(),
  addresses: list('addresses and ranges', addressRange)
    .min(1, { error: 'expected at least one address' })
    .optional(),
  port: integer(0, 65_535).optional(),
  ports: list('ports and ranges', portRange).min(1, { error: 'expected at least one port' }).optional(),
  protocol: z.enum(['tcp', 'udp', 'sctp'], { error: expect("'tcp', 'udp' or 'sctp'") }).default('tcp'),
  fwmark: integer(1, 0xffff_ffff).optional(),
  family: z.enum(['ipv4', 'ipv6'], { error: expect("'ipv4' or 'ipv6'") }).default('ipv4'),
  scheduler: z
    .enum(SCHEDULERS, { error: expect(`a scheduler (${SCHEDULERS.join(', ')})`) })
    // What `ipvsadm -A` takes when no scheduler is named.
    .default('wlc'),
  scheduler_flags: list(
    'scheduler flags',
    z.enum(SCHEDULER_FLAGS, { error: expect(`a scheduler flag (${SCHEDULER_FLAGS.join(', ')})`) }),
  ).default([]),
  one_packet: z.boolean({ error: expect('true or false') }).default(false),
  forwarding,
  tunnel: tunnel.optional(),
  snat_address: hostAddress.optional(),
  persistence: persistence.optional(),
  health_check: healthCheck.optional(),
  health_checks: healthChecks.optional(),
  vrrp_instance: z.string({ error: expect('the name of an instance') }).optional(),
  sorry_server: sorryServer.optional(),
  quorum: quorum.optional(),
  panic_threshold: percent.optional(),
  slow_start: duration(SLOW_START_MS).default(0),
  on_failure: z
    .enum(['remove', 'weight_zero'], { error: expect("'remove' or 'weight_zero'") })
    .default('remove'),
  drain: duration(DRAIN_MS).default(30_000),
  real_servers: list('real servers', realServer).min(1, { error: 'expected at least one real server' }),
});

export type FileVirtualServer = z.output<typeof virtualServer>;
export type FileRealServer = FileVirtualServer['real_servers'][number];
export type FileSorryServer = z.output<typeof sorryServer>;
export type FileTunnel = z.output<typeof tunnel>;
