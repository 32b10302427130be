/** The shape of `health_check` and `health_checks`. */
import * as z from 'zod';
import { parseStatusRange } from '../ranges.js';
import { quote } from '../yaml.js';
import { payload, protocols, tlsKeys } from './schema-protocols.js';
import {
  addressOf,
  checkedText,
  command,
  duration,
  expect,
  hostAddress,
  integer,
  list,
  mapping,
  user,
} from './schema-values.js';

const CHECK_MS = { min: 50, max: 3_600_000, step: 1 } as const;
const MAX_BODY_TEXT = 1024;
const MAX_PATHS = 16;

/** What a request line takes as it is (RFC 9112 section 3.2): visible ASCII. */
const httpPathError = expect("a path that begins with '/', in visible ASCII with %XX for all else");
const httpPath = z.string({ error: httpPathError }).regex(/^\/[!-~]*$/, { error: httpPathError });
const httpHost = z
  .string({ error: expect('a host name') })
  .regex(/^[A-Za-z0-9._:[\]-]{1,255}$/, { error: expect('a host name, with or without :PORT') });

// 1xx is never the last answer (RFC 9110 section 15.2).
const statusCode = integer(200, 599);
const statusRange = z.union([
  statusCode,
  checkedText('a status code, or a range such as 300-399', (text) => {
    const range = parseStatusRange(text);
    return range.ok ? undefined : range.reason;
  }),
]);

/** RFC 9110 section 5.1 and 5.5: a token, and visible text on one line. */
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, { error: expect('the name of an HTTP header') });
const headerError = expect('the value of an HTTP header: visible text on one line');
const headerValue = z.string({ error: headerError }).regex(/^[\t -~]{0,1024}$/, { error: headerError });

function bodyText(what: string) {
  return z
    .string({ error: expect(what) })
    .min(1, { error: expect(what) })
    .max(MAX_BODY_TEXT, { error: `expected at most ${MAX_BODY_TEXT} characters` });
}

function refusePattern(text: string): string | undefined {
  try {
    void new RegExp(text, 'u');
    return undefined;
  } catch (error) {
    // V8 repeats the expression before it says what is wrong with it.
    const words = error instanceof Error ? error.message.split(': ').at(-1) : undefined;
    return `${quote(text)} is no regular expression of JavaScript: ${words}`;
  }
}

function hexDigits(length: number) {
  const error = expect(`${length} hexadecimal digits`);
  return z.string({ error }).regex(new RegExp(`^[0-9A-Fa-f]{${length}}$`), { error });
}

const http = {
  method: z.enum(['GET', 'HEAD'], { error: expect("'GET' or 'HEAD'") }).default('GET'),
  path: z
    .union([
      httpPath,
      list('paths', httpPath)
        .min(1, { error: expect('a path, or a list of them') })
        .max(MAX_PATHS, { error: `expected at most ${MAX_PATHS} paths` }),
    ])
    .default('/'),
  status: z.union([statusRange, list('status codes and ranges', statusRange).min(1)]).default(200),
  host: httpHost.optional(),
  headers: z
    .record(headerName, headerValue, { error: expect('a mapping of HTTP headers to their values') })
    .default({}),
  body: bodyText('a text that the body holds').optional(),
  body_matches: bodyText('a regular expression that the body matches')
    .superRefine((text, context) => {
      const message = refusePattern(text);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .optional(),
  digest: mapping('sha256 or md5', {
    sha256: hexDigits(64).optional(),
    md5: hexDigits(32).optional(),
  }).optional(),
};

/** In one datagram, without what IPv6 and UDP add to it. */
const datagram = payload(0, 1232);

const DNS_TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const;

export const healthCheck = mapping('a kind such as tcp or https, port, interval, ...', {
  ...protocols,
  http: mapping('path, status, host, ...', http).optional(),
  https: mapping('path, status, host, sni, verify, ...', {
    ...http,
    ...tlsKeys,
  }).optional(),
  udp: mapping('send, expect', { send: datagram.default(''), expect: datagram.optional() }).optional(),
  dns: mapping('name, type', {
    name: z
      .string({ error: expect('a domain name') })
      .regex(/^(?=.{1,253}$)([.]|[A-Za-z0-9_-]{1,63}([.][A-Za-z0-9_-]{1,63})*[.]?)$/, {
        error: expect('a domain name'),
      })
      .default('.'),
    type: z.enum(DNS_TYPES, { error: expect(`a record type (${DNS_TYPES.join(', ')})`) }).default('SOA'),
  }).optional(),
  icmp: mapping('no keys: write it as icmp: {}', {}).optional(),
  command: command.optional(),
  user: user.optional(),
  exit_status_weight: z.boolean({ error: expect('true or false') }).default(false),
  address: hostAddress.optional(),
  port: integer(1, 65_535).optional(),
  source_address: addressOf.optional(),
  interval: duration(CHECK_MS).default(2000),
  timeout: duration(CHECK_MS).default(1000),
  rise: integer(1, 255).default(2),
  fall: integer(1, 255).default(3),
  retry: integer(0, 255).default(0),
  delay_before_retry: duration(CHECK_MS).default(1000),
});

/** Of one real server. */
const MAX_CHECKS = 8;

const severalError = `expected 1 to ${MAX_CHECKS} checks`;
const several = list('health checks', healthCheck)
  .min(1, { error: severalError })
  .max(MAX_CHECKS, { error: severalError });

export const healthChecks = mapping('any_of or all_of', {
  any_of: several.optional(),
  all_of: several.optional(),
});

export type FileHealthCheck = z.output<typeof healthCheck>;
export type FileHealthChecks = z.output<typeof healthChecks>;
