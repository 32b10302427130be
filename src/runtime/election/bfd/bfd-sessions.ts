/** All BFD sessions of this director: who has which, and the sockets of each link. */

import { decodeBfd } from '../../../bfd/packet.js';
import type { ElectionConfig } from '../../../config/model.js';
import { bfdKey, planBfd, type WantedBfd } from '../../../planning/bfd-sessions.js';
import { messageOf } from '../../../util/error-message.js';
import type { BfdLink, BfdPorts, BfdTransport, LinkMonitor, ReceivedBfd } from '../../ports.js';
import type { BfdReport, BfdStatus } from '../../status.js';
import { missingText } from '../channels.js';
import { StrangerBudget } from '../reception/stranger-budget.js';
import { BfdRunner, type BfdRunnerPorts } from './bfd-runner.js';
import { bfdReport, bfdStatus } from './bfd-teller.js';

export interface BfdSessionsPorts extends Omit<BfdRunnerPorts, 'random' | 'allowsLine'> {
  readonly bfd: BfdPorts;
  readonly links: Pick<LinkMonitor, 'index'>;
}

/** No event tells when what the kernel refused would go (a port that is taken): tried again after so long. */
const RETRY_MS = 5000;
/** RFC 5881 section 5. */
const TTL = 255;

interface OpenLink {
  /** What it was opened for; another text: it is opened anew. */
  readonly text: string;
  readonly transport: BfdTransport;
}

export class BfdSessions {
  readonly #ports: BfdSessionsPorts;
  readonly #runners = new Map<string, BfdRunner>();
  readonly #links = new Map<string, OpenLink>();
  readonly #budget: StrangerBudget;
  #cancelRetry: () => void = () => {};
  #stopped = false;

  constructor(ports: BfdSessionsPorts) {
    this.#ports = ports;
    this.#budget = new StrangerBudget(ports.clock, ports.log);
  }

  /** Sessions that are asked for no more say that they are administratively down. */
  configure(config: ElectionConfig): void {
    const wanted = new Map(planBfd(config).map((one) => [bfdKey(one), one]));
    for (const [key, runner] of this.#runners) {
      if (wanted.has(key)) continue;
      runner.input({ type: 'stop' });
      runner.close();
      this.#runners.delete(key);
    }
    const fresh: WantedBfd[] = [];
    for (const [key, one] of wanted) {
      const runner = this.#runners.get(key);
      if (runner === undefined) fresh.push(one);
      else runner.configure(one);
    }
    for (const one of fresh) this.#runners.set(bfdKey(one), this.#create(one));
    this.#openLinks();
  }

  /** A link or an address of this interface changed. */
  changed(interfaceName: string): void {
    if (this.has(interfaceName)) this.#openLinks();
  }

  has(interfaceName: string): boolean {
    for (const { wanted } of this.#runners.values()) if (wanted.interface === interfaceName) return true;
    return false;
  }

  /** This director leaves in good order: its peers are told that it is no failure. */
  stop(): void {
    this.#stopped = true;
    for (const runner of this.#runners.values()) runner.input({ type: 'stop' });
  }

  close(): void {
    this.#cancelRetry();
    for (const runner of this.#runners.values()) runner.close();
    for (const { transport } of this.#links.values()) transport.close();
    this.#runners.clear();
    this.#links.clear();
  }

  /** How long the other directors wait for this one's packets on an instance's link; undefined: none does. */
  watchedMs(instance: string): number | undefined {
    let least: number | undefined;
    for (const { wanted, watchedMs } of this.#runners.values()) {
      if (watchedMs === undefined || !wanted.instances.includes(instance)) continue;
      least = Math.min(least ?? watchedMs, watchedMs);
    }
    return least;
  }

  status(): readonly BfdStatus[] {
    const nowMs = this.#ports.clock.nowMs();
    return [...this.#runners.values()].map((runner) => bfdStatus(runner, nowMs));
  }

  report(): readonly BfdReport[] {
    return [...this.#runners.values()].map(bfdReport);
  }

  #create(wanted: WantedBfd): BfdRunner {
    const { bfd, ...ports } = this.#ports;
    return new BfdRunner(wanted, this.#freeDiscriminator(), {
      ...ports,
      random: () => bfd.random(),
      allowsLine: () => this.#budget.allows('bfd'),
    });
  }

  /** Section 6.3: unique among the sessions of this host. */
  #freeDiscriminator(): number {
    const taken = new Set([...this.#runners.values()].map(({ session }) => session.discriminator));
    let discriminator = this.#ports.bfd.discriminator();
    while (taken.has(discriminator)) discriminator = (discriminator % 0xffffffff) + 1;
    return discriminator;
  }

  /** Brings the sockets to what the sessions want and the host has now. */
  #openLinks(): void {
    this.#cancelRetry();
    this.#cancelRetry = () => {};
    if (this.#stopped) return;
    const wanted = new Map<string, { link: BfdLink; runners: BfdRunner[] }>();
    for (const runner of this.#runners.values()) {
      const source = this.#sourceOf(runner);
      runner.link = undefined;
      if (source === undefined) continue;
      const { interface: device, family, peer: address } = runner.wanted;
      const key = `${device} ${source}`;
      const known = wanted.get(key);
      const peer = { address, discriminator: runner.session.discriminator };
      const peers = [...(known?.link.peers ?? []), peer];
      const runners = [...(known?.runners ?? []), runner];
      wanted.set(key, { link: { interface: device, family, source, peers }, runners });
    }
    for (const [key, { transport }] of this.#links) {
      if (wanted.has(key)) continue;
      transport.close();
      this.#links.delete(key);
    }
    for (const [key, { link, runners }] of wanted) this.#open(key, link, runners);
    if ([...this.#runners.values()].some(({ link }) => link === undefined)) this.#retry();
  }

  #retry(): void {
    const { clock } = this.#ports;
    this.#cancelRetry = clock.at(clock.nowMs() + RETRY_MS, () => this.#openLinks());
  }

  #sourceOf(runner: BfdRunner): string | undefined {
    const { interface: device, family, source } = runner.wanted;
    try {
      const found = this.#ports.bfd.sourceOf(device, family, source);
      runner.fault = undefined;
      return found;
    } catch (error) {
      const isMissing = this.#ports.links.index(device) === undefined;
      runner.fault = isMissing ? missingText(device) : messageOf(error);
      return undefined;
    }
  }

  #open(key: string, link: BfdLink, runners: readonly BfdRunner[]): void {
    const text = JSON.stringify([link, this.#ports.links.index(link.interface)]);
    const before = this.#links.get(key);
    if (before?.text === text) {
      for (const runner of runners) runner.link = before.transport;
      return;
    }
    before?.transport.close();
    this.#links.delete(key);
    const byPeer = new Map(runners.map((runner) => [runner.wanted.peer, runner]));
    try {
      const transport = this.#ports.bfd.open(
        link,
        (message) => receive(byPeer.get(message.source), message),
        (error) => this.#complain(link, error),
      );
      this.#links.set(key, { text, transport });
      for (const runner of runners) runner.link = transport;
    } catch (error) {
      for (const runner of runners) runner.fault = messageOf(error);
      this.#complain(link, error);
    }
  }

  #complain({ interface: device, source }: BfdLink, error: unknown): void {
    if (!this.#budget.allows('bfd-socket')) return;
    this.#ports.log.warn(
      { event: 'bfd-socket', interface: device, err: error },
      `BFD on ${device} from ${source}: ${messageOf(error)}`,
    );
  }
}

/** RFC 5880 section 6.8.6; the filter before the socket has done most of it in the kernel. */
function receive(runner: BfdRunner | undefined, { payload, ttl, receivedAtMs }: ReceivedBfd): void {
  if (runner === undefined) return;
  if (ttl !== TTL) return runner.discarded('bad-ttl');
  const decoded = decodeBfd(payload);
  if (!decoded.ok) return runner.discarded(decoded.reason);
  const { packet } = decoded;
  const { yourDiscriminator } = packet;
  if (yourDiscriminator !== 0 && yourDiscriminator !== runner.session.discriminator)
    return runner.discarded('unknown-discriminator');
  runner.input({ type: 'packet', packet, receivedAtMs });
}
