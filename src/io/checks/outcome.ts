/** Outcomes of health probes in words. */
import { getSystemErrorMap } from 'node:util';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';

/** A status line and headers that are longer are no answer of a health page. */
export const MAX_HEADER_BYTES = 16 * 1024;

/** Of what Node.js says: names out of a real server's certificate may be many. */
const MAX_WORDS = 200;

const NOT_TLS = 'the TLS handshake failed: is it TLS that is spoken on this port?';

/** Words for the usual errors of connect(2) and of reading an answer. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EHOSTDOWN: 'host is down',
  EACCES: 'this host has a route that prohibits it, or a security module',
  EPERM: 'a firewall of this host refuses it',
  EINVAL: 'this host has a route that discards it',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed: name it as ca_file, or verify: false',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate is of an authority that is not known: name it as ca_file, or verify: false',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is of an authority that is not known: name it as ca_file, or verify: false',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is of an authority that is not known: name it as ca_file, or verify: false',
  EPROTO: NOT_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  HPE_HEADER_OVERFLOW: `more than ${MAX_HEADER_BYTES} bytes of headers`,
};

/** What this host has run out of: says nothing of the real server. */
const OWN_FAULTS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'this host lacks the address that it is to ask from, or has no port left',
  EAGAIN: 'no local port left',
  EMFILE: 'this director has no file descriptor left',
  ENFILE: 'this host has no file descriptor left',
  ENOBUFS: 'this host has no memory left for sockets',
  ENOMEM: 'this host has no memory left',
};

export const NO_ANSWER = 'connection closed without an answer';
export const OK: ProbeOutcome = { ok: true };

export function failed(reason: string): ProbeOutcome {
  return { ok: false, reason };
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

export function outcomeOf(error: Error): ProbeOutcome {
  const reason = OWN_FAULTS[codeOf(error)];
  return reason === undefined ? failed(reasonOf(error)) : { ok: undefined, reason };
}

function reasonOf(error: Error): string {
  const code = codeOf(error);
  if (code.startsWith('HPE_')) {
    return REASONS[code] ?? `the answer is not HTTP (${code})`;
  }
  if (error.message === 'socket hang up') {
    // Node's words, under ECONNRESET, for an orderly end before the status line.
    return NO_ANSWER;
  }
  // OpenSSL's own codes are kept, its messages are for its developers.
  if (code.startsWith('ERR_SSL_')) {
    return REASONS[code] ?? `the TLS handshake failed: ${code.slice(8).toLowerCase().replaceAll('_', ' ')}`;
  }
  const words = error.message === '' ? code : error.message.slice(0, MAX_WORDS);
  return REASONS[code] ?? systemWords(error) ?? words;
}

/** What the system says of an errno, without Node's addresses and names of calls. */
function systemWords(error: Error): string | undefined {
  return 'errno' in error && typeof error.errno === 'number'
    ? getSystemErrorMap().get(error.errno)?.[1]
    : undefined;
}
