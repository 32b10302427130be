/** Health probes of real servers. */
import { request } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import type { CheckKind } from '../../config/model.js';
import type { ProbeOutcome, Prober } from '../../runtime/services/services-ports.js';
import { afterListening } from './listening-time.js';

/** A status line and headers that are longer are no answer of a health page. */
export const MAX_HEADER_BYTES = 16 * 1024;

/** What is read of a body before the connection is cut. */
export const MAX_BODY_BYTES = 64 * 1024;

type HttpCheck = CheckKind & { type: 'http' };

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
  HPE_HEADER_OVERFLOW: `more than ${MAX_HEADER_BYTES} bytes of headers`,
};

/** What this host has run out of: says nothing of the real server. */
const OWN_FAULTS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'no local address or port left',
  EAGAIN: 'no local port left',
  EMFILE: 'this director has no file descriptor left',
  ENFILE: 'this host has no file descriptor left',
  ENOBUFS: 'this host has no memory left for sockets',
  ENOMEM: 'this host has no memory left',
};

const NO_ANSWER = 'connection closed without an answer';
const OK: ProbeOutcome = { ok: true };

/**
 * Probes with sockets of their own, one for each probe. `timeoutMs` covers the whole probe, and counts only while this
 * process listens: a director that has too much to do does not find its real servers dead.
 */
export function openProber(): Prober {
  return {
    probe: async (check, address, port, timeoutMs) => {
      try {
        return await (check.type === 'tcp'
          ? probeTcp(address, port, timeoutMs)
          : probeHttp(check, address, port, timeoutMs));
      } catch (error) {
        // Arguments that Node refuses, such as a character that no request line can have.
        return error instanceof Error ? outcomeOf(error) : failed(String(error));
      }
    },
  };
}

function failed(reason: string): ProbeOutcome {
  return { ok: false, reason };
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function outcomeOf(error: Error): ProbeOutcome {
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
  return REASONS[code] ?? systemWords(error) ?? (error.message === '' ? code : error.message);
}

/** What the system says of an errno, without Node's addresses and names of calls. */
function systemWords(error: Error): string | undefined {
  return 'errno' in error && typeof error.errno === 'number'
    ? getSystemErrorMap().get(error.errno)?.[1]
    : undefined;
}

/** The handshake is the probe; it is ended with FIN, so that the real server logs no reset. */
function probeTcp(address: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, autoSelectFamily: false });
    const cancel = afterListening(timeoutMs, () => {
      resolve(failed(`no answer within ${timeoutMs} ms`));
      socket.destroy();
    });
    socket.once('connect', () => {
      resolve(OK);
      socket.end();
      // Read and drop what a talkative server says; the timer bounds its farewell.
      socket.resume();
    });
    socket.on('error', (error) => resolve(outcomeOf(error)));
    socket.once('close', cancel);
  });
}

/** The status line is the verdict; the body is read and dropped, so that the real server sees no reset. */
function probeHttp(
  check: HttpCheck,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const probe = request({
      host: address,
      port,
      path: check.path,
      method: 'GET',
      agent: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        host: check.host ?? hostHeader(address, port),
        connection: 'close',
        'user-agent': 'lvs-director',
        accept: '*/*',
      },
    });
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      probe.destroy();
    };
    const cancel = afterListening(timeoutMs, () => finish(failed(`no answer within ${timeoutMs} ms`)));
    probe.once('response', (response) => {
      resolve(judge(check, response.statusCode));
      let received = 0;
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > MAX_BODY_BYTES) {
          probe.destroy();
        }
      });
    });
    probe.on('upgrade', (response) => finish(judge(check, response.statusCode)));
    probe.on('error', (error) => finish(outcomeOf(error)));
    probe.once('close', () => {
      cancel();
      resolve(failed(NO_ANSWER));
    });
    probe.end();
  });
}

function judge(check: HttpCheck, status: number | undefined): ProbeOutcome {
  return status === check.status ? OK : failed(`status ${status ?? 0}, expected ${check.status}`);
}

/** RFC 9110 section 7.2: the port is named unless it is the scheme's own. */
function hostHeader(address: string, port: number): string {
  const host = isIPv6(address) ? `[${address}]` : address;
  return port === 80 ? host : `${host}:${port}`;
}
