/** The services process seen from the VRRP process: started, configured, watched, started again. Nothing here waits for it in the election's way. */
import type { VrrpEvent } from '../hooks/hooks.js';
import type { SyncProgress } from '../vrrp/group-types.js';
import type { Configuration, Load, LoadAnswer, LoadRequest } from './configuration.js';
import type { ElectionReport } from './election-report.js';
import type { Clock, Log, ServicesProcess, StartServicesProcess } from './ports.js';
import type { FromServices, Roles, TrackedVerdict } from './services/services-messages.js';

export interface ServicesSupervisorPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly startProcess: StartServicesProcess;
  /** Starts a loader from here, for when there is no services process to do it. */
  readonly load: Load;
  onTracked(verdict: TrackedVerdict): void;
  onSyncProgress(progress: SyncProgress, asOfMs: number): void;
  /** Roles as they are now; asked once a second and whenever the process is configured. */
  roles(): Roles;
  /** How the election is, for metrics. */
  report(): ElectionReport;
}

export const PING_INTERVAL_MS = 1000;
/** Pings in a row without an answer that make the process count as hung. */
export const HUNG_AFTER_PINGS = 10;
/** A process that starts has to load its program first, on a slow machine too. */
export const STARTING_HUNG_AFTER_PINGS = 60;
/** Wait before the process is started again: doubles from one end to the next. */
export const FIRST_RESTART_MS = 1000;
export const LAST_RESTART_MS = 30_000;
/** So long a life starts the wait from the beginning. */
export const LONG_LIFE_MS = 60_000;
/** How long a reload waits for the kernel to be as it should. */
export const CONFIGURE_LIMIT_MS = 60_000;
/** How long the process may take to clear away everything. */
export const STOP_LIMIT_MS = 20_000;
/** Processes that may try to clear away everything. */
export const MAX_STOP_ATTEMPTS = 2;
/**
 * So often the services process is told how the election is, however often it asks: who scrapes must not cost the election
 * anything.
 */
export const REPORT_APART_MS = 1000;
/** Messages that a process which does not read may leave waiting; further events are dropped. */
export const MAX_BACKLOG = 256;

/** The services process could not do what was asked; `code` and words are its own where it spoke. */
export class ServicesError extends Error {
  override readonly name = 'ServicesError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ServicesView {
  readonly state: 'running' | 'restarting';
  readonly pid: number | null;
  readonly restarts: number;
}

interface Child {
  readonly process: ServicesProcess;
  readonly startedMs: number;
  heard: boolean;
  configured: boolean;
  unanswered: number;
  ended: boolean;
  onStopped: () => void;
  onEnded: () => void;
}

interface Waiting {
  readonly serial: number;
  settle(error: Error | undefined): void;
}

export class ServicesSupervisor {
  readonly #ports: ServicesSupervisorPorts;
  #phase: 'idle' | 'starting' | 'running' | 'stopping' = 'idle';
  #configuration: Configuration | undefined;
  #serial = 0;
  #child: Child | undefined;
  #waiting: Waiting | undefined;
  #restarts = 0;
  #restartMs = FIRST_RESTART_MS;
  #cancelRestart: () => void = () => {};
  #cancelPing: () => void = () => {};
  #sentRoles = '';
  #dropped = 0;
  #loads = 0;
  #reportedMs = Number.NEGATIVE_INFINITY;
  #loading: { readonly serial: number; settle(answer: LoadAnswer | undefined): void } | undefined;

  constructor(ports: ServicesSupervisorPorts) {
    this.#ports = ports;
  }

  /**
   * Starts the process; resolves when the kernel is as `configuration` says for the first time.
   * @throws ServicesError when it cannot be, or when the process ends before.
   */
  async start(configuration: Configuration): Promise<void> {
    this.#phase = 'starting';
    this.#configuration = configuration;
    this.#start();
    this.#ping();
    await this.#configured();
    this.#phase = 'running';
  }

  /**
   * New settings. Resolves when the kernel is as they say; at once when the process is down, which will get them when
   * it is back.
   * @throws ServicesError when the process says that it cannot be done.
   */
  async configure(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    const child = this.#child;
    if (child === undefined || !child.configured) {
      this.#ports.log.warn(
        { event: 'services' },
        'the services process is down: it gets the new configuration when it is back',
      );
      return;
    }
    this.#sendConfiguration(child);
    await this.#configured();
  }

  /** To be called after a change of role; what has not changed is not sent again. */
  rolesChanged(): void {
    const child = this.#child;
    if (child === undefined || this.#phase === 'stopping') return;
    const roles = this.#ports.roles();
    const text = JSON.stringify(roles);
    if (text === this.#sentRoles || child.process.backlog >= MAX_BACKLOG) return;
    this.#sentRoles = text;
    child.process.send({ type: 'roles', roles });
  }

  event(event: VrrpEvent): void {
    if (this.#child !== undefined && this.#child.process.backlog < MAX_BACKLOG) {
      this.#child.process.send({ type: 'event', event });
      return;
    }
    if (this.#dropped === 0) {
      this.#ports.log.warn(
        { event: 'services' },
        'the services process does not listen: its hooks miss events',
      );
    }
    this.#dropped += 1;
  }

  /**
   * Has a file read and checked. The services process starts the loader: to start a process holds this one up for
   * milliseconds.
   */
  async load(request: LoadRequest): Promise<LoadAnswer> {
    const child = this.#child;
    if (child?.configured === true && child.process.backlog < MAX_BACKLOG) {
      this.#loads += 1;
      const serial = this.#loads;
      const answered = new Promise<LoadAnswer | undefined>((resolve) => {
        this.#loading = { serial, settle: resolve };
      });
      child.process.send({ type: 'load', serial, request });
      const answer = await answered;
      if (answer !== undefined) return answer;
    }
    return this.#ports.load(request);
  }

  status(): ServicesView {
    const running = this.#child?.configured === true && this.#child.unanswered < 2;
    return {
      state: running ? 'running' : 'restarting',
      pid: this.#child?.process.pid ?? null,
      restarts: this.#restarts,
    };
  }

  /**
   * Everything of the services leaves the kernel; when they were `succeeded`, not before the successor was told of all
   * connections. Never rejects; says in the log what could not be done.
   */
  async stop(succeeded: boolean): Promise<void> {
    if (this.#phase === 'idle') return;
    this.#phase = 'stopping';
    this.#cancelRestart();
    this.#settle(new ServicesError('ERR_SERVICES_STOPPING', 'the director is stopping'));
    for (let attempt = 1; attempt <= MAX_STOP_ATTEMPTS; attempt += 1) {
      const child = this.#child ?? this.#start();
      if (await this.#stopped(child, succeeded)) break;
      this.#ports.log.error(
        { event: 'services', attempt },
        'the services process did not clear away what it had in the kernel',
      );
    }
    this.#cancelPing();
    this.#phase = 'idle';
  }

  #start(): Child {
    const { clock, log } = this.#ports;
    const early: { how?: string; messages: FromServices[]; child?: Child } = { messages: [] };
    const process = this.#ports.startProcess({
      onMessage: (message) => {
        if (early.child !== undefined) this.#take(early.child, message);
      },
      onExit: (how) => {
        if (early.child === undefined) early.how = how;
        else this.#ended(early.child, how);
      },
    });
    const child: Child = {
      process,
      startedMs: clock.nowMs(),
      heard: false,
      configured: false,
      unanswered: 0,
      ended: false,
      onStopped: () => {},
      onEnded: () => {},
    };
    early.child = child;
    this.#child = child;
    log.debug({ event: 'services', pid: process.pid }, 'services process started');
    if (this.#phase !== 'stopping') this.#sendConfiguration(child);
    if (early.how !== undefined) this.#ended(child, early.how);
    return child;
  }

  #sendConfiguration(child: Child): void {
    if (this.#configuration === undefined) return;
    this.#serial += 1;
    const roles = this.#ports.roles();
    this.#sentRoles = JSON.stringify(roles);
    const { path, election } = this.#configuration;
    const { director } = election;
    child.process.send({ type: 'configure', serial: this.#serial, director, path, roles });
  }

  /** Resolves when the last configuration sent is in the kernel, or the process ended after its first start. */
  #configured(): Promise<void> {
    const { clock } = this.#ports;
    const serial = this.#serial;
    return new Promise((resolve, reject) => {
      const starting = this.#phase === 'starting';
      // While it answers pings a first start may take its time: thousands of services do.
      const cancel = starting
        ? () => {}
        : clock.at(clock.nowMs() + CONFIGURE_LIMIT_MS, () =>
            this.#settle(
              new ServicesError(
                'ERR_SERVICES_TIMEOUT',
                `the services process was not done within ${CONFIGURE_LIMIT_MS} ms`,
              ),
            ),
          );
      this.#waiting = {
        serial,
        settle: (error) => {
          cancel();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
    });
  }

  #settle(error: Error | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.settle(error);
  }

  #take(child: Child, message: FromServices): void {
    if (child !== this.#child) return;
    child.heard = true;
    child.unanswered = 0;
    switch (message.type) {
      case 'ready':
        child.configured = true;
        if (message.serial === this.#waiting?.serial) this.#settle(undefined);
        else if (message.serial === this.#serial)
          this.#ports.log.info({ event: 'services' }, 'services are back');
        return;
      case 'failed':
        return this.#failed(child, message);
      case 'tracked':
        return this.#ports.onTracked(message.verdict);
      case 'sync-progress':
        return this.#ports.onSyncProgress(message.progress, message.asOfMs);
      case 'loaded':
        if (message.serial === this.#loading?.serial) this.#loaded(message.answer);
        return;
      case 'ask':
        return this.#report(child);
      case 'stopped':
        return child.onStopped();
      case 'pong':
    }
  }

  /** One that asks too soon goes on with what it knows. */
  #report(child: Child): void {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs < this.#reportedMs + REPORT_APART_MS || child.process.backlog >= MAX_BACKLOG) return;
    if (this.#phase !== 'running') return;
    this.#reportedMs = nowMs;
    child.process.send({ type: 'election', report: this.#ports.report() });
  }

  #failed(child: Child, { serial, code, message }: Extract<FromServices, { type: 'failed' }>): void {
    if (serial === this.#waiting?.serial) return this.#settle(new ServicesError(code, message));
    this.#ports.log.error({ event: 'services', code }, `the services process: ${message}`);
    // One that came back and cannot begin is as good as one that ended.
    if (!child.configured && this.#phase === 'running') child.process.kill();
  }

  #ended(child: Child, how: string): void {
    child.ended = true;
    if (child === this.#child) this.#child = undefined;
    child.onEnded();
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') {
      return this.#settle(
        new ServicesError('ERR_SERVICES_ENDED', `the services process ended during the start (${how})`),
      );
    }
    const { clock, log } = this.#ports;
    this.#restarts += 1;
    if (clock.nowMs() - child.startedMs >= LONG_LIFE_MS) this.#restartMs = FIRST_RESTART_MS;
    const waitMs = this.#restartMs;
    this.#restartMs = Math.min(2 * waitMs, LAST_RESTART_MS);
    log.error(
      { event: 'services', how, restartMs: waitMs },
      `the services process ended (${how}): the kernel goes on with its table, a new one starts in ${waitMs} ms`,
    );
    // A reload that waits goes on: the next process gets the new settings.
    this.#settle(undefined);
    this.#loaded(undefined);
    this.#cancelRestart = clock.at(clock.nowMs() + waitMs, () => this.#start());
  }

  /** One ping under way at a time; counts turns of this loop, so that a pause of this process blames nobody. */
  #ping(): void {
    const { clock, log } = this.#ports;
    this.#cancelPing = clock.at(clock.nowMs() + PING_INTERVAL_MS, () => this.#ping());
    const child = this.#child;
    if (child === undefined) return;
    const limit = child.heard ? HUNG_AFTER_PINGS : STARTING_HUNG_AFTER_PINGS;
    if (child.unanswered >= limit) {
      log.error(
        { event: 'services', pid: child.process.pid },
        `the services process has not answered for ${limit} s and is killed`,
      );
      child.unanswered = 0;
      child.process.kill();
      return;
    }
    child.unanswered += 1;
    if (child.unanswered === 1) child.process.send({ type: 'ping' });
    if (this.#phase === 'running') this.rolesChanged();
  }

  /** Whether the process said that all is cleared away; it is gone afterwards. */
  async #stopped(child: Child, succeeded: boolean): Promise<boolean> {
    const { clock } = this.#ports;
    let said = false;
    await new Promise<void>((resolve) => {
      if (child.ended) return resolve();
      const cancel = clock.at(clock.nowMs() + STOP_LIMIT_MS, () => child.process.kill());
      child.onStopped = () => {
        said = true;
      };
      child.onEnded = () => {
        cancel();
        resolve();
      };
      child.process.send({ type: 'stop', succeeded });
    });
    return said;
  }

  /** Undefined: the process ended before it said. */
  #loaded(answer: LoadAnswer | undefined): void {
    const loading = this.#loading;
    this.#loading = undefined;
    loading?.settle(answer);
  }
}
