/** Numbers of the IPVS sync protocol and of connections (net/netfilter/ipvs/ip_vs_sync.c, include/uapi/linux/ip_vs.h). */

/** IP_VS_CONN_F_*. */
export const CONN_F = {
  FWD_MASK: 0x7,
  NOOUTPUT: 0x80,
  INACTIVE: 0x100,
  OUT_SEQ: 0x200,
  IN_SEQ: 0x400,
  SEQ_MASK: 0x600,
  NO_CPORT: 0x800,
  TEMPLATE: 0x1000,
} as const;

/** IP_VS_CONN_F_BACKUP_MASK: the flags that a backup takes from a message; it forgets the others. */
export const CONN_F_BACKUP_MASK =
  CONN_F.FWD_MASK | CONN_F.NOOUTPUT | CONN_F.INACTIVE | CONN_F.SEQ_MASK | CONN_F.NO_CPORT | CONN_F.TEMPLATE;

/** SYNC_PROTO_VER. */
export const SYNC_VERSION = 1;
/** Bits of `type` in struct ip_vs_sync_v4 and ip_vs_sync_v6 (STYPE_F_INET6). */
export const STYPE_F_INET6 = 1;
/** The size of an entry shares its 16 bits with the version of entries (SVER_SHIFT, SVER_MASK). */
export const SVER_SHIFT = 12;
export const SVER_MASK = 0x0fff;

/** Optional parameters of an entry. One with the bit of PARAM may be passed over, another that is unknown may not. */
export const IPVS_OPT = { SEQ_DATA: 1, PE_DATA: 2, PE_NAME: 3, PARAM: 0x40 } as const;

/** IP_VS_PEDATA_MAXLEN and IP_VS_PENAME_MAXLEN. */
export const PE_DATA_MAX = 255;
export const PE_NAME_MAX = 16;

/** struct ip_vs_sync_mesg_v0, struct ip_vs_sync_mesg. */
export const HEADER_V0_BYTES = 4;
export const HEADER_BYTES = 8;
/** struct ip_vs_sync_conn_v0, and with struct ip_vs_sync_conn_options behind it. */
export const ENTRY_V0_BYTES = 24;
export const SEQUENCES_BYTES = 24;
/** struct ip_vs_sync_v4, struct ip_vs_sync_v6. */
export const ENTRY_V4_BYTES = 36;
export const ENTRY_V6_BYTES = 72;
/** `nr_conns` has eight bits. */
export const MAX_ENTRIES = 255;

/** Of a message of the kernel's: 1500 bytes less the headers of IPv6 and UDP, which fits IPv4's too. */
export const DEFAULT_MESSAGE_BYTES = 1452;
/** IP_VS_SYNC_GROUP, IP_VS_SYNC_PORT and `mcast_ttl` of a daemon that was told nothing else. */
export const DEFAULT_GROUP = '224.0.0.81';
export const DEFAULT_PORT = 8848;
export const DEFAULT_TTL = 1;

/** IPPROTO_*. The template of a firewall mark has IP. */
export const PROTOCOLS = {
  IP: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  ESP: 50,
  AH: 51,
  ICMPv6: 58,
  SCTP: 132,
} as const;

/** IP_VS_CTPL_S_*: states of a template, in the words of /proc/net/ip_vs_conn. */
export const TEMPLATE_STATES = ['NONE', 'ASSURED'] as const;

/** IP_VS_TCP_S_*. */
export const TCP_STATES = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
] as const;

/** `tcp_state_active_table`: the others count as inactive connections. */
export const ACTIVE_TCP_STATES: ReadonlySet<string> = new Set([
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'SYNACK',
]);

/** IP_VS_SCTP_S_*; of these, ESTABLISHED alone counts as active. */
export const SCTP_STATES = [
  'NONE',
  'INIT1',
  'INIT',
  'COOKIE_SENT',
  'COOKIE_REPLIED',
  'COOKIE_WAIT',
  'COOKIE',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECEIVED',
  'SHUTDOWN_ACK_SENT',
  'REJECTED',
  'CLOSED',
] as const;
