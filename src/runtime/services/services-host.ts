/** The services process: takes its parent's messages one after the other and answers them. */

import type { DirectorConfig } from '../../config/model.js';
import type { OverrideOrder, OverrideResult } from '../../planning/overrides.js';
import { messageOf } from '../../util/error-message.js';
import { workInTurn } from '../../util/in-turn.js';
import type { Load } from '../configuration.js';
import { MetricsKeeper, type MetricsPorts } from './metrics-keeper.js';
import { Services, type ServicesPorts } from './services.js';
import type { FromServices, Roles, ServicesStatus, ToServices } from './services-messages.js';

export interface ServicesHostPorts extends ServicesPorts {
  readonly metrics: MetricsPorts;
  readonly load: Load;
  readonly readConfiguration: (path: string) => Promise<DirectorConfig>;
}

/** Stable code of an error; the parent passes it on with the sentence. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'ERR_SERVICES';
}

export class ServicesHost {
  readonly #send: (message: FromServices) => void;
  readonly #onStopped: () => void;
  readonly #ports: ServicesHostPorts;
  #services: Promise<Services> | undefined;
  /** The latest services, for what cannot wait in line. */
  #open: Services | undefined;
  #configured = false;
  #latest = 0;
  #roles: Roles = {};
  readonly #inTurn = workInTurn();
  readonly #metrics: MetricsKeeper;

  /** `onStopped` is called when everything is cleared away and said. */
  constructor(ports: ServicesHostPorts, send: (message: FromServices) => void, onStopped: () => void) {
    this.#ports = ports;
    this.#send = send;
    this.#onStopped = onStopped;
    this.#metrics = new MetricsKeeper({
      ...ports.metrics,
      clock: ports.clock,
      log: ports.log,
      askElection: () => send({ type: 'ask' }),
      report: () => (this.#configured ? this.#open?.report() : undefined),
    });
  }

  /**
   * Configurations and the stop wait for one another; all else is for now. Neither of the two rejects for a reason that
   * was foreseen; anything else crashes, and the parent starts anew.
   */
  take(message: ToServices): void {
    switch (message.type) {
      case 'configure':
        // At once: roles that come while this waits in line are newer.
        this.#setRoles(message.roles);
        this.#latest = message.serial;
        return void this.#inTurn(() => this.#configure(message));
      case 'stop':
        return void this.#inTurn(() => this.#stop(message.succeeded));
      case 'roles':
        return this.#setRoles(message.roles);
      case 'election':
        return this.#metrics.take(message.report);
      case 'event':
        return this.#open?.event(message.event);
      case 'ping':
        return this.#send({ type: 'pong' });
      case 'load':
        void this.#load(message);
    }
  }

  async #ready(): Promise<Services> {
    this.#services ??= Services.open(this.#ports, {
      tracked: (verdict) => this.#send({ type: 'tracked', verdict }),
      syncProgress: (progress, asOfMs) => this.#send({ type: 'sync-progress', progress, asOfMs }),
    });
    const services = await this.#services;
    if (this.#open === undefined) services.setRoles(this.#roles);
    this.#open = services;
    return services;
  }

  #setRoles(roles: Roles): void {
    this.#roles = roles;
    this.#open?.setRoles(roles);
  }

  /** Undefined before the first configuration. */
  status(): ServicesStatus | undefined {
    return this.#configured ? this.#open?.status() : undefined;
  }

  /** Refused before the first configuration. */
  order(order: OverrideOrder): Promise<OverrideResult> {
    return this.#inTurn(async () => {
      if (!this.#configured || this.#open === undefined)
        return { ok: false, reason: 'the services process is still starting' };
      return this.#open.order(order);
    });
  }

  async #load({ serial, request }: Extract<ToServices, { type: 'load' }>): Promise<void> {
    this.#send({ type: 'loaded', serial, answer: await this.#ports.load(request) });
  }

  async #configure({ serial, path }: Extract<ToServices, { type: 'configure' }>): Promise<void> {
    // One that a newer waits behind is of no use, and its file may be gone.
    if (serial !== this.#latest) return;
    try {
      const config = await this.#ports.readConfiguration(path);
      const services = await this.#ready();
      await services.configure(config);
      this.#configured = true;
      // A port that somebody else has is no reason to wait.
      void this.#metrics.configure(config.metrics);
      this.#send({ type: 'ready', serial });
    } catch (error) {
      const message = messageOf(error);
      this.#send({ type: 'failed', serial, code: codeOf(error), message });
    }
  }

  async #stop(succeeded: boolean): Promise<void> {
    const services = await this.#ready();
    await services.stop(succeeded);
    await this.#metrics.close();
    this.#send({ type: 'stopped' });
    this.#onStopped();
  }
}
