/** The sockets of all instances: who shares one, whom a message is for, and what happens when an interface changes. */
import type { VrrpInstance } from '../../config/model.js';
import type {
  Clock,
  ExpectedRouter,
  LinkMonitor,
  Log,
  OpenVrrpTransport,
  ReceivedVrrp,
  VrrpChannel,
  VrrpTransport,
} from '../ports.js';

export interface ChannelsPorts {
  readonly clock: Clock;
  readonly openTransport: OpenVrrpTransport;
  readonly links: LinkMonitor;
  readonly log: Log;
  onMessage(channel: Channel, message: ReceivedVrrp): void;
  /** An instance speaks from another address now; undefined: it cannot speak, and `fault` says why. */
  onSource(instance: string, source: string | undefined, fault: string | undefined): void;
  /** The wait for the address that an instance speaks from is over (`isAwaitingSource`). */
  onAwaited(instance: string): void;
}

/** A transport with the instances on it. */
export interface Channel {
  readonly settings: VrrpChannel;
  /** Instances by virtual router identifier, which is unique on a channel. */
  readonly members: ReadonlyMap<number, Member>;
}

/** An instance, and what its advertisements say, whoever sends them. */
export interface Member extends ExpectedRouter {
  readonly name: string;
}

interface OpenChannel extends Channel {
  readonly members: Map<number, Member>;
  transport: VrrpTransport | undefined;
  /** Why there is none, as a sentence's end. */
  fault: string | undefined;
  /** Of the devices when the transport was opened. */
  indices: string;
  cancelRetry: () => void;
  cancelExpecting: () => void;
  /** Its address went, and may be back in a moment: until then it cannot speak, and nobody has missed it yet. */
  awaitsSource: boolean;
  cancelAwaiting: () => void;
  /** Another host with the transport's source address. */
  conflict: Conflict | undefined;
}

interface Conflict {
  readonly hardwareAddress: string;
  readonly heardAtMs: number;
  readonly toldAtMs: number;
}

/** No event tells when what the kernel refused would go (a port that is taken, no descriptors): tried again after so long. */
const RETRY_MS = 5000;
/**
 * An address that went is waited for as long as an advertisement interval, and no longer than this: network managers take
 * all addresses away and put their own back when they are configured anew. Without an address there is no farewell, so the
 * other routers wait for three intervals in any case.
 */
const MAX_AWAITED_MS = 1000;
/** Another host that was not heard for so long has given the address up: it is asked every 10 s. */
const CONFLICT_FOR_MS = 35_000;
const CONFLICT_TOLD_FOR_MS = 600_000;

function settingsOf(instance: VrrpInstance): VrrpChannel {
  const { interface: name, family, transport, virtualMacInterface } = instance;
  return { interface: name, family, transport, virtualMacInterface };
}

/** Why what hangs on an interface cannot be, as a sentence's end. */
export function missingText(interfaceName: string): string {
  return `interface ${interfaceName} is missing`;
}

/** Instances whose channels read alike share a socket. */
export function channelKey(instance: VrrpInstance): string {
  return JSON.stringify(settingsOf(instance));
}

export class Channels {
  readonly #ports: ChannelsPorts;
  readonly #channels = new Map<string, OpenChannel>();
  readonly #byInstance = new Map<string, OpenChannel>();

  constructor(ports: ChannelsPorts) {
    this.#ports = ports;
  }

  /**
   * Lets an instance speak and listen; an earlier channel of it is left, unless it is the same. Returns the address it
   * speaks from; undefined: it cannot, `faultOf` says why, and `onSource` tells when it can.
   */
  join(instance: VrrpInstance): string | undefined {
    const key = channelKey(instance);
    let channel = this.#channels.get(key);
    if (channel === undefined || channel !== this.#byInstance.get(instance.name)) this.leave(instance.name);
    else forgetName(channel, instance.name);
    if (channel === undefined) {
      channel = {
        settings: settingsOf(instance),
        members: new Map(),
        transport: undefined,
        fault: undefined,
        indices: '',
        cancelRetry: () => {},
        cancelExpecting: () => {},
        awaitsSource: false,
        cancelAwaiting: () => {},
        conflict: undefined,
      };
      this.#open(channel);
      this.#channels.set(key, channel);
    } else if (channel.transport === undefined) {
      this.#open(channel);
      if (channel.transport !== undefined) this.#tellMembers(channel);
    }
    const { name, version, virtualRouterId, advertised: addresses, advertisementIntervalMs } = instance;
    const member = { name, version, virtualRouterId, addresses, advertisementIntervalMs };
    channel.members.set(virtualRouterId, member);
    this.#byInstance.set(name, channel);
    this.#expectSoon(channel);
    return channel.transport?.source;
  }

  /** Messages on an interface that the kernel dropped unread since its sockets were opened, as `director status` names them. */
  counters(interfaceName: string): Record<string, number> {
    let unread = 0;
    for (const { settings, transport } of this.#channels.values()) {
      if (settings.interface === interfaceName) unread += transport?.unread?.() ?? 0;
    }
    return unread === 0 ? {} : { discarded_unread: unread };
  }

  /** Closes the socket behind the last one that leaves. */
  leave(instance: string): void {
    const channel = this.#byInstance.get(instance);
    if (channel === undefined) return;
    this.#byInstance.delete(instance);
    forgetName(channel, instance);
    if (channel.members.size > 0) return this.#expectSoon(channel);
    channel.cancelRetry();
    channel.cancelExpecting();
    channel.cancelAwaiting();
    channel.transport?.close();
    for (const [key, other] of this.#channels) {
      if (other === channel) this.#channels.delete(key);
    }
  }

  /** Undefined while the instance cannot speak. */
  transport(instance: string): VrrpTransport | undefined {
    return this.#byInstance.get(instance)?.transport;
  }

  /** Why an instance cannot speak, as a sentence's end. */
  faultOf(instance: string): string | undefined {
    return this.#byInstance.get(instance)?.fault;
  }

  /** The MAC address of another host with the address that an instance speaks from. */
  conflictOf(instance: string): string | undefined {
    const conflict = this.#byInstance.get(instance)?.conflict;
    if (conflict === undefined) return undefined;
    const isOver = this.#ports.clock.nowMs() - conflict.heardAtMs > CONFLICT_FOR_MS;
    return isOver ? undefined : conflict.hardwareAddress;
  }

  /**
   * Whether another channel hears the same packets: a raw socket gets all of its interface, so what is nothing to
   * one may be the other's.
   */
  isBesideAnother({ settings: { interface: name, family } }: Channel): boolean {
    let found = 0;
    for (const { settings } of this.#channels.values()) {
      if (settings.interface === name && settings.family === family) found += 1;
    }
    return found > 1;
  }

  /** An interface or its addresses changed: sockets of a device that was made anew, or of an address that went, are opened again. */
  refresh(interfaceName: string): void {
    for (const channel of this.#channels.values()) {
      const { interface: name, virtualMacInterface } = channel.settings;
      if (name !== interfaceName && virtualMacInterface !== interfaceName) continue;
      if (!this.#isStale(channel)) this.#awaited(channel);
      else if (this.#lacksSource(channel)) this.#awaitSource(channel);
      else this.#reopen(channel);
    }
  }

  /** Whether the address that an instance speaks from is gone for a moment. Its virtual addresses are not to come before it. */
  isAwaitingSource(instance: string): boolean {
    return this.#byInstance.get(instance)?.awaitsSource === true;
  }

  #awaitSource(channel: OpenChannel): void {
    if (channel.awaitsSource) return;
    const { clock } = this.#ports;
    const intervals = [...channel.members.values()].map((one) => one.advertisementIntervalMs);
    channel.awaitsSource = true;
    channel.cancelAwaiting = clock.at(clock.nowMs() + Math.min(MAX_AWAITED_MS, ...intervals), () => {
      if (this.#isStale(channel)) this.#reopen(channel);
      else this.#awaited(channel);
    });
  }

  #awaited(channel: OpenChannel): void {
    if (!channel.awaitsSource) return;
    channel.awaitsSource = false;
    channel.cancelAwaiting();
    for (const { name } of channel.members.values()) this.#ports.onAwaited(name);
  }

  /** Once for all instances that come and go together. Until then they hear by the slower way. */
  #expectSoon(channel: OpenChannel): void {
    const { clock } = this.#ports;
    channel.cancelExpecting();
    channel.cancelExpecting = clock.at(clock.nowMs(), () => this.#expect(channel));
  }

  #expect({ transport, members, settings }: OpenChannel): void {
    try {
      transport?.expect?.([...members.values()]);
    } catch (err) {
      // They go on hearing by the slower way.
      this.#ports.log.warn({ event: 'channel', interface: settings.interface, err }, 'no socket filter');
    }
  }

  #reopen(channel: OpenChannel): void {
    const { transport: before, fault } = channel;
    channel.transport = undefined;
    channel.conflict = undefined;
    before?.close();
    this.#open(channel);
    this.#awaited(channel);
    if (channel.transport === before && channel.fault === fault) return;
    if (channel.transport !== undefined) {
      const { interface: name } = channel.settings;
      this.#ports.log.info({ event: 'channel', interface: name }, `speaking on ${name} again`);
    }
    this.#tellMembers(channel);
  }

  #tellMembers({ members, transport, fault }: OpenChannel): void {
    for (const { name } of members.values()) this.#ports.onSource(name, transport?.source, fault);
  }

  #isStale(channel: OpenChannel): boolean {
    return channel.transport === undefined || !this.#isOnItsDevices(channel) || this.#lacksSource(channel);
  }

  /** Though the devices are the same. */
  #lacksSource(channel: OpenChannel): boolean {
    const { settings, transport } = channel;
    if (transport === undefined || !this.#isOnItsDevices(channel)) return false;
    return !this.#ports.links.holds(settings.interface, transport.source);
  }

  #isOnItsDevices({ settings, indices }: OpenChannel): boolean {
    return this.#indices(settings) === indices;
  }

  /** Sockets stay bound to a device that is gone, though another may bear its name. */
  #indices(settings: VrrpChannel): string {
    return devicesOf(settings)
      .map((device) => this.#ports.links.index(device) ?? 'none')
      .join();
  }

  /** A device that is missing and an address that is on its way announce themselves by an event; anything else is tried again. */
  #open(channel: OpenChannel): void {
    const { clock, links } = this.#ports;
    channel.cancelRetry();
    const missing = devicesOf(channel.settings).find((device) => links.index(device) === undefined);
    if (missing !== undefined) return this.#cannot(channel, missingText(missing));
    try {
      this.#openTransport(channel);
      channel.fault = undefined;
    } catch (error) {
      // Anything without a code is a broken invariant.
      if (!(error instanceof Error && 'code' in error)) throw error;
      this.#cannot(channel, error.message);
      channel.cancelRetry = clock.at(clock.nowMs() + RETRY_MS, () => this.#reopen(channel));
    }
  }

  /** Told once for each reason. */
  #cannot(channel: OpenChannel, fault: string): void {
    if (channel.fault === fault) return;
    channel.fault = fault;
    const { interface: name } = channel.settings;
    this.#ports.log.warn({ event: 'channel', interface: name }, `cannot speak on ${name}: ${fault}`);
  }

  #openTransport(channel: OpenChannel): void {
    const { openTransport, log } = this.#ports;
    const name = channel.settings.interface;
    const indices = this.#indices(channel.settings);
    const transport = openTransport(
      channel.settings,
      (message) => this.#ports.onMessage(channel, message),
      (error) => log.warn({ interface: name, err: error }, 'VRRP socket error'),
      (hardwareAddress) => this.#conflict(channel, hardwareAddress),
    );
    channel.indices = indices;
    channel.transport = transport;
    this.#expectSoon(channel);
  }

  /** Told every ten minutes while it lasts, whatever MAC addresses somebody makes up. */
  #conflict(channel: OpenChannel, hardwareAddress: string): void {
    const now = this.#ports.clock.nowMs();
    const before = channel.conflict?.toldAtMs;
    const isNews = before === undefined || now - before >= CONFLICT_TOLD_FOR_MS;
    channel.conflict = { hardwareAddress, heardAtMs: now, toldAtMs: isNews ? now : before };
    if (!isNews) return;
    const { interface: name } = channel.settings;
    const address = channel.transport?.source ?? '';
    this.#ports.log.error(
      { event: 'source-conflict', interface: name, address, hardware_address: hardwareAddress },
      `another host (${hardwareAddress}) has ${address}, the address that this director speaks from on ${name}: if it is a director, neither hears the other and both are master. Give one of the two machines another address; was one cloned?`,
    );
  }
}

function forgetName({ members }: OpenChannel, instance: string): void {
  for (const [id, { name }] of members) if (name === instance) members.delete(id);
}

function devicesOf({ interface: name, virtualMacInterface }: VrrpChannel): readonly string[] {
  return virtualMacInterface === undefined ? [name] : [name, virtualMacInterface];
}
