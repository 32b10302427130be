/** Serves metrics where the configuration wants them. Nothing else of the services process waits for this. */

import type { MetricsListen, MetricsSettings } from '../../config/model.js';
import type { CountedService } from '../../ipvs/model.js';
import { messageOf } from '../../util/error-message.js';
import { workInTurn } from '../../util/in-turn.js';
import { endpointText } from '../../util/ip-address.js';
import type { ElectionReport } from '../election-report.js';
import type { Clock, Log } from '../ports.js';
import { type Known, Latest } from './latest.js';
import type { MetricsSnapshot, ServicesReport } from './metrics-snapshot.js';
import type { IpvsCounters } from './services-ports.js';

/** A place that cannot be had is tried again after so long. */
export const LISTEN_AGAIN_MS = 5000;
/** Who scrapes so soon after another gets the same text. */
export const SAME_TEXT_MS = 1000;
/** And so many times as long as it took to write: that is a fifth of this process's time at most. */
const REST_FACTOR = 4;
export const OLDEST_TEXT_MS = 5000;

export interface MetricsPorts {
  /** Ends the service; the place is free afterwards. */
  readonly serve: (
    listen: MetricsListen,
    scrape: () => Promise<readonly Uint8Array[]>,
  ) => Promise<() => Promise<void>>;
  /** The text of a snapshot, in parts. */
  readonly write: (snapshot: MetricsSnapshot) => Promise<readonly Uint8Array[]>;
  readonly openCounters: () => Promise<IpvsCounters>;
}

export interface MetricsKeeperPorts extends MetricsPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks the VRRP process, which answers by `take`, or not. */
  readonly askElection: () => void;
  /** Undefined before the first configuration. */
  readonly report: () => ServicesReport | undefined;
}

export class MetricsKeeper {
  readonly #ports: MetricsKeeperPorts;
  readonly #inTurn = workInTurn();
  #settings: MetricsSettings | undefined;
  #served: { readonly listen: MetricsListen; close(): Promise<void> } | undefined;
  #cancelRetry: () => void = () => {};
  #told = '';
  #sources: Sources | undefined;
  #writing: Promise<readonly Uint8Array[]> | undefined;
  #text: readonly Uint8Array[] | undefined;
  #cancelText: () => void = () => {};

  constructor(ports: MetricsKeeperPorts) {
    this.#ports = ports;
  }

  /** Resolves when the place is served, or it is told why not. */
  configure(settings: MetricsSettings | undefined): Promise<void> {
    this.#settings = settings;
    this.#forgetText();
    return this.#inTurn(() => this.#listen());
  }

  /** An answer of the VRRP process. */
  take(report: ElectionReport): void {
    this.#sources?.take(report);
  }

  close(): Promise<void> {
    return this.configure(undefined);
  }

  async #listen(): Promise<void> {
    this.#cancelRetry();
    const wanted = this.#settings?.listen;
    if (this.#served !== undefined && placeOf(this.#served.listen) !== placeOf(wanted)) await this.#leave();
    if (wanted === undefined) return this.#forget();
    if (this.#served !== undefined) return;
    const { serve, clock, log } = this.#ports;
    try {
      const close = await serve(wanted, () => this.#scrape());
      this.#served = { listen: wanted, close };
      log.info({ event: 'metrics', listen: placeOf(wanted) }, `metrics are served at ${placeOf(wanted)}`);
      this.#told = '';
    } catch (error) {
      const words = `metrics cannot be served at ${placeOf(wanted)}: ${messageOf(error)}`;
      if (words !== this.#told) log.error({ event: 'metrics', err: error }, `${words}; it is tried again`);
      this.#told = words;
      this.#cancelRetry = clock.at(clock.nowMs() + LISTEN_AGAIN_MS, () => {
        void this.#inTurn(() => this.#listen());
      });
    }
  }

  async #leave(): Promise<void> {
    await this.#served?.close();
    this.#served = undefined;
  }

  #forget(): void {
    this.#sources?.close();
    this.#sources = undefined;
    this.#told = '';
  }

  #scrape(): Promise<readonly Uint8Array[]> {
    if (this.#text !== undefined) return Promise.resolve(this.#text);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<readonly Uint8Array[]> {
    const { clock, write, report } = this.#ports;
    const services = report();
    if (services === undefined) throw new Error('the services process is still starting');
    // A reload may take them away meanwhile.
    this.#sources ??= new Sources(this.#ports);
    const sources = this.#sources;
    const [election, table] = await sources.get(services.virtualServers.length > 0);
    const begunMs = clock.nowMs();
    const text = await write({
      election: election && { ...election.value, ageMs: begunMs - election.atMs },
      services,
      table: table && { services: table.value, ageMs: begunMs - table.atMs, tookMs: table.tookMs },
      tableFailures: sources.failures,
      realServers: this.#settings?.realServers ?? false,
    });
    this.#keepText(text, REST_FACTOR * (clock.nowMs() - begunMs));
    return text;
  }

  /** Megabytes, perhaps: not for longer than it is of use. */
  #keepText(text: readonly Uint8Array[], restMs: number): void {
    const { clock } = this.#ports;
    this.#cancelText();
    this.#text = text;
    const keptMs = Math.min(Math.max(SAME_TEXT_MS, restMs), OLDEST_TEXT_MS);
    this.#cancelText = clock.at(clock.nowMs() + keptMs, () => this.#forgetText());
  }

  #forgetText(): void {
    this.#cancelText();
    this.#text = undefined;
  }
}

/** Those who are asked: the VRRP process and the kernel. */
class Sources {
  readonly #election: Latest<ElectionReport>;
  readonly #table: Latest<readonly CountedService[]>;
  readonly #openCounters: () => Promise<IpvsCounters>;
  #counters: Promise<IpvsCounters> | undefined;
  #answer: (report: ElectionReport) => void = () => {};

  constructor({ clock, openCounters, askElection }: MetricsKeeperPorts) {
    this.#openCounters = openCounters;
    this.#election = new Latest(clock, () => {
      return new Promise((resolve) => {
        this.#answer = resolve;
        askElection();
      });
    });
    this.#table = new Latest(clock, () => this.#read());
  }

  get failures(): number {
    return this.#table.failures;
  }

  take(report: ElectionReport): void {
    this.#answer(report);
  }

  /** `balances`: there is a table to look at. */
  get(
    balances: boolean,
  ): Promise<[Known<ElectionReport> | undefined, Known<readonly CountedService[]> | undefined]> {
    return Promise.all([this.#election.get(), balances ? this.#table.get() : undefined]);
  }

  close(): void {
    // One that could not be opened has told so already.
    this.#counters?.then(
      (counters) => counters.close(),
      () => {},
    );
    this.#counters = undefined;
  }

  async #read(): Promise<readonly CountedService[]> {
    this.#counters ??= this.#openCounters();
    try {
      return await (await this.#counters).read();
    } catch (error) {
      // The next one begins anew.
      this.close();
      throw error;
    }
  }
}

/** As the file has it. */
function placeOf(listen: MetricsListen | undefined): string {
  if (listen === undefined) return '';
  return 'path' in listen ? `unix:${listen.path}` : endpointText(listen.address, listen.port);
}
