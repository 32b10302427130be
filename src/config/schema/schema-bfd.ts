/** The shape of BFD sessions: of an instance with the other directors, and of a tracked object. */
import * as z from 'zod';
import { addressOf, duration, expect, hostAddress, integer, interfaceOf, mapping } from './schema-values.js';

const INTERVAL_MS = { min: 10, max: 10_000, step: 1 } as const;
/** Three intervals of 15 ms: a dead master is noticed in 45 ms. */
const DEFAULT_INTERVAL_MS = 15;
/** For what is merely tracked, as FRR and BIRD have it. */
const DEFAULT_TRACKED_INTERVAL_MS = 300;
const DEFAULT_MULTIPLIER = 3;

/** `min_receive`: as `interval` where it is not given. */
const timers = (intervalMs: number) => ({
  interval: duration(INTERVAL_MS).default(intervalMs),
  min_receive: duration(INTERVAL_MS).optional(),
  multiplier: integer(1, 255).default(DEFAULT_MULTIPLIER),
});

export const instanceBfd = mapping('peers, interval, min_receive, multiplier', {
  peers: z
    .record(z.string(), hostAddress, { error: expect('a mapping with an address for each director') })
    .optional(),
  ...timers(DEFAULT_INTERVAL_MS),
});

export const trackedBfd = mapping('peer, interface, source, interval, min_receive, multiplier', {
  peer: addressOf,
  interface: interfaceOf,
  source: addressOf.optional(),
  ...timers(DEFAULT_TRACKED_INTERVAL_MS),
});

export type FileInstanceBfd = z.output<typeof instanceBfd>;
export type FileTrackedBfd = z.output<typeof trackedBfd>;
