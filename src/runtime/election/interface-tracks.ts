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
  readonly object: TrackedObject;
  readonly interface: string;
  readonly address: string | undefined;
  /** Undefined until the first verdict, which does not wait. */
  told: boolean | undefined;
  cancel: () => void;
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
      const { kind } = object;
      if (kind.type !== 'interface') return [];
      return [
        { object, interface: kind.interface, address: kind.address, told: undefined, cancel: () => {} },
      ];
    });
    for (const tracked of this.#tracked) this.#look(tracked);
  }

  /** A link or an address of this interface changed. */
  changed(interfaceName: string): void {
    for (const tracked of this.#tracked) {
      if (tracked.interface === interfaceName) this.#look(tracked);
    }
  }

  has(interfaceName: string): boolean {
    return this.#tracked.some((tracked) => tracked.interface === interfaceName);
  }

  close(): void {
    for (const tracked of this.#tracked) tracked.cancel();
    this.#tracked = [];
  }

  #isUp({ interface: name, address }: Tracked): boolean {
    const { links } = this.#ports;
    return links.isUp(name) && (address === undefined || links.holds(name, address));
  }

  /** A change counts when it still holds after the debounce time. */
  #look(tracked: Tracked): void {
    tracked.cancel();
    tracked.cancel = () => {};
    const up = this.#isUp(tracked);
    if (up === tracked.told) return;
    const { debounceMs } = tracked.object;
    if (tracked.told === undefined || debounceMs === 0) return this.#tell(tracked, up);
    const { clock } = this.#ports;
    tracked.cancel = clock.at(clock.nowMs() + debounceMs, () => this.#tell(tracked, up));
  }

  #tell(tracked: Tracked, up: boolean): void {
    tracked.told = up;
    this.#ports.onVerdict(tracked.object.name, up ? 'up' : 'down');
  }
}
