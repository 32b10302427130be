/** Checks that speak a protocol over TCP, as typed configuration. */
import { hexText } from '../../util/hex.js';
import type { ScriptStep } from '../model-protocols.js';
import type { CheckKind, TlsCheck } from '../model-servers.js';
import type { FilePayload, FileTcp, FileTls } from '../schema/schema-protocols.js';

export function hexOf(payload: FilePayload): string {
  if (typeof payload !== 'string') return payload.hex.toLowerCase();
  return hexText(new TextEncoder().encode(payload));
}

export function tlsOf({ sni, verify, ca_file: caFile }: FileTls): TlsCheck {
  return { serverName: sni, verify, caFile };
}

export function tcpKind({ script, tls }: FileTcp): CheckKind {
  if (script.length === 0 && tls === undefined) return { type: 'tcp' };
  const steps = script.map(({ expect, send = '' }): ScriptStep => {
    return expect === undefined
      ? { type: 'send', bytes: hexOf(send) }
      : { type: 'expect', bytes: hexOf(expect) };
  });
  return { type: 'stream', tls: tls && tlsOf(tls), conversation: { protocol: 'script', steps } };
}
