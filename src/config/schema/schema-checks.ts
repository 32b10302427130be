/** The shape of `health_check`. */
import * as z from 'zod';
import { parseStatusRange } from '../ranges.js';
import { payload, protocols, tlsKeys } from './schema-protocols.js';
import { checkedText, command, duration, expect, integer, list, mapping, user } from './schema-values.js';

const CHECK_MS = { min: 50, max: 3_600_000, step: 1 } as const;
const MAX_BODY_TEXT = 1024;

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

const http = {
  method: z.enum(['GET', 'HEAD'], { error: expect("'GET' or 'HEAD'") }).default('GET'),
  path: httpPath.default('/'),
  status: z.union([statusRange, list('status codes and ranges', statusRange).min(1)]).default(200),
  host: httpHost.optional(),
  headers: z
    .record(headerName, headerValue, { error: expect('a mapping of HTTP headers to their values') })
    .default({}),
  body: z
    .string({ error: expect('a text that the body holds') })
    .min(1, { error: expect('a text that the body holds') })
    .max(MAX_BODY_TEXT, { error: `expected at most ${MAX_BODY_TEXT} characters` })
    .optional(),
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
  command: command.optional(),
  user: user.optional(),
  port: integer(1, 65_535).optional(),
  interval: duration(CHECK_MS).default(2000),
  timeout: duration(CHECK_MS).default(1000),
  rise: integer(1, 255).default(2),
  fall: integer(1, 255).default(3),
});

export type FileHealthCheck = z.output<typeof healthCheck>;
