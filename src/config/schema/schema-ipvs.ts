/** The shape of `ipvs`: what is the kernel's as a whole, and of no virtual server. */
import * as z from 'zod';
import { duration, expect, integer, mapping } from './schema-values.js';

/** `ipvsadm` MAX_TIMEOUT: 31 days, in whole seconds. */
const timeout = duration({ min: 1000, max: 31 * 86_400_000, step: 1000 }).optional();

const flag = integer(0, 1).optional();
const upTo = (max: number) => integer(0, max).optional();
const BIG = 0x7fff_ffff;

const threshold = z
  .string({ error: expect("two numbers such as '3 50'") })
  .regex(/^\d{1,9} \d{1,9}$/, { error: expect("two numbers such as '3 50'") })
  .optional();
const processors = z
  .string({ error: expect("a list of processors such as '0-3,8'") })
  .regex(/^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/, { error: expect("a list of processors such as '0-3,8'") })
  .optional();

/** Documentation/networking/ipvs-sysctl.rst of Linux 6.12, and what 7.x has beside. A kernel that lacks one is told of. */
const sysctls = mapping('names of net.ipv4.vs sysctls', {
  am_droprate: upTo(BIG),
  amemthresh: upTo(BIG),
  backup_only: flag,
  cache_bypass: flag,
  conn_lfactor: integer(-8, 8).optional(),
  conn_max: upTo(BIG),
  conn_reuse_mode: upTo(3),
  conntrack: flag,
  debug_level: upTo(255),
  drop_entry: upTo(3),
  drop_packet: upTo(3),
  est_cpulist: processors,
  est_nice: integer(-20, 19).optional(),
  expire_nodest_conn: flag,
  expire_quiescent_template: flag,
  ignore_tunneled: flag,
  nat_icmp_send: flag,
  pmtu_disc: flag,
  run_estimation: flag,
  schedule_icmp: flag,
  secure_tcp: upTo(3),
  sloppy_sctp: flag,
  sloppy_tcp: flag,
  snat_reroute: flag,
  svc_lfactor: integer(-8, 8).optional(),
  sync_persist_mode: flag,
  sync_ports: integer(1, 64).optional(),
  sync_qlen_max: upTo(BIG),
  sync_refresh_period: upTo(BIG),
  sync_retries: upTo(8),
  sync_sock_size: upTo(BIG),
  sync_threshold: threshold,
  sync_version: flag,
});

export const ipvs = mapping('timeouts, sysctls, exclusive', {
  timeouts: mapping('tcp, tcpfin, udp', { tcp: timeout, tcpfin: timeout, udp: timeout }).default({}),
  sysctls: sysctls.default({}),
  exclusive: z.boolean({ error: expect('true or false') }).default(false),
});

export type FileIpvs = z.output<typeof ipvs>;
