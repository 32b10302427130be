/** Keeps what a role has in the kernel as it is, whatever others do: puts back what a master lacks, removes what a backup was given. */
import type { VirtualAddress, VrrpInstance } from '../../../config/model.js';
import { addressDifference } from '../../../vrrp/address-difference.js';
import type { Addresses, Clock, Log, LostRouting, Routing } from '../../ports.js';
import { isConcernedBy } from './lost-routing.js';
import { Restorer } from './restorer.js';

export interface RepairsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly addresses: Addresses;
  readonly routing: Routing;
  /** Instances whose addresses and routes ought to be in the kernel, by their role. */
  held(): readonly VrrpInstance[];
  /** Instances of which the kernel ought to have nothing, and of which no change is under way. */
  idle(): readonly VrrpInstance[];
  /** Behind the changes that are under way: what they have not done yet is not missing. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  isAwaitingSource(instance: string): boolean;
  isHeldElsewhere(address: VirtualAddress): boolean;
  announce(instance: string, addresses: readonly VirtualAddress[]): void;
  /** Something could not be put back for long. */
  onGivenUp(instance: string): void;
}

export class Repairs {
  readonly #ports: RepairsPorts;
  readonly #restorer: Restorer;
  readonly #remover: Restorer;

  constructor(ports: RepairsPorts) {
    this.#ports = ports;
    const { clock, log } = ports;
    this.#restorer = new Restorer({
      clock,
      log,
      event: 'restored',
      words: (what) => `somebody removed ${what}: put back`,
      restore: (instance) => ports.inTurn(() => this.#restore(instance)),
      onGivenUp: (instance) => ports.onGivenUp(instance),
    });
    this.#remover = new Restorer({
      clock,
      log,
      event: 'removed',
      words: (what) => `somebody added ${what}, which is the master's: removed`,
      restore: (instance) => ports.inTurn(() => this.#remove(instance)),
      // It is told of, and tried on.
      onGivenUp: () => {},
    });
  }

  /** An address went away, whoever did it: it is put back when this director ought to hold it. */
  addressLost(address: string, interfaceName: string): void {
    for (const config of this.#ports.held())
      if (hasAddress(config, address, interfaceName)) this.#restorer.lost(config.name);
  }

  /** An address came, whoever added it: it goes when this director must not hold it, or two hosts answer for it. */
  addressFound(address: string, interfaceName: string): void {
    for (const config of this.#ports.idle())
      if (hasAddress(config, address, interfaceName)) this.#remover.lost(config.name);
  }

  /** A reload may name addresses that are there already. `before`: what the instances had. */
  configured(before: readonly VrrpInstance[]): void {
    for (const { name, addresses } of this.#ports.idle()) {
      const old = before.find((one) => one.name === name)?.addresses ?? [];
      if (addressDifference(old, addresses).added.length > 0) this.#remover.lost(name);
    }
  }

  routingLost(lost: LostRouting): void {
    for (const config of this.#ports.held())
      if (isConcernedBy(config, lost)) this.#restorer.lost(config.name);
  }

  /** Whatever may be missing of an instance is looked for, where it ought to be there. */
  look(instance: string): void {
    if (this.#ports.held().some(({ name }) => name === instance)) this.#restorer.lost(instance);
  }

  /** As `look`, of an instance that goes on from where it was repaired before. */
  takeOver(from: Repairs, instance: string, name: string): void {
    if (from.#restorer.isAtWork(instance)) this.#restorer.lost(name);
  }

  /** It could not be added for now, though the instance goes on: `error` says why. */
  missing(instance: string, error: Error): void {
    this.#restorer.missing(instance, error);
  }

  /** Its role has changed: nothing that was wrong with the former one is wrong any more. */
  forget(instance: string): void {
    this.#restorer.forget(instance);
    this.#remover.forget(instance);
  }

  /** Why the kernel has not what the role of an instance asks for; undefined when it has. */
  troubleOf(instance: string): string | undefined {
    return this.#restorer.troubleOf(instance) ?? this.#remover.troubleOf(instance);
  }

  async #restore(instance: string): Promise<readonly string[]> {
    const { addresses, routing } = this.#ports;
    const config = this.#ports.held().find(({ name }) => name === instance);
    if (config === undefined || this.#ports.isAwaitingSource(instance)) return [];
    const restored = await addresses.restore(config.addresses);
    if (restored.length > 0) this.#ports.announce(instance, restored);
    // The kernel drops the routes that hung on an address.
    const others = config.routes.length + config.rules.length > 0 ? await routing.add(config) : [];
    return [...restored.map(textOf), ...others];
  }

  async #remove(instance: string): Promise<readonly string[]> {
    const found = () => this.#ports.idle().find(({ name }) => name === instance);
    const strays = found()?.addresses.filter((address) => !this.#ports.isHeldElsewhere(address)) ?? [];
    // A takeover does not wait for this.
    const isWanted = () => found() !== undefined;
    return (await this.#ports.addresses.evict(strays, isWanted)).map(textOf);
  }
}

export function hasAddress({ addresses }: VrrpInstance, address: string, interfaceName: string): boolean {
  return addresses.some((one) => one.address === address && one.interface === interfaceName);
}

function textOf({ address, prefixLength, interface: name }: VirtualAddress): string {
  return `${address}/${prefixLength} on ${name}`;
}
