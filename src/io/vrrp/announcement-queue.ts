/** Paces announcements by network segment. Clock and sending are given, so that it runs under test without either. */
import type { VirtualAddress } from '../../config/model.js';
import type { Clock } from '../../runtime/ports.js';

/**
 * Frames that leave a segment's interface at once. Switches that protect their control plane start to drop at about
 * 20 ARP frames back to back; the advertisement and another host's ARP need room beside ours.
 */
export const BURST_FRAMES = 16;
/**
 * Pause between two bursts: 800 frames a second, so that 240 addresses (RFC 9568 section 5.2.4 allows 255) are
 * announced within 300 ms and the first 16 within the failover itself.
 */
export const BURST_INTERVAL_MS = 20;
/** Addresses that wait on one segment. More than any configuration has; what is beyond it is refused. */
export const MAX_WAITING = 10_000;

/** The queue of a segment is full: the address is not announced this time. */
export class AnnouncementQueueFullError extends Error {
  override readonly name = 'AnnouncementQueueFullError';
  readonly code = 'ERR_ANNOUNCE_QUEUE';
  constructor() {
    super(`${MAX_WAITING} announcements are waiting already`);
  }
}

interface Segment {
  /** In the order of the calls, each address once. */
  readonly waiting: Map<string, VirtualAddress>;
  lastAtMs: number;
  /** Frames since the last pause of BURST_INTERVAL_MS. */
  sent: number;
  cancelTimer: (() => void) | undefined;
}

export interface AnnouncementQueueOptions {
  readonly clock: Clock;
  /** Sends one frame. May throw. */
  readonly send: (address: VirtualAddress) => void;
  readonly onError: (address: VirtualAddress, error: unknown) => void;
  /** What of an interface's frames is paced together; several macvlan devices share their parent. Default: the interface. */
  readonly segmentOf?: ((interfaceName: string) => string) | undefined;
}

/** Sends up to BURST_FRAMES of each segment at once, then as many after each pause of BURST_INTERVAL_MS. */
export class AnnouncementQueue {
  readonly #options: AnnouncementQueueOptions;
  readonly #segments = new Map<string, Segment>();

  constructor(options: AnnouncementQueueOptions) {
    this.#options = options;
  }

  /** An address that waits already keeps its place: one frame tells what two would. */
  add(addresses: readonly VirtualAddress[]): void {
    const touched = new Set<Segment>();
    for (const address of addresses) {
      const segment = this.#segment(address.interface);
      const key = keyOf(address);
      if (segment.waiting.size >= MAX_WAITING && !segment.waiting.has(key)) {
        this.#options.onError(address, new AnnouncementQueueFullError());
        continue;
      }
      if (!segment.waiting.has(key)) segment.waiting.set(key, address);
      touched.add(segment);
    }
    for (const segment of touched) this.#flush(segment);
  }

  /** Whether all of these would leave at once where nothing was sent before. */
  fitsBurst(addresses: readonly VirtualAddress[]): boolean {
    const counts = new Map<string, number>();
    for (const address of addresses) {
      const name = this.#nameOf(address.interface);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts.values()].every((count) => count <= BURST_FRAMES);
  }

  /** They left by another way: they need not wait here, and what follows keeps its distance. */
  sent(addresses: readonly VirtualAddress[]): void {
    const nowMs = this.#options.clock.nowMs();
    for (const address of addresses) {
      const segment = this.#segment(address.interface);
      if (nowMs >= segment.lastAtMs + BURST_INTERVAL_MS) segment.sent = 0;
      segment.waiting.delete(keyOf(address));
      segment.sent += 1;
      segment.lastAtMs = nowMs;
    }
  }

  cancel(addresses: readonly VirtualAddress[]): void {
    for (const address of addresses) {
      const segment = this.#segments.get(this.#nameOf(address.interface));
      segment?.waiting.delete(keyOf(address));
    }
  }

  close(): void {
    for (const segment of this.#segments.values()) segment.cancelTimer?.();
    this.#segments.clear();
  }

  #nameOf(interfaceName: string): string {
    return this.#options.segmentOf?.(interfaceName) ?? interfaceName;
  }

  #segment(interfaceName: string): Segment {
    const name = this.#nameOf(interfaceName);
    const known = this.#segments.get(name);
    if (known !== undefined) return known;
    const segment: Segment = {
      waiting: new Map(),
      lastAtMs: Number.NEGATIVE_INFINITY,
      sent: 0,
      cancelTimer: undefined,
    };
    this.#segments.set(name, segment);
    return segment;
  }

  #flush(segment: Segment): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs >= segment.lastAtMs + BURST_INTERVAL_MS) segment.sent = 0;
    for (const [key, address] of segment.waiting) {
      if (segment.sent >= BURST_FRAMES) break;
      segment.waiting.delete(key);
      segment.sent += 1;
      segment.lastAtMs = nowMs;
      try {
        this.#options.send(address);
      } catch (error) {
        this.#options.onError(address, error);
      }
    }
    if (segment.waiting.size === 0 || segment.cancelTimer !== undefined) return;
    segment.cancelTimer = this.#options.clock.at(segment.lastAtMs + BURST_INTERVAL_MS, () => {
      segment.cancelTimer = undefined;
      this.#flush(segment);
    });
  }
}

function keyOf(address: VirtualAddress): string {
  return `${address.address}%${address.interface}`;
}
