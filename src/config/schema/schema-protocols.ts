/** The shape of checks that speak a protocol over TCP. */
import * as z from 'zod';
import { TLS_VERSIONS } from '../model-servers.js';
import { absolutePath, expect, list, mapping } from './schema-values.js';

/** Text, or bytes as hexadecimal digits. */
export function payload(least: number, most: number) {
  const error = expect(
    `a text of ${least === 0 ? 'at most' : `${least} to`} ${most} bytes, or { hex: 00ff }`,
  );
  return z.union(
    [
      z.string({ error }).refine(
        (text) => {
          const { length } = new TextEncoder().encode(text);
          return length >= least && length <= most;
        },
        { error },
      ),
      mapping('hex', {
        hex: z.string({ error }).regex(new RegExp(`^([0-9A-Fa-f]{2}){${least},${most}}$`), { error }),
      }),
    ],
    { error },
  );
}

const serverNameError = expect('a host name, as in a certificate');

const versionError = expect(`a version of TLS (${TLS_VERSIONS.join(', ')})`);
const version = z.enum(TLS_VERSIONS, { error: versionError });

/** Of TLS, under a key of its own or beside those of `https`. */
export const tlsKeys = {
  sni: z
    .string({ error: serverNameError })
    .regex(/^(?=.{1,253}$)(?!([0-9]+[.])*[0-9]+$)[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$/, {
      error: serverNameError,
    })
    .optional(),
  verify: z.boolean({ error: expect('true or false') }).default(true),
  ca_file: absolutePath("a path that begins with '/'").optional(),
  min_version: version.optional(),
  max_version: version.optional(),
};

const tls = mapping('sni, verify, ca_file, ...', tlsKeys);

const MAX_STEPS = 32;
/** Of one step. */
const MAX_STEP_BYTES = 4096;

const step = mapping('expect or send', {
  expect: payload(1, MAX_STEP_BYTES).optional(),
  send: payload(1, MAX_STEP_BYTES).optional(),
});

const tcp = mapping('script, tls; tcp: {} is a connection alone', {
  script: list('steps, each { expect: TEXT } or { send: TEXT }', step)
    .max(MAX_STEPS, { error: `expected at most ${MAX_STEPS} steps` })
    .default([]),
  tls: tls.optional(),
});

const plain = (protocol: string) => mapping(`tls; ${protocol}: {} is without TLS`, { tls: tls.optional() });

/** RFC 5321 section 4.1.1.1: a domain, or an address in brackets. */
const heloError = expect('a host name, or an address in brackets such as "[192.0.2.1]"');

/** No white space: no server has users and databases of such names for a check. */
const wordOf = (most: number, what: string) => {
  const error = expect(`${what} of at most ${most} characters, visible ASCII`);
  return z.string({ error }).regex(new RegExp(`^[!-~]{1,${most}}$`), { error });
};
const CHECK_USER = 'lvs-director';

/** Each a kind of check. */
export const protocols = {
  tcp: tcp.optional(),
  smtp: mapping('helo, tls', {
    helo: z
      .string({ error: heloError })
      .regex(/^([A-Za-z0-9_.-]{1,253}|\[[A-Za-z0-9.:]{1,60}\])$/, { error: heloError })
      .default('localhost'),
    tls: tls.optional(),
  }).optional(),
  imap: plain('imap').optional(),
  pop3: plain('pop3').optional(),
  ftp: plain('ftp').optional(),
  redis: plain('redis').optional(),
  mysql: mapping('user', { user: wordOf(32, 'the name of a user').default(CHECK_USER) }).optional(),
  // NAMEDATALEN of PostgreSQL, the closing zero byte left out.
  postgresql: mapping('user, database', {
    user: wordOf(63, 'the name of a user').default(CHECK_USER),
    database: wordOf(63, 'the name of a database').optional(),
  }).optional(),
  grpc: mapping('service, tls', {
    service: wordOf(127, 'the name of a service').optional(),
    tls: tls.optional(),
  }).optional(),
};

const all = z.object(protocols);

export type FilePayload = z.output<ReturnType<typeof payload>>;
export type FileTls = z.output<typeof tls>;
export type FileProtocols = z.output<typeof all>;
