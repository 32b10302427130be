/** Runs hooks: in order, never two at a time for one instance, and never in the way of the election. */
import type { DirectorConfig, Hook } from '../../config/model.js';
import {
  enqueue,
  type HookCall,
  hookCall,
  hookEnvironment,
  hooksFor,
  type VrrpEvent,
} from '../../hooks/hooks.js';
import type { Clock, Log } from '../ports.js';
import type { CommandOutcome, Commands } from './services-ports.js';

/** Instances whose hooks run at one time; the others wait for their turn. */
export const MAX_HOOKS_AT_ONCE = 8;

export interface HookRunnerPorts {
  readonly clock: Clock;
  readonly commands: Commands;
  readonly log: Log;
}

export class HookRunner {
  readonly #ports: HookRunnerPorts;
  readonly #cancel = new AbortController();
  #config: DirectorConfig;
  /** By instance; one that is in it has events waiting. */
  readonly #waiting = new Map<string, HookCall[]>();
  readonly #running = new Set<string>();
  #closed = false;
  #onIdle: (() => void)[] = [];

  constructor(config: DirectorConfig, ports: HookRunnerPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  /** Events that wait are for the hooks of the new configuration; a hook that runs goes on. */
  configure(config: DirectorConfig): void {
    this.#config = config;
  }

  /** `atEpochMs` in milliseconds since 1970. Returns at once. */
  event(event: VrrpEvent, atEpochMs: number): void {
    const call = hookCall(event, atEpochMs);
    if (this.#closed || call === undefined || hooksFor(this.#config.hooks, call).length === 0) return;
    const queue = enqueue(this.#waiting.get(call.instance) ?? [], call);
    this.#waiting.set(call.instance, queue);
    this.#startNext();
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#running.size === 0 && this.#waiting.size === 0;
  }

  /** Lets the hooks of the last events run for `graceMs`, then ends them. Takes no further event. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    if (this.idle) return;
    const done = new Promise<void>((resolve) => this.#onIdle.push(resolve));
    const { clock, log } = this.#ports;
    const cancelTimer = clock.at(clock.nowMs() + graceMs, () => {
      const instances = [...new Set([...this.#running, ...this.#waiting.keys()])];
      log.warn({ event: 'hook', instances }, `leaving before the hooks of ${instances.join(', ')} are done`);
      this.#waiting.clear();
      this.#cancel.abort();
    });
    await done;
    cancelTimer();
  }

  #startNext(): void {
    for (const [instance, [call, ...rest]] of this.#waiting) {
      if (this.#running.size >= MAX_HOOKS_AT_ONCE) return;
      if (this.#running.has(instance) || call === undefined) continue;
      // Behind the others when it comes back: every instance has its turn.
      this.#waiting.delete(instance);
      if (rest.length > 0) this.#waiting.set(instance, rest);
      this.#running.add(instance);
      void this.#runAll(call).finally(() => {
        this.#running.delete(instance);
        this.#startNext();
        if (this.idle) for (const resolve of this.#onIdle.splice(0)) resolve();
      });
    }
  }

  /** One event: its hooks one after the other; one that fails does not stop the next. */
  async #runAll(call: HookCall): Promise<void> {
    const config = this.#config;
    const environment = hookEnvironment(config, call);
    for (const hook of hooksFor(config.hooks, call)) {
      if (this.#cancel.signal.aborted) return;
      const startedMs = this.#ports.clock.nowMs();
      const { command, user, timeoutMs } = hook;
      const request = { command, user, timeoutMs, environment };
      const outcome = await this.#ports.commands.run(request, this.#cancel.signal);
      this.#tell(hook, call, outcome, this.#ports.clock.nowMs() - startedMs);
    }
  }

  #tell(hook: Hook, { instance, event, skipped }: HookCall, outcome: CommandOutcome, tookMs: number): void {
    const { log } = this.#ports;
    const file = hook.command[0] ?? '';
    const output = 'output' in outcome && outcome.output !== '' ? outcome.output : undefined;
    const took_ms = Math.round(tookMs);
    const fields = {
      event: 'hook',
      instance,
      hook_event: event,
      // Without its arguments, which may be secrets.
      command: file,
      took_ms,
      skipped,
      output,
    };
    const what = `${instance}: the hook ${file} for '${event}'`;
    if (outcome.type === 'exited' && outcome.status === 0) log.info(fields, `${what} is done`);
    else log.warn(fields, `${what} ${failure(outcome, hook.timeoutMs)}`);
  }
}

function failure(outcome: CommandOutcome, timeoutMs: number): string {
  switch (outcome.type) {
    case 'exited':
      return `failed: exit status ${outcome.status}`;
    case 'killed':
      return `failed: ended by ${outcome.signal}`;
    case 'timed-out':
      return `failed: not done within ${timeoutMs} ms`;
    case 'cancelled':
      return 'was ended: the director leaves';
    case 'refused':
      return `was not run: ${outcome.reason}`;
  }
}
