import type { VirtualServer } from '../../../src/config/model-servers.js';
import {
  createHealth,
  type HealthEffect,
  type HealthInput,
  type HealthStep,
  stepHealth,
} from '../../../src/health/health.js';

/** Runs the machine as the shell does, with probes that take `latencyMs` and end as `alive` says. */
export class World {
  nowMs: number;
  health: HealthStep;
  alive: (address: string, port: number) => boolean = () => true;
  latencyMs = 10;
  readonly log: string[] = [];
  /** Of the verdicts in `log`. */
  readonly reasons: (string | undefined)[] = [];
  readonly started: { readonly atMs: number; readonly server: string }[] = [];
  readonly #underWay: { endMs: number; input: HealthInput; server: string }[] = [];

  constructor(virtualServers: readonly VirtualServer[], nowMs = 1_000_000) {
    this.nowMs = nowMs;
    this.health = createHealth(virtualServers, nowMs);
    this.#take(this.health.effects);
  }

  input(input: HealthInput): void {
    this.health = stepHealth(this.health.state, input, this.nowMs);
    this.#take(this.health.effects);
  }

  get inFlight(): number {
    return this.#underWay.length;
  }

  /** Runs until `untilMs`, waking at every deadline and outcome. */
  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      this.#underWay.sort((a, b) => a.endMs - b.endMs);
      const probe = this.#underWay[0];
      const atMs = Math.min(probe?.endMs ?? Infinity, this.health.deadlineMs ?? Infinity);
      if (atMs > untilMs) {
        break;
      }
      this.nowMs = Math.max(this.nowMs, atMs);
      if (probe !== undefined && probe.endMs <= this.nowMs) {
        this.#underWay.shift();
        this.input(probe.input);
      } else {
        this.input({ type: 'deadline' });
      }
    }
    this.nowMs = untilMs;
  }

  #take(effects: readonly HealthEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'verdict') {
        const { member, from, to, reason } = effect;
        this.log.push(`${member.virtualServer} ${member.address}:${member.port} ${from}>${to}`);
        this.reasons.push(reason);
        continue;
      }
      if (effect.type === 'weight') continue;
      const server = `${effect.address}:${effect.port}`;
      if (this.#underWay.some((probe) => probe.server === server)) {
        this.log.push(`two probes of ${server} at a time`);
      }
      this.started.push({ atMs: this.nowMs, server });
      const input: HealthInput = this.alive(effect.address, effect.port)
        ? { type: 'outcome', id: effect.id, ok: true }
        : { type: 'outcome', id: effect.id, ok: false, reason: 'connection refused' };
      this.#underWay.push({ endMs: this.nowMs + this.latencyMs, input, server });
    }
  }
}
