/** Health probes by a command, a few at a time: others wait for their turn. */
import type { CheckKind } from '../../config/model-servers.js';
import type { Commands, ProbeOutcome } from '../../runtime/services/services-ports.js';
import { commandVerdict } from './command-verdict.js';

/** Below MAX_COMMANDS, so that none is refused. */
const MAX_AT_ONCE = 16;

export class CommandProbes {
  readonly #commands: Commands;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(commands: Commands) {
    this.#commands = commands;
  }

  async probe(
    { command, user, exitStatusWeight }: CheckKind & { readonly type: 'command' },
    address: string,
    port: number,
    timeoutMs: number,
  ): Promise<ProbeOutcome> {
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      const environment = { LVS_DIRECTOR_REAL_SERVER: address, LVS_DIRECTOR_PORT: String(port) };
      const outcome = await this.#commands.run({ command, user, timeoutMs, environment });
      return commandVerdict(outcome, timeoutMs, exitStatusWeight);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
