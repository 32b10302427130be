/** Runs the machine of the tracked objects: looks, its timer, its verdicts. */
import type { DirectorConfig, TrackedObject } from '../../config/model.js';
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import { quorumObservation, type RealServerHealth } from '../../track/quorum.js';
import {
  createTrack,
  lookedAtAll,
  stepTrack,
  type TrackEffect,
  type TrackInput,
  type TrackMachine,
  type TrackStep,
  type TrackVerdict,
  trackVerdicts,
} from '../../track/track.js';
import type { Clock, Log } from '../ports.js';
import type { TrackProber } from './services-ports.js';

export interface TrackRunnerPorts {
  readonly clock: Clock;
  readonly prober: TrackProber;
  readonly log: Log;
  health(virtualServer: string, realServer: RealServer): RealServerHealth;
  /** The verdict that counts changed: its state, or a file's number. Called from within the constructor too. */
  onVerdict(verdict: TrackVerdict): void;
}

type Config = Pick<DirectorConfig, 'tracked' | 'virtualServers'>;

export class TrackRunner {
  readonly #ports: TrackRunnerPorts;
  readonly #looks = new Map<number, AbortController>();
  #virtualServers: readonly VirtualServer[];
  #quorums: readonly { readonly object: string; readonly virtualServer: string; readonly quorum: number }[];
  #machine: TrackMachine;
  #cancelTimer: () => void = () => {};
  #closed = false;
  #onFirstLooks: (() => void)[] = [];

  constructor(config: Config, ports: TrackRunnerPorts) {
    this.#ports = ports;
    this.#virtualServers = config.virtualServers;
    this.#quorums = quorumsOf(config);
    const first = createTrack(ofServices(config.tracked), ports.clock.nowMs());
    this.#machine = first.state;
    this.#take(first);
    this.healthChanged();
  }

  configure(config: Config): void {
    this.#virtualServers = config.virtualServers;
    this.#quorums = quorumsOf(config);
    this.#input({ type: 'config', tracked: ofServices(config.tracked) });
    this.healthChanged();
  }

  /** The health of some real server changed, or that of the first ones is known. */
  healthChanged(): void {
    for (const { object, virtualServer, quorum } of this.#quorums) {
      const services = this.#virtualServers.filter(({ name }) => name === virtualServer);
      if (services.length === 0) continue;
      // The worst of its addresses and ports counts.
      const observations = services.map(({ realServers }) =>
        quorumObservation(realServers, quorum, (realServer) => this.#ports.health(virtualServer, realServer)),
      );
      const bad = observations.find((observation) => observation?.ok === false);
      const observation = bad ?? (observations.includes(undefined) ? undefined : observations[0]);
      if (observation !== undefined) this.#input({ type: 'observed', object, observation });
    }
  }

  /**
   * Resolves when every object that is looked at was looked at once, at the latest after `limitMs`: an election that
   * knows nothing yet would begin in fault.
   */
  firstLooks(limitMs: number): Promise<void> {
    if (lookedAtAll(this.#machine)) return Promise.resolve();
    return new Promise((resolve) => {
      const { clock } = this.#ports;
      const cancel = clock.at(clock.nowMs() + limitMs, resolve);
      this.#onFirstLooks.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** All objects but interfaces, in the order of the configuration. */
  get verdicts(): readonly TrackVerdict[] {
    return trackVerdicts(this.#machine);
  }

  /** No verdict comes after it; looks under way are ended. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    for (const cancel of this.#looks.values()) cancel.abort();
  }

  #input(input: TrackInput): void {
    if (this.#closed) return;
    this.#take(stepTrack(this.#machine, input, this.#ports.clock.nowMs()));
  }

  #take(step: TrackStep): void {
    this.#machine = step.state;
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (step.deadlineMs !== Infinity) {
      this.#cancelTimer = this.#ports.clock.at(step.deadlineMs, () => this.#input({ type: 'deadline' }));
    }
    for (const effect of step.effects) this.#run(effect);
    if (this.#onFirstLooks.length > 0 && lookedAtAll(this.#machine)) {
      for (const done of this.#onFirstLooks.splice(0)) done();
    }
  }

  #run(effect: TrackEffect): void {
    const { log, prober } = this.#ports;
    switch (effect.type) {
      case 'look': {
        const cancel = new AbortController();
        this.#looks.set(effect.id, cancel);
        void prober.look(effect.kind, cancel.signal).then((outcome) => {
          this.#looks.delete(effect.id);
          this.#input({ type: 'outcome', id: effect.id, outcome });
        });
        return;
      }
      case 'cancel':
        this.#looks.get(effect.id)?.abort();
        return;
      case 'unusable': {
        const { object, reason } = effect;
        log.warn({ event: 'tracked-unusable', object, reason }, `tracked ${object}: ${reason}`);
        return;
      }
      case 'verdict': {
        const { object, from, state, value, reason } = effect;
        const number = value === undefined ? '' : `, number ${value}`;
        const why = reason === undefined ? '' : ` (${reason})`;
        log[state === 'up' ? 'info' : 'warn'](
          { event: 'tracked', object, from, state, value, reason },
          `tracked ${object} is ${state}${number}${why}`,
        );
        this.#ports.onVerdict({ object, state, value, reason });
      }
    }
  }
}

/** Interfaces and BFD sessions are the election's own affair: it must not wait for another process to hear of a link. */
function ofServices(tracked: readonly TrackedObject[]): readonly TrackedObject[] {
  return tracked.filter(({ kind }) => kind.type !== 'interface' && kind.type !== 'bfd');
}

function quorumsOf({ tracked }: Config) {
  return tracked.flatMap(({ name, kind }) =>
    kind.type === 'virtual-server'
      ? [{ object: name, virtualServer: kind.virtualServer, quorum: kind.quorum }]
      : [],
  );
}
