/** Messages from the sockets to the instances: decoded, counted where they are not taken, and what strangers may cost. */
import type { VrrpInstance } from '../../../config/model.js';
import { AdvertisementMemory } from '../../../vrrp/advertisement-memory.js';
import type { GroupInput, Notice } from '../../../vrrp/group-types.js';
import type { Clock, Log, ReceivedVrrp } from '../../ports.js';
import type { Channel } from '../channels.js';
import { type Discarded, Discards, MEANT_FOR_ANOTHER } from './discards.js';
import { HeardIdentifiers, logNotice, OF_STRANGERS } from './notices.js';
import { StrangerBudget } from './stranger-budget.js';

export interface ReceptionPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether another channel hears the same packets. */
  isBesideAnother(channel: Channel): boolean;
  /** Gives it to the group of an instance; false: there is none. */
  deliver(instance: string, input: GroupInput): boolean;
}

export class Reception {
  readonly #ports: ReceptionPorts;
  readonly #memory = new AdvertisementMemory();
  readonly #heard: HeardIdentifiers;
  readonly #budget: StrangerBudget;
  readonly #discards: Discards;

  constructor(ports: ReceptionPorts) {
    this.#ports = ports;
    const { clock, log } = ports;
    this.#heard = new HeardIdentifiers(clock);
    this.#budget = new StrangerBudget(clock, log);
    this.#discards = new Discards(clock, log, this.#budget);
  }

  receive(channel: Channel, message: ReceivedVrrp): void {
    if (message.rejected !== undefined) return this.#discard(channel, message, message.rejected);
    const decoded = this.#memory.decode(message.payload, message);
    if (!decoded.ok) return this.#discard(channel, message, decoded.reason);
    const { advertisement } = decoded;
    this.#heard.heard(channel.settings.interface, advertisement.virtualRouterId);
    const member = channel.members.get(advertisement.virtualRouterId);
    if (member !== undefined && member.version !== advertisement.version)
      return this.#discard(channel, message, 'bad-version');
    const { source, receivedAtMs } = message;
    const isTaken =
      member !== undefined &&
      this.#ports.deliver(member.name, {
        type: 'advertisement',
        instance: member.name,
        advertisement,
        source,
        receivedAtMs,
      });
    if (!isTaken) this.#discard(channel, message, 'unknown-vrid');
  }

  /** Discarded messages by reason, as `director status` names them. */
  counters(interfaceName: string): Record<string, number> {
    return this.#discards.counters(interfaceName);
  }

  /** Whether a notice is to be told: strangers cannot make this director talk for ever. */
  allows({ kind }: Notice): boolean {
    return !OF_STRANGERS.has(kind) || this.#budget.allows(kind);
  }

  /** Puts a notice into words. `own`: the virtual router identifiers of this director on the interface. */
  log(config: VrrpInstance, notice: Notice, own: () => ReadonlySet<number>): void {
    logNotice(this.#ports.log, config, notice, () =>
      this.#heard.free(config.interface, config.virtualRouterId, own()),
    );
  }

  #discard(channel: Channel, { source, ttl }: ReceivedVrrp, reason: Discarded): void {
    if (MEANT_FOR_ANOTHER.has(reason) && this.#ports.isBesideAnother(channel)) return;
    this.#discards.discard(channel.settings.interface, reason, source, ttl);
  }
}
