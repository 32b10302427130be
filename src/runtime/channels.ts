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
  /** Names of instances by virtual router identifier, which is unique on a channel. */
  readonly members: ReadonlyMap<number, string>;
}

interface OpenChannel extends Channel {
  readonly members: Map<number, string>;
  transport: VrrpTransport | undefined;
  /** Of the interface when the transport was opened. */
  index: number | undefined;
}

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
   * Lets an instance speak and listen; an earlier channel of the same instance is left.
   * @throws what opening the socket throws
   */
  join(instance: VrrpInstance): VrrpTransport {
    this.leave(instance.name);
    const key = channelKey(instance);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = {
        settings: settingsOf(instance),
        members: new Map(),
        transport: undefined,
        index: undefined,
      };
      this.#open(channel);
      this.#channels.set(key, channel);
    }
    const transport = channel.transport ?? this.#open(channel);
    channel.members.set(instance.virtualRouterId, instance.name);
    this.#byInstance.set(instance.name, channel);
    return transport;
  }

  /** Closes the socket behind the last one that leaves. */
  leave(instance: string): void {
    const channel = this.#byInstance.get(instance);
    if (channel === undefined) return;
    this.#byInstance.delete(instance);
    for (const [id, name] of channel.members) {
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
      for (const instance of channel.members.values()) {
        this.#ports.onSource(instance, this.transport(instance)?.source);
      }
    }
  }

  #isStale({ settings, transport, index }: OpenChannel): boolean {
    const { links } = this.#ports;
    if (transport === undefined || links.index(settings.interface) !== index) return true;
    return !links.holds(settings.interface, transport.source);
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

  #open(channel: OpenChannel): VrrpTransport {
    const { openTransport, links, log } = this.#ports;
    const name = channel.settings.interface;
    const index = links.index(name);
    const transport = openTransport(
      channel.settings,
      (message) => this.#ports.onMessage(channel, message),
      (error) => log.warn({ interface: name, err: error }, 'VRRP socket error'),
    );
    channel.index = index;
    channel.transport = transport;
    return transport;
  }
}
