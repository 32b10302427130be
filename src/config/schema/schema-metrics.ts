/** The shape of `metrics`: where they are scraped, and how many series there are. */
import * as z from 'zod';
import { parseListen } from '../listen.js';
import { checkedText, expect, mapping } from './schema-values.js';

const listen = checkedText('127.0.0.1:9110, or unix:/PATH', (text) => {
  const parsed = parseListen(text);
  return parsed.ok ? undefined : parsed.reason;
}).transform((text) => {
  const parsed = parseListen(text);
  // The check before it has refused all else.
  return parsed.ok ? parsed.listen : { path: text };
});

export const metrics = mapping('listen, real_servers', {
  listen,
  real_servers: z.boolean({ error: expect('true or false') }).default(false),
});
