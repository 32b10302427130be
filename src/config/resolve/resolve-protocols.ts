/** Checks that speak a protocol over TCP, as typed configuration. */
import { hexText } from '../../util/hex.js';
import type { Conversation, ScriptStep } from '../model-protocols.js';
import type { CheckKind, TlsCheck } from '../model-servers.js';
import type { FilePayload, FileProtocols, FileTls } from '../schema/schema-protocols.js';

export function hexOf(payload: FilePayload): string {
  if (typeof payload !== 'string') return payload.hex.toLowerCase();
  return hexText(new TextEncoder().encode(payload));
}

export function tlsOf(tls: FileTls): TlsCheck {
  const { sni, verify, ca_file: caFile, min_version: minVersion, max_version: maxVersion } = tls;
  return { serverName: sni, verify, caFile, minVersion, maxVersion };
}

/** Undefined where the check is of another kind. */
export function protocolKind(check: FileProtocols): CheckKind | undefined {
  const { tcp, smtp, imap, pop3, ftp, redis, mysql, postgresql, grpc } = check;
  if (tcp) return tcpKind(tcp);
  if (smtp) return streamOf({ protocol: 'smtp', helo: smtp.helo }, smtp.tls);
  if (imap) return streamOf({ protocol: 'imap' }, imap.tls);
  if (pop3) return streamOf({ protocol: 'pop3' }, pop3.tls);
  if (ftp) return streamOf({ protocol: 'ftp' }, ftp.tls);
  if (redis) return streamOf({ protocol: 'redis' }, redis.tls);
  if (mysql) return streamOf({ protocol: 'mysql', user: mysql.user });
  if (grpc) return { type: 'grpc', tls: grpc.tls && tlsOf(grpc.tls), service: grpc.service ?? '' };
  if (postgresql === undefined) return undefined;
  const { user, database } = postgresql;
  return streamOf({ protocol: 'postgresql', user, database });
}

function streamOf(conversation: Conversation, tls?: FileTls): CheckKind {
  return { type: 'stream', tls: tls && tlsOf(tls), conversation };
}

function tcpKind({ script, tls }: NonNullable<FileProtocols['tcp']>): CheckKind {
  if (script.length === 0 && tls === undefined) return { type: 'tcp' };
  const steps = script.map(({ expect, send = '' }): ScriptStep => {
    return expect === undefined
      ? { type: 'send', bytes: hexOf(send) }
      : { type: 'expect', bytes: hexOf(expect) };
  });
  return streamOf({ protocol: 'script', steps }, tls);
}
