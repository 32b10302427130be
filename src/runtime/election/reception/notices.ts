/** Puts the notices of the election into words, with what to do about them. */
import type { VrrpInstance } from '../../../config/model.js';
import type { Notice } from '../../../vrrp/group-types.js';
import type { Clock, Log } from '../../ports.js';

/** A virtual router that was not heard for so long may be suggested as free. */
const HEARD_FOR_MS = 600_000;
const MAX_VRID = 255;

/** Virtual router identifiers heard on each interface, own ones included. */
export class HeardIdentifiers {
  readonly #clock: Clock;
  readonly #heardAtMs = new Map<string, Map<number, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  heard(interfaceName: string, virtualRouterId: number): void {
    let ofInterface = this.#heardAtMs.get(interfaceName);
    if (ofInterface === undefined) {
      ofInterface = new Map();
      this.#heardAtMs.set(interfaceName, ofInterface);
    }
    ofInterface.set(virtualRouterId, this.#clock.nowMs());
  }

  /** The nearest above `taken` that is not in `own` and was not heard for ten minutes; undefined when all are taken. */
  free(interfaceName: string, taken: number, own: ReadonlySet<number>): number | undefined {
    const heard = this.#heardAtMs.get(interfaceName);
    const now = this.#clock.nowMs();
    for (let step = 1; step < MAX_VRID; step++) {
      const candidate = ((taken - 1 + step) % MAX_VRID) + 1;
      const last = heard?.get(candidate);
      if (!own.has(candidate) && (last === undefined || now - last > HEARD_FOR_MS)) return candidate;
    }
    return undefined;
  }
}

/** What any sender can bring about, and as often as it likes. */
export const OF_STRANGERS: ReadonlySet<Notice['kind']> = new Set([
  'still-master',
  'other-cluster',
  'address-mismatch',
  'interval-mismatch',
  'rogue-owner',
  'own-source',
  'awaits-sync',
  'awaited-sync',
]);

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

/** Logs a notice about `config`. `freeId` finds a virtual router identifier that nobody uses on its interface. */
export function logNotice(
  log: Log,
  config: VrrpInstance,
  notice: Notice,
  freeId: () => number | undefined,
): void {
  const { name, interface: device, virtualRouterId } = config;
  const { kind, ...details } = notice;
  const fields = { event: kind, instance: name, interface: device, vrid: virtualRouterId, ...details };
  switch (notice.kind) {
    case 'still-master':
      log.info(fields, `${name}: ${notice.source} advertises priority ${notice.priority}: still master`);
      return;
    case 'other-cluster': {
      const free = freeId();
      const advice = free === undefined ? 'no other is free here' : `${free} is free here`;
      log.error(
        fields,
        `${name}: ${notice.source} uses VRID ${virtualRouterId} on ${device} for other addresses (${notice.addresses.join(', ')}): it belongs to another cluster and is ignored; give one of the two another virtual_router_id (${advice})`,
      );
      return;
    }
    case 'address-mismatch':
      log.warn(
        fields,
        `${name}: ${notice.source} advertises other addresses than this director (${notice.addresses.join(', ')} instead of ${config.advertised.join(', ')}): the two files differ`,
      );
      return;
    case 'interval-mismatch': {
      const { version, advertisementIntervalMs } = config;
      const so =
        version === 2
          ? 'VRRPv2 needs the same interval on all routers, so it is ignored'
          : "the master's interval counts, and the two files differ";
      log.warn(
        fields,
        `${name}: ${notice.source} advertises every ${notice.intervalMs} ms, this director every ${advertisementIntervalMs} ms: ${so}`,
      );
      return;
    }
    case 'rogue-owner': {
      const so =
        notice.backOffMs === 0 ? 'this one stays master' : `giving way for ${seconds(notice.backOffMs)}`;
      log.error(
        fields,
        `${name}: ${notice.source} claims to own the addresses (priority 255), and so does this director: ${so}; only one may have priority 255`,
      );
      return;
    }
    case 'own-source':
      log.error(
        fields,
        `${name}: advertisements on ${device} come from ${notice.source}, the address that this director speaks from, and it does not send them: another host has it, and both are master. Give one of the two machines another address; was one cloned?`,
      );
      return;
    case 'awaits-sync':
      log.info(
        fields,
        `${name}: ${notice.source} is master with a lower priority: this director takes over when its connection table is complete, or after ${seconds(notice.atMostMs)}; waiting for it: ${notice.text}`,
      );
      return;
    case 'awaited-sync':
      if (notice.complete) log.info(fields, `${name}: taking over from ${notice.source}: ${notice.text}`);
      else
        log.warn(
          fields,
          `${name}: taking over from ${notice.source} without a complete connection table: ${notice.text}`,
        );
      return;
    case 'no-successor':
      log.warn(fields, `${name}: nobody took over: this director goes on as master`);
      return;
    case 'paused':
      log.warn(
        fields,
        `${name}: this process stood still for ${Math.round(notice.pausedMs)} ms: listening before it speaks`,
      );
  }
}
