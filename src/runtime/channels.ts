/** The sockets of all instances: who shares one, whom a message is for, and what happens when an interface changes. */
import type { VrrpInstance } from '../config/model.js';
import type {
  LinkMonitor,
  Log,
  OpenVrrpTransport,
  ReceivedVrrp,
  VrrpChannel,
  VrrpTransport,
} from './ports.js';

export interface ChannelsPorts {
  readonly openTransport: OpenVrrpTransport;
  readonly links: LinkMonitor;
  readonly log: Log;
  onMessage(channel: Channel, message: ReceivedVrrp): void;
  /** An instance speaks from another address now; undefined: it cannot speak. */
  onSource(instance: string, source: string | undefined): void;
}

/** A transport with the instances on it. */
export interface Channel {
  readonly settings: VrrpChannel;
  /** Instances by virtual router identifier, which is unique on a channel. */
  readonly members: ReadonlyMap<number, Member>;
}

/** What does not change while an instance is on its channel. */
export type Member = Pick<VrrpInstance, 'name' | 'version'>;

interface OpenChannel extends Channel {
  readonly members: Map<number, Member>;
  transport: VrrpTransport | undefined;
  /** Of the devices when the transport was opened. */
  indices: string;
}

/** Code of the error of an interface without an address to speak from. */
const NO_ADDRESS = 'ERR_NO_INTERFACE_ADDRESS';

function settingsOf(instance: VrrpInstance): VrrpChannel {
  const { interface: name, family, transport, virtualMacInterface } = instance;
  return { interface: name, family, transport, virtualMacInterface };
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
   * Lets an instance speak and listen; an earlier channel of the same instance is left. Returns the address it
   * speaks from; undefined: the interface has none yet, and `onSource` tells when it has.
   * @throws what else opening the socket throws
   */
  join(instance: VrrpInstance): string | undefined {
    this.leave(instance.name);
    const key = channelKey(instance);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = {
        settings: settingsOf(instance),
        members: new Map(),
        transport: undefined,
        indices: '',
      };
      this.#openOrWait(channel);
      this.#channels.set(key, channel);
    } else if (channel.transport === undefined) {
      this.#openOrWait(channel);
      if (channel.transport !== undefined) this.#tellMembers(channel);
    }
    const { name, version } = instance;
    channel.members.set(instance.virtualRouterId, { name, version });
    this.#byInstance.set(name, channel);
    return channel.transport?.source;
  }

  /** Closes the socket behind the last one that leaves. */
  leave(instance: string): void {
    const channel = this.#byInstance.get(instance);
    if (channel === undefined) return;
    this.#byInstance.delete(instance);
    for (const [id, { name }] of channel.members) {
      if (name === instance) channel.members.delete(id);
    }
    if (channel.members.size > 0) return;
    channel.transport?.close();
    for (const [key, other] of this.#channels) {
      if (other === channel) this.#channels.delete(key);
    }
  }

  /** Undefined while the instance cannot speak. */
  transport(instance: string): VrrpTransport | undefined {
    return this.#byInstance.get(instance)?.transport;
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
      if (!this.#isStale(channel)) continue;
      const before = channel.transport;
      channel.transport = undefined;
      before?.close();
      this.#reopen(channel);
      if (channel.transport === before) continue;
      this.#tellMembers(channel);
    }
  }

  #tellMembers({ members, transport }: OpenChannel): void {
    for (const { name } of members.values()) this.#ports.onSource(name, transport?.source);
  }

  #isStale({ settings, transport, indices }: OpenChannel): boolean {
    if (transport === undefined || this.#indices(settings) !== indices) return true;
    return !this.#ports.links.holds(settings.interface, transport.source);
  }

  /** Sockets stay bound to a device that is gone, though another may bear its name. */
  #indices({ interface: name, virtualMacInterface }: VrrpChannel): string {
    const devices = virtualMacInterface === undefined ? [name] : [name, virtualMacInterface];
    return devices.map((device) => this.#ports.links.index(device) ?? 'none').join();
  }

  #reopen(channel: OpenChannel): void {
    const name = channel.settings.interface;
    // Without the device there is nothing to try, and nothing new to tell.
    if (this.#ports.links.index(name) === undefined) return;
    try {
      this.#open(channel);
      this.#ports.log.info({ event: 'channel', interface: name }, `speaking on ${name} again`);
    } catch (error) {
      this.#ports.log.warn({ interface: name, err: error }, `cannot speak on ${name}`);
    }
  }

  /** An address may be on its way: a link-local one comes with the link, and is tentative at first. */
  #openOrWait(channel: OpenChannel): void {
    try {
      this.#open(channel);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === NO_ADDRESS)) throw error;
      const { interface: name } = channel.settings;
      this.#ports.log.warn({ interface: name, err: error }, `cannot speak on ${name} yet`);
    }
  }

  #open(channel: OpenChannel): void {
    const { openTransport, log } = this.#ports;
    const name = channel.settings.interface;
    const indices = this.#indices(channel.settings);
    const transport = openTransport(
      channel.settings,
      (message) => this.#ports.onMessage(channel, message),
      (error) => log.warn({ interface: name, err: error }, 'VRRP socket error'),
    );
    channel.indices = indices;
    channel.transport = transport;
  }
}
