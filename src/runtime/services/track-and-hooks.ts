/** The services process's work beside the kernel's table: tracked objects, hooks and the stream of events. */
import type { DirectorConfig } from '../../config/model.js';
import type { VrrpEvent } from '../../hooks/hooks.js';
import type { TrackVerdict } from '../../track/track.js';
import type { VrrpState } from '../../vrrp/group-types.js';
import type { Clock, EventStream, Log, StreamEvent } from '../ports.js';
import { HookRunner } from './hook-runner.js';
import type { RealServerHealthOf, ServicesPart } from './services.js';
import type { Roles, TrackedVerdict } from './services-messages.js';
import type { Commands, TrackProber } from './services-ports.js';
import { TrackRunner } from './track-runner.js';

/** For the hooks of the last events, when the director leaves. */
export const HOOKS_AT_STOP_MS = 3000;

/** The election does not wait longer for the first looks. */
export const FIRST_LOOKS_MS = 2000;

const CAUGHT_UP = 'seen late: the services process was not there, or busy';

export interface TrackAndHooksPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly commands: Commands;
  readonly prober: TrackProber;
  /** Listens for who wants events; `snapshot` is what each is told first. */
  openEvents(snapshot: () => StreamEvent): Promise<EventStream>;
  /** Milliseconds since 1970. */
  nowEpochMs(): number;
}

interface Running {
  config: DirectorConfig;
  readonly track: TrackRunner;
  readonly hooks: HookRunner;
}

export class TrackAndHooks implements ServicesPart {
  readonly what = 'tracked objects and hooks';
  readonly #ports: TrackAndHooksPorts;
  readonly #report: (verdict: TrackedVerdict) => void;
  /** Undefined before the first configuration. */
  #running: Running | undefined;
  #health: RealServerHealthOf = () => 'unknown';
  #events: Promise<EventStream | undefined> | undefined;
  #stream: EventStream | undefined;
  #roles: Roles = {};
  /** By instance, as told to hooks and listeners. */
  readonly #states = new Map<string, VrrpState>();

  constructor(ports: TrackAndHooksPorts, report: (verdict: TrackedVerdict) => void) {
    this.#ports = ports;
    this.#report = report;
  }

  /** The first time it waits until every tracked object was looked at, up to a limit. */
  async configure(config: DirectorConfig): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#start(config);
      this.#events = this.#openEvents();
      this.#catchUp();
      return this.#running.track.firstLooks(FIRST_LOOKS_MS);
    }
    this.#running.config = config;
    this.#running.track.configure(config);
    this.#running.hooks.configure(config);
    this.#stream?.publish(this.#snapshot());
  }

  roles(roles: Roles): void {
    this.#roles = roles;
    for (const instance of this.#states.keys()) {
      if (!Object.hasOwn(roles, instance)) this.#states.delete(instance);
    }
    this.#catchUp();
  }

  /**
   * The election sends each event before the roles that follow from it. A role that no event told of became so while
   * this process was not there, or did not read: the hooks hear of it now.
   */
  #catchUp(): void {
    if (this.#running === undefined) return;
    for (const [instance, { state: to }] of Object.entries(this.#roles)) {
      const from = this.#states.get(instance) ?? 'initialize';
      if (from !== to) this.event({ kind: 'role', instance, from, to, reason: CAUGHT_UP });
    }
  }

  event(event: VrrpEvent): void {
    this.#running?.hooks.event(event, this.#ports.nowEpochMs());
    if (event.kind === 'role') {
      const { instance, from, to, reason } = event;
      this.#states.set(instance, to);
      this.#stream?.publish({ event: 'role', instance, group: this.#groupOf(instance), from, to, reason });
      return;
    }
    const { kind, ...details } = event.notice;
    this.#stream?.publish({ event: 'notice', instance: event.instance, notice: kind, ...details });
  }

  healthChanged(health: RealServerHealthOf): void {
    this.#health = health;
    this.#running?.track.healthChanged();
  }

  /** Waits for hooks that run, up to a limit. */
  async close(): Promise<void> {
    this.#running?.track.close();
    await this.#running?.hooks.close(HOOKS_AT_STOP_MS);
    await this.#ports.commands.close();
    await (await this.#events)?.close();
  }

  #start(config: DirectorConfig): Running {
    const { clock, log, commands, prober } = this.#ports;
    return {
      config,
      hooks: new HookRunner(config, { clock, commands, log }),
      track: new TrackRunner(config, {
        clock,
        prober,
        log,
        health: (virtualServer, realServer) => this.#health(virtualServer, realServer),
        onVerdict: (verdict) => this.#verdict(verdict),
      }),
    };
  }

  #verdict({ object, state, value, reason }: TrackVerdict): void {
    this.#report({ object, state, value });
    this.#stream?.publish({ event: 'tracked', object, state, value, reason });
  }

  /** The director does its work without listeners, too. */
  async #openEvents(): Promise<EventStream | undefined> {
    try {
      this.#stream = await this.#ports.openEvents(() => this.#snapshot());
    } catch (error) {
      this.#ports.log.error({ event: 'events', err: error }, 'nobody can listen to the events');
    }
    return this.#stream;
  }

  #snapshot(): StreamEvent {
    const { config, track } = this.#running ?? {};
    return {
      event: 'snapshot',
      version: 1,
      director: config?.director,
      instances: (config?.instances ?? []).map(({ name }) => ({
        name,
        group: this.#groupOf(name),
        state: this.#states.get(name) ?? 'initialize',
      })),
      tracked: track?.verdicts ?? [],
    };
  }

  #groupOf(instance: string): string | null {
    const groups = this.#running?.config.syncGroups ?? [];
    return groups.find(({ instances }) => instances.includes(instance))?.name ?? null;
  }
}
