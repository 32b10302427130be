/**
 * How long the kernel keeps a virtual address that nobody renews: the last resort when every process of this director, the
 * guardian too, is killed at once. Pure.
 */
import type { ElectionConfig } from '../../config/model.js';

/** Whole seconds, as the kernel counts them. */
const MIN_LIFETIME_SECONDS = 4;
/** A VRRP process that hangs is the guardian's affair for three advertisement intervals, and then its successor's for one. */
const INTERVALS = 4;
/** One renewal may be late by the difference. Milliseconds. */
const MIN_RENEWAL_MS = 250;
const MAX_RENEWAL_MS = 1000;

export interface AddressLifetime {
  /** 4 s at least, and as long as a hand-over by the guardian takes. */
  readonly seconds: number;
  /** From one renewal to the next, 250 ms to 1 s: what is left then covers that hand-over. */
  readonly renewalMs: number;
}

/** Undefined: addresses are permanent. */
export function addressLifetime({
  instances,
  permanentAddresses,
}: Pick<ElectionConfig, 'instances' | 'permanentAddresses'>): AddressLifetime | undefined {
  if (permanentAddresses) return undefined;
  const intervals = instances.map(({ advertisementIntervalMs }) => advertisementIntervalMs);
  const handOverMs = INTERVALS * Math.max(0, ...intervals);
  const seconds = Math.max(MIN_LIFETIME_SECONDS, Math.ceil(handOverMs / 1000));
  const spareMs = seconds * 1000 - handOverMs;
  return { seconds, renewalMs: Math.min(MAX_RENEWAL_MS, Math.max(MIN_RENEWAL_MS, spareMs)) };
}
