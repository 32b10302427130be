/** Where metrics are served: loopback addresses and unix sockets alone, which nobody reaches from elsewhere. */
import { canonicalAddress } from '../util/ip-address.js';
import { parseAddress } from './address.js';
import type { MetricsListen } from './model.js';

const MAX_PORT = 65_535;
/** sun_path of unix(7) less the terminating zero. */
const MAX_SOCKET_PATH_BYTES = 107;
const UNIX = 'unix:';
const EXAMPLES = '127.0.0.1:9110, [::1]:9110 or unix:/run/lvs-director/metrics.sock';

export type ParsedListen =
  | { readonly ok: true; readonly listen: MetricsListen }
  /** Goes on after the quoted text. */
  | { readonly ok: false; readonly reason: string };

/** `127.0.0.1:9110`, `[::1]:9110` or `unix:/PATH`. */
export function parseListen(text: string): ParsedListen {
  return text.startsWith(UNIX) ? parsePath(text.slice(UNIX.length)) : parseEndpoint(text);
}

function parsePath(path: string): ParsedListen {
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0'))
    return refused(`names no socket: expected a whole path, as in unix:/run/lvs-director/metrics.sock`);
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_SOCKET_PATH_BYTES)
    return refused(`is too long: the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`);
  return { ok: true, listen: { path } };
}

function parseEndpoint(text: string): ParsedListen {
  const [, bracketed, plain, digits = ''] = /^(?:\[(.*)\]|([^:]*)):(\d{1,9})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const parsed = parseAddress(host);
  if (!parsed.ok || (parsed.family === 'ipv6') !== (bracketed !== undefined))
    return refused(`is no address with a port: expected ${EXAMPLES}`);
  if (!isLoopback(parsed.bytes))
    return refused(
      `can be reached from elsewhere: expected a loopback address or a unix socket, ${EXAMPLES}`,
    );
  const port = Number(digits);
  if (port < 1 || port > MAX_PORT) return refused(`has a bad port: expected 1 to ${MAX_PORT}`);
  return { ok: true, listen: { address: canonicalAddress(host), port } };
}

/** 127.0.0.0/8 (RFC 1122, 3.2.1.3) and ::1. */
function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.every((byte, index) => byte === (index === bytes.length - 1 ? 1 : 0));
}

function refused(reason: string): ParsedListen {
  return { ok: false, reason };
}
