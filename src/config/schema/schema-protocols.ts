/** The shape of checks that speak a protocol over TCP. */
import * as z from 'zod';
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
};

export const tls = mapping('sni, verify, ca_file', tlsKeys);

const MAX_STEPS = 32;
/** Of one step. */
const MAX_STEP_BYTES = 4096;

const step = mapping('expect or send', {
  expect: payload(1, MAX_STEP_BYTES).optional(),
  send: payload(1, MAX_STEP_BYTES).optional(),
});

export const tcp = mapping('script, tls; tcp: {} is a connection alone', {
  script: list('steps, each { expect: TEXT } or { send: TEXT }', step)
    .max(MAX_STEPS, { error: `expected at most ${MAX_STEPS} steps` })
    .default([]),
  tls: tls.optional(),
});

export type FilePayload = z.output<ReturnType<typeof payload>>;
export type FileTls = z.output<typeof tls>;
export type FileTcp = z.output<typeof tcp>;
