/** Runs the health machine: probes, its timer, its verdicts. */
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import {
  createHealth,
  firstVerdictsIn,
  type Health,
  type HealthAges,
  type HealthEffect,
  type HealthInput,
  type HealthState,
  type HealthStep,
  healthAges,
  healthOf,
  memberOf,
  recoveredMs,
  stepHealth,
} from '../../health/health.js';
import { endpointText } from '../../util/ip-address.js';
import type { Clock, Log } from '../ports.js';
import type { ProbeOutcome, Prober } from './services-ports.js';
import type { WorkCounts } from './work-counts.js';

/** That this host cannot probe is told again after so long. */
const OWN_FAULT_TOLD_FOR_MS = 60_000;

const LEAST_SHARE = 0.01;

export interface HealthRunnerPorts {
  readonly clock: Clock;
  readonly prober: Prober;
  readonly log: Log;
  readonly counts: Pick<WorkCounts, 'probed' | 'verdict'>;
  /** Verdicts changed, or weights that checks ask for. */
  onVerdict(): void;
}

export class HealthRunner {
  readonly #ports: HealthRunnerPorts;
  #state: HealthState;
  #cancelTimer: () => void = () => {};
  #closed = false;
  /** When it was last told that this host cannot probe. */
  #ownFaultToldMs = Number.NEGATIVE_INFINITY;

  constructor(virtualServers: readonly VirtualServer[], ports: HealthRunnerPorts) {
    this.#ports = ports;
    const first = createHealth(virtualServers, ports.clock.nowMs());
    this.#state = first.state;
    this.#take(first);
  }

  get firstVerdictsIn(): boolean {
    return firstVerdictsIn(this.#state);
  }

  of(virtualServer: string, realServer: { readonly address: string; readonly port: number }): Health {
    return healthOf(this.#state, virtualServer, realServer);
  }

  ages(virtualServer: string, realServer: { readonly address: string; readonly port: number }): HealthAges {
    return healthAges(this.#state, virtualServer, realServer, this.#ports.clock.nowMs());
  }

  /** Whether a real server serves; undefined while nothing was heard of it. */
  serves(
    virtualServer: string,
    realServer: { readonly address: string; readonly port: number },
  ): boolean | undefined {
    const verdict = memberOf(this.#state, virtualServer, realServer)?.verdict;
    return verdict === 'unknown' ? undefined : verdict !== 'down';
  }

  /** The weight that a real server's checks ask for; undefined: the configured one. */
  weight(virtualServer: string, realServer: Pick<RealServer, 'address' | 'port'>): number | undefined {
    return memberOf(this.#state, virtualServer, realServer)?.weight;
  }

  /** The part of its weight that a real server gets, above 0 to 1: less than all while it starts slowly. */
  share({ name, slowStartMs }: VirtualServer, realServer: RealServer): number {
    const sinceMs = slowStartMs === 0 ? undefined : recoveredMs(this.#state, name, realServer);
    if (sinceMs === undefined) return 1;
    // A first part at once: it would not come back at all for a weight of nothing.
    return Math.min(1, Math.max(LEAST_SHARE, (this.#ports.clock.nowMs() - sinceMs) / slowStartMs));
  }

  configure(virtualServers: readonly VirtualServer[]): void {
    this.#input({ type: 'config', virtualServers });
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #input(input: HealthInput): void {
    if (this.#closed) return;
    this.#take(stepHealth(this.#state, input, this.#ports.clock.nowMs()));
  }

  #take(step: HealthStep): void {
    this.#state = step.state;
    for (const effect of step.effects) this.#run(effect);
    if (step.effects.some(({ type }) => type !== 'probe')) this.#ports.onVerdict();
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    if (step.deadlineMs !== undefined) {
      this.#cancelTimer = this.#ports.clock.at(step.deadlineMs, () => this.#input({ type: 'deadline' }));
    }
  }

  #run(effect: HealthEffect): void {
    if (effect.type === 'probe') {
      const { id, check, address, port, timeoutMs } = effect;
      void this.#ports.prober.probe(check, address, port, timeoutMs).then((outcome) => {
        this.#ports.counts.probed(outcome);
        this.#tellOwnFault(outcome);
        this.#input({ type: 'outcome', id, ...outcome });
      });
      return;
    }
    const { virtualServer, address, port } = effect.member;
    const realServer = endpointText(address, port);
    if (effect.type === 'weight') {
      const { weight } = effect;
      this.#ports.log.debug(
        { event: 'real-server', virtualServer, realServer, weight },
        `${virtualServer}: the check of real server ${realServer} asks for ${weight === undefined ? 'its own weight' : `weight ${weight}`}`,
      );
      return;
    }
    const { from, to, reason } = effect;
    this.#ports.counts.verdict(to);
    this.#ports.log[to === 'up' ? 'info' : 'warn'](
      { event: 'real-server', virtualServer, realServer, from, state: to, reason },
      `${virtualServer}: real server ${realServer} is ${to}${reason === undefined ? '' : ` (${reason})`}`,
    );
  }

  /** Not each time: thousands of probes say the same. */
  #tellOwnFault(outcome: ProbeOutcome): void {
    if (outcome.ok !== undefined || this.#closed) return;
    const { clock, log } = this.#ports;
    if (clock.nowMs() - this.#ownFaultToldMs < OWN_FAULT_TOLD_FOR_MS) return;
    this.#ownFaultToldMs = clock.nowMs();
    const { reason } = outcome;
    log.error(
      { event: 'health', reason },
      `real servers cannot be checked: ${reason}; meanwhile they keep the health they had`,
    );
  }
}
