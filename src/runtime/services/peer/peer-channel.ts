/** The peer channel of the services process: what this director and its peers tell each other beside VRRP. */
import type { DirectorConfig } from '../../../config/model.js';
import type { PeerRole } from '../../../peer/hello.js';
import { missingOf, NO_LAG, stepLag } from '../../../peer/lag.js';
import { HEARD_MS } from '../../../peer/resync-ask.js';
import type { PeerMessage } from '../../../peer/wire.js';
import type { SyncProgress } from '../../../vrrp/group-types.js';
import type { PeerChannelStatus, PeerReport } from '../../peer-status.js';
import type { ServicesPart, SyncDaemonsSeen } from '../services.js';
import { hasLeft, type Roles } from '../services-messages.js';
import { GatewayWatch } from './gateway-watch.js';
import { type OwnWords, PeerLink } from './peer-link.js';
import { PeerPortKeeper } from './peer-port-keeper.js';
import type { PeerListener, PeerPorts } from './peer-ports.js';
import { type Own, peerReport } from './peer-report.js';
import { PeerResync } from './peer-resync.js';
import { PeerTeller } from './peer-teller.js';
import { ReplayEar } from './replay-ear.js';
import { TableCounter } from './table-counter.js';

/** Requests for what replays do not bring are told of in the log until they are so far apart. */
const QUIET_PAUSE_MS = 60_000;

export class PeerChannelPart implements ServicesPart {
  readonly what = 'the peer channel';
  readonly #ports: PeerPorts;
  readonly #listener: PeerListener;
  readonly #port: PeerPortKeeper;
  readonly #resync: PeerResync;
  readonly #counter: TableCounter;
  readonly #gateway: GatewayWatch;
  readonly #teller: PeerTeller;
  readonly #ear: ReplayEar;
  #config: DirectorConfig | undefined;
  #roles: Roles = {};
  /** The latest `syncVoidMs` of roles that can hear. */
  #voidMs = Number.NEGATIVE_INFINITY;
  /** This process may be a new one of a director that stood still before: nobody could be asked yet. */
  #hasMissed = false;
  #links: readonly PeerLink[] = [];
  #lag = NO_LAG;
  /** The last replay that the master told of, and since when. */
  #told: { readonly replay: number | undefined; readonly sinceMs: number } = {
    replay: undefined,
    sinceMs: 0,
  };
  /** The one whose losses were acted on. */
  #judged: number | undefined;
  /** Times that a backup daemon was started, when it was looked at last. */
  #starts = 0;

  constructor(ports: PeerPorts, listener: PeerListener) {
    this.#ports = ports;
    this.#listener = listener;
    const { clock, log } = ports;
    this.#port = new PeerPortKeeper({
      clock,
      log,
      open: (address, port, take) => ports.open(address, port, take),
      readKey: (path) => ports.readKey(path),
      isPeer: (address) => this.#links.some((link) => link.address === address),
      take: (message, source, receivedAtMs) => this.#take(message, source, receivedAtMs),
    });
    this.#resync = new PeerResync({
      clock,
      log,
      random64: () => ports.random64(),
      replay: ports.replay,
      around: () => ({
        isMaster: this.#isMaster,
        peers: this.#replayPeers(),
        held: this.#counter.last,
      }),
      refreshes: () => this.#refreshes(),
      count: () => this.#counter.countNow(),
      tellPeers: () => this.#tellPeers(),
      told: (progress) => this.#tellElection(progress),
    });
    this.#counter = new TableCounter(
      clock,
      () => ports.countConnections(),
      () => this.#changed(),
    );
    this.#gateway = new GatewayWatch(
      clock,
      (address) => ports.probeGateway(address),
      () => this.#changed(),
    );
    this.#teller = new PeerTeller(log);
    this.#ear = new ReplayEar((name, onDatagram) => ports.listenToReplays(name, onDatagram));
  }

  async configure(config: DirectorConfig): Promise<void> {
    this.#config = config;
    const channel = config.peerChannel;
    const kept = this.#links.filter(({ name, address }) =>
      channel?.peers.some((peer) => peer.name === name && peer.address === address),
    );
    for (const link of this.#links) if (!kept.includes(link)) link.close();
    this.#links = (channel?.peers ?? []).map(
      (peer) => kept.find(({ name }) => name === peer.name) ?? this.#link(peer),
    );
    this.#gateway.watch(channel?.gateway);
    this.#counter.turn(this.#resyncs);
    this.#ear.listen(this.#resyncs ? config.connectionSync?.interface : undefined);
    await this.#port.configure(channel);
    this.#tellPeers();
    this.#tellWithoutResync();
  }

  roles(roles: Roles): void {
    const before = this.#roles;
    this.#roles = roles;
    // One in fault hears nothing yet: it asks when that is over.
    const able = Object.values(roles).filter(({ state }) => state !== 'fault');
    const voidMs = Math.max(this.#voidMs, ...able.map((one) => one.syncVoidMs ?? this.#voidMs));
    const isBack = voidMs > this.#voidMs;
    this.#voidMs = voidMs;
    if (hasLeft(before, roles, 'master')) this.#resync.endReplay();
    // While its link was down, or it stood still, it has not heard what was told.
    if (isBack) {
      if (this.#config === undefined) this.#hasMissed = true;
      else if (this.#resyncs) this.#resync.step('gap');
      else this.#tellWithoutResync();
    }
    this.#changed();
  }

  /** The peers hear of it while this process does what is left to do. */
  async succeeded(): Promise<void> {
    this.roles({});
    this.#tellPeers();
  }

  event(): void {}

  healthChanged(): void {}

  /** A daemon that was started now has missed what was told before; one that was found running has not. */
  syncDaemons({ isBackupRunning, backupStarts }: SyncDaemonsSeen): void {
    // Before there is a channel nobody can be asked.
    if (!this.#resyncs) return;
    const hasStarted = backupStarts > this.#starts;
    this.#starts = backupStarts;
    if (hasStarted) this.#ear.again();
    const hasMissed = this.#hasMissed && isBackupRunning;
    if (hasMissed) this.#hasMissed = false;
    if (hasStarted || hasMissed) this.#resync.step('gap');
    else if (isBackupRunning) this.#resync.step('kept');
  }

  close(): void {
    for (const link of this.#links) link.close();
    this.#gateway.watch(undefined);
    this.#counter.turn(false);
    this.#ear.listen(undefined);
    this.#resync.close();
    this.#port.close();
  }

  /** Undefined without a channel. */
  peerChannel(): PeerChannelStatus | undefined {
    const channel = this.#config?.peerChannel;
    if (channel === undefined) return undefined;
    const { fault, discards } = this.#port;
    return {
      address: channel.address,
      port: channel.port,
      authenticated: channel.keyFile !== undefined,
      faults: fault === undefined ? [] : [fault],
      peers: this.#reports(),
      table: { ...this.#progress(), connections: this.#counter.last?.connections ?? null },
      gateway: this.#gateway.verdict,
      discards,
    };
  }

  /** There is something to synchronise, and a way to ask for it. */
  get #resyncs(): boolean {
    return this.#config?.connectionSync !== undefined && this.#config.peerChannel !== undefined;
  }

  #progress(): SyncProgress {
    if (this.#resyncs) return this.#resync.progress;
    const isSynchronised = this.#config?.connectionSync !== undefined;
    return { complete: false, text: isSynchronised ? 'there is no peer channel' : 'nothing is synchronised' };
  }

  #tellWithoutResync(): void {
    if (this.#config !== undefined && !this.#resyncs) this.#tellElection(this.#progress());
  }

  #tellElection(progress: SyncProgress): void {
    this.#listener.syncProgress(progress, this.#voidMs);
  }

  #link(peer: { readonly name: string; readonly address: string }): PeerLink {
    const ports = this.#ports;
    return new PeerLink(peer, {
      clock: ports.clock,
      random64: () => ports.random64(),
      nowEpochMs: () => ports.nowEpochMs(),
      words: () => this.#words(peer.name),
      send: (message) => this.#port.send(message, peer.address),
      drain: () => this.#port.drain(),
      discard: (reason) => this.#port.discard(reason),
      heardAgain: (isNew) => {
        // What it told the sync group meanwhile has not arrived either, perhaps.
        // One that has just rebooted has nothing to give, and asks itself.
        const hasTable = this.#links.find(({ name }) => name === peer.name)?.hello?.said.isComplete;
        if (this.#resyncs && (!isNew || hasTable === true)) this.#resync.step('healed');
      },
      expect: () => this.#port.expect(this.#links.flatMap(({ session }) => session ?? [])),
      changed: () => {
        const link = this.#links.find(({ name }) => name === peer.name);
        if (link?.isUp === true) this.#resync.asked(peer.name, link.hello?.said.asks ?? 0);
        this.#changed();
      },
    });
  }

  #take(message: PeerMessage, source: string, receivedAtMs: number): void {
    this.#links.find(({ address }) => address === source)?.take(message, receivedAtMs);
  }

  #words(peer: string): OwnWords {
    const { clock, replay } = this.#ports;
    const { director = '', peerChannel } = this.#config ?? {};
    const { last } = this.#counter;
    return {
      director,
      version: this.#ports.version,
      sections: peerChannel?.sections ?? {},
      roles: this.#ownRoles(),
      table: last && {
        connections: last.connections,
        lasting: last.lasting,
        established: last.established,
        fresh: last.fresh,
        ageMs: Math.max(0, Math.round(clock.nowMs() - last.atMs)),
      },
      gateway: this.#gateway.verdict,
      replays: replay !== undefined,
      isComplete: this.#progress().complete,
      asks: this.#resync.asksOf(peer),
      answer: this.#resync.answerTo(peer),
      replayed: this.#resync.replayed,
    };
  }

  #ownRoles(): readonly PeerRole[] {
    return (this.#config?.instances ?? []).map(({ name }) => this.#roles[name]?.state ?? 'initialize');
  }

  get #isMaster(): boolean {
    return this.#ownRoles().includes('master');
  }

  #replayPeers() {
    return this.#links.flatMap(({ name, isUp, hello }) =>
      !isUp || hello === undefined
        ? []
        : {
            name,
            isMaster: hello.said.roles.includes('master'),
            replays: hello.said.replays,
            table: hello.said.table,
            answer: hello.said.answer,
            lost:
              hello.said.answer?.request === hello.said.replayed?.replay
                ? this.#ear.lostOf(hello.said.replayed)
                : undefined,
          },
    );
  }

  #tellPeers(): void {
    for (const link of this.#links) link.tellSoon();
  }

  #changed(): void {
    if (this.#config?.peerChannel === undefined) return;
    this.#resync.look();
    this.#lookForLag();
    const nowMs = this.#ports.clock.nowMs();
    for (const report of this.#reports()) this.#teller.tell(report, this.#ports.version, nowMs);
  }

  #refreshes(): boolean {
    if (!this.#resyncs || this.#ports.replay === undefined || !this.#isMaster) return false;
    const peers = this.#replayPeers();
    return peers.length > 0 && !peers.some(({ isMaster }) => isMaster);
  }

  #lookForLag(): void {
    const nowMs = this.#ports.clock.nowMs();
    const master = this.#masterHeard();
    const missing = this.#missing(master);
    const lost = this.#newlyLost(master, nowMs);
    const input = { missing, isLossy: lost > 0, isAsking: this.#resync.isAsking };
    const { state, ask } = stepLag(this.#lag, input, nowMs);
    this.#lag = state;
    if (!ask) return;
    if (lost > 0) this.#judged = master?.said.replayed?.replay;
    const words =
      lost > 0
        ? `connection table: ${lost} datagrams of the master's last replay were lost`
        : `connection table: ${missing} of the master's are not here`;
    // A pair that lacks some all the time, since many come and go, is not worth a line every ten minutes.
    this.#ports.log[state.pauseMs > QUIET_PAUSE_MS ? 'debug' : 'info'](
      { event: 'resync', missing, lost },
      words,
    );
    this.#resync.step('behind');
  }

  /** What the master said last; undefined: none is heard, or this director is one. */
  #masterHeard(): PeerLink['hello'] {
    if (!this.#resyncs || this.#isMaster) return undefined;
    return this.#links.find(({ isUp, hello }) => isUp && hello?.said.roles.includes('master') === true)
      ?.hello;
  }

  /** Connections that a backup lacks, by counts. */
  #missing(master: PeerLink['hello']): number | undefined {
    const { last } = this.#counter;
    const table = master?.said.table;
    if (last === undefined || master === undefined || table === undefined) return undefined;
    return missingOf({ ...table, atMs: master.atMs - table.ageMs }, last);
  }

  /** Datagrams of the master's last replay, if they were not acted on yet. */
  #newlyLost(master: PeerLink['hello'], nowMs: number): number {
    const replayed = master?.said.replayed;
    if (replayed?.replay !== this.#told.replay) this.#told = { replay: replayed?.replay, sinceMs: nowMs };
    if (replayed?.replay === this.#judged || nowMs < this.#told.sinceMs + HEARD_MS) return 0;
    return this.#ear.lostOf(replayed) ?? 0;
  }

  #reports(): readonly PeerReport[] {
    const nowMs = this.#ports.clock.nowMs();
    const own: Own = {
      director: this.#config?.director ?? '',
      sections: this.#config?.peerChannel?.sections ?? {},
      roles: this.#ownRoles(),
      hearsMaster: Object.values(this.#roles).some(({ state, settled }) => state === 'backup' && settled),
      gateway: this.#gateway.verdict,
      held: this.#counter.last,
    };
    return this.#links.map((link) => peerReport(link, own, nowMs));
  }
}
