/** Runs one VRRP group: feeds inputs to the pure machine, executes its effects in order, keeps its one timer. */
import type { VrrpInstance } from '../config/model.js';
import { step } from '../vrrp/group.js';
import type { CounterName, GroupEffect, GroupInput, GroupState } from '../vrrp/group-types.js';
import { encodeAdvertisement } from '../vrrp/packet.js';
import type { Addresses, Announcer, Clock, Log, VrrpTransport } from './ports.js';

export interface GroupRunnerPorts {
  readonly clock: Clock;
  readonly addresses: Addresses;
  readonly announcer: Announcer;
  readonly log: Log;
  transport(instance: VrrpInstance): VrrpTransport;
  /** A role or the settings of an instance changed. */
  onChange(): void;
  /** Called before a deadline acts: the last chance to see that this process stood still. */
  beforeDeadline(): void;
}

/** Backlog of address work that a sane kernel never reaches. */
const MAX_PENDING_CHANGES = 1000;

export class GroupRunner {
  readonly #ports: GroupRunnerPorts;
  readonly #counters = new Map<string, Map<CounterName, number>>();
  #state: GroupState;
  #deadlineMs = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => {};
  /** Address changes and announcements, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #pending = 0;
  #onStopped: () => void = () => {};

  constructor(state: GroupState, ports: GroupRunnerPorts) {
    this.#state = state;
    this.#ports = ports;
  }

  get state(): GroupState {
    return this.#state;
  }

  counters(instance: string): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters.get(instance) ?? []);
  }

  input(input: GroupInput): void {
    const result = step(this.#state, input, this.#ports.clock.nowMs());
    this.#state = result.state;
    for (const effect of result.effects) this.#run(effect);
    this.#rearm(result.deadlineMs);
    const changed = input.type === 'configure' || result.effects.some((effect) => effect.type === 'role');
    if (changed) this.#ports.onChange();
  }

  /** Leaves in good order; resolves when the kernel holds nothing of this group any more. */
  stop(): Promise<void> {
    if (this.#state.phase === 'stopped') return Promise.resolve();
    return new Promise((resolve) => {
      this.#onStopped = resolve;
      this.input({ type: 'stop' });
    });
  }

  /** Puts back an address that someone else removed, when this director ought to hold it. */
  restore(address: string, interfaceName: string): void {
    for (const { config, state } of this.#state.instances) {
      if (state !== 'master' || this.#state.phase !== 'running') continue;
      const lost = config.addresses.filter((a) => a.address === address && a.interface === interfaceName);
      if (lost.length === 0) continue;
      this.#ports.log.warn(
        { event: 'addresses', action: 'restored', instance: config.name, address },
        'somebody removed a virtual address: putting it back',
      );
      this.#change(config.name, () => this.#ports.addresses.add(lost));
      this.#announce(lost);
    }
  }

  #rearm(deadlineMs: number): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#cancelTimer();
    this.#deadlineMs = deadlineMs;
    this.#cancelTimer = () => {};
    if (deadlineMs < Number.POSITIVE_INFINITY) {
      this.#cancelTimer = this.#ports.clock.at(deadlineMs, () => this.#due());
    }
  }

  /** A stalled loop must not elect a second master while advertisements lie in the queue: drain first. */
  #due(): void {
    this.#deadlineMs = Number.NaN;
    this.#ports.beforeDeadline();
    const transports = new Set(this.#state.instances.map(({ config }) => this.#ports.transport(config)));
    const drains = [...transports].flatMap((transport) => transport.drain() ?? []);
    if (drains.length === 0) return this.input({ type: 'deadline' });
    void Promise.all(drains).then(() => this.input({ type: 'deadline' }));
  }

  #config(name: string): VrrpInstance | undefined {
    return this.#state.instances.find((instance) => instance.config.name === name)?.config;
  }

  #run(effect: GroupEffect): void {
    switch (effect.type) {
      case 'send':
        if (!effect.afterAddresses) return this.#send(effect.instance, effect.priority);
        this.#work = this.#work.then(() => this.#send(effect.instance, effect.priority));
        return;
      case 'add-addresses':
        return this.#change(effect.instance, async () => {
          await this.#ports.addresses.add(effect.addresses);
          this.#tell('added', effect.instance);
        });
      case 'remove-addresses':
        return this.#change(effect.instance, async () => {
          await this.#ports.addresses.remove(effect.addresses);
          this.#tell('removed', effect.instance);
        });
      case 'announce':
        return this.#announce(effect.addresses);
      case 'role': {
        const { instance, from, to, reason } = effect;
        this.#ports.log.info({ event: 'role', instance, from, to, reason }, `${instance}: ${from} -> ${to}`);
        return;
      }
      case 'count': {
        const counters = this.#counters.get(effect.instance) ?? new Map<CounterName, number>();
        counters.set(effect.counter, (counters.get(effect.counter) ?? 0) + 1);
        this.#counters.set(effect.instance, counters);
        return;
      }
      case 'notice':
        return;
      case 'stopped':
        void this.#work.then(() => this.#onStopped());
    }
  }

  #tell(action: 'added' | 'removed', instance: string): void {
    this.#ports.log.info({ event: 'addresses', action, instance }, `${instance}: addresses ${action}`);
  }

  #send(instance: string, priority: number): void {
    const config = this.#config(instance);
    if (config === undefined) return;
    const transport = this.#ports.transport(config);
    try {
      for (const destination of transport.destinations) {
        transport.send(farewellOrAdvertisement(config, priority, transport.source, destination), destination);
      }
    } catch (error) {
      // The link may have gone this very moment; the link event says the rest.
      this.#ports.log.warn({ instance, err: error }, `${instance}: an advertisement could not be sent`);
    }
  }

  /** Queues a change of addresses; a refusal goes back to the machine as an input. */
  #change(instance: string, change: () => Promise<void>): void {
    if (this.#pending >= MAX_PENDING_CHANGES)
      throw new Error('address changes pile up: the kernel does not answer');
    this.#pending += 1;
    this.#work = this.#work.then(change).catch((error: unknown) => {
      this.#ports.log.error({ instance, err: error }, `${instance}: the kernel refused an address change`);
      this.input({ type: 'address-failed', instance });
    });
    this.#work = this.#work.finally(() => {
      this.#pending -= 1;
    });
  }

  #announce(addresses: VrrpInstance['addresses']): void {
    this.#work = this.#work.then(() => {
      try {
        this.#ports.announcer.announce(addresses);
      } catch (error) {
        this.#ports.log.warn({ err: error }, 'gratuitous ARP could not be sent');
      }
    });
  }
}

/** The payload an instance sends: its advertisement, or with priority 0 its farewell. */
export function farewellOrAdvertisement(
  config: VrrpInstance,
  priority: number,
  source: string,
  destination: string,
): Uint8Array {
  const { virtualRouterId, advertisementIntervalMs, advertised: addresses } = config;
  return encodeAdvertisement(
    { virtualRouterId, priority, advertisementIntervalMs, addresses },
    config.checksum,
    source,
    destination,
  );
}
