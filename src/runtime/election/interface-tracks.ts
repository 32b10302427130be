/** Tracked interfaces: their verdicts come from link and address events, not from looks at intervals. */
import type { TrackedObject } from '../../config/model.js';
import type { TrackState } from '../../vrrp/group-types.js';
import type { Clock, LinkMonitor } from '../ports.js';

export interface InterfaceTracksPorts {
  readonly clock: Clock;
  readonly links: LinkMonitor;
  onVerdict(object: string, state: TrackState): void;
}

interface Tracked {
  readonly interface: string;
  readonly address: string | undefined;
  readonly verdict: DebouncedVerdict;
}

/** A verdict counts when it still holds after the debounce time; the first one does not wait. */
export class DebouncedVerdict {
  readonly #clock: Clock;
  readonly #debounceMs: number;
  readonly #tell: (up: boolean) => void;
  #told: boolean | undefined;
  #cancel: () => void = () => {};

  constructor(clock: Clock, debounceMs: number, tell: (up: boolean) => void) {
    this.#clock = clock;
    this.#debounceMs = debounceMs;
    this.#tell = (up) => {
      this.#told = up;
      tell(up);
    };
  }

  look(up: boolean): void {
    this.close();
    if (up === this.#told) return;
    if (this.#told === undefined || this.#debounceMs === 0) return this.#tell(up);
    this.#cancel = this.#clock.at(this.#clock.nowMs() + this.#debounceMs, () => this.#tell(up));
  }

  close(): void {
    this.#cancel();
    this.#cancel = () => {};
  }
}

export class InterfaceTracks {
  readonly #ports: InterfaceTracksPorts;
  #tracked: Tracked[] = [];

  constructor(ports: InterfaceTracksPorts) {
    this.#ports = ports;
  }

  /** Looks at all interfaces of `objects` and tells each verdict. */
  configure(objects: readonly TrackedObject[]): void {
    this.close();
    this.#tracked = objects.flatMap((object) => {
      const { kind, name, debounceMs } = object;
      if (kind.type !== 'interface') return [];
      const tell = (up: boolean): void => this.#ports.onVerdict(name, up ? 'up' : 'down');
      const verdict = new DebouncedVerdict(this.#ports.clock, debounceMs, tell);
      return [{ interface: kind.interface, address: kind.address, verdict }];
    });
    for (const tracked of this.#tracked) tracked.verdict.look(this.#isUp(tracked));
  }

  /** A link or an address of this interface changed. */
  changed(interfaceName: string): void {
    for (const tracked of this.#tracked) {
      if (tracked.interface === interfaceName) tracked.verdict.look(this.#isUp(tracked));
    }
  }

  has(interfaceName: string): boolean {
    return this.#tracked.some((tracked) => tracked.interface === interfaceName);
  }

  close(): void {
    for (const { verdict } of this.#tracked) verdict.close();
    this.#tracked = [];
  }

  #isUp({ interface: name, address }: Tracked): boolean {
    const { links } = this.#ports;
    return links.isUp(name) && (address === undefined || links.holds(name, address));
  }
}
