/** `drain`, `undrain`, `disable`, `enable` and `weight`: what the operator says of a real server at run time. */
import { parseArgs } from 'node:util';
import { orderOverride } from '../io/operator/control-client.js';
import type { Override, OverrideAction } from '../planning/overrides.js';
import { endpointText } from '../util/ip-address.js';
import { type Command, UsageError } from './command.js';
import { parseEndpoint } from './endpoint.js';
import { jsonText } from './json-text.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const MAX_WEIGHT = 65_535;

interface Words {
  readonly summary: string;
  readonly argument?: string;
  readonly text: string;
}

const WORDS: Readonly<Record<OverrideAction, Words>> = {
  drain: {
    summary: 'no new connections for a real server, the others stay',
    text: `Gives a real server weight 0: its connections stay, new ones go elsewhere. 'director undrain' takes it back.`,
  },
  undrain: {
    summary: 'a real server has the weight of the file again',
    text: `Takes back 'director drain' and 'director weight'.`,
  },
  disable: {
    summary: 'take a real server out, whatever its health',
    text: `Takes a real server out of the table: it drains as one that left the file, and is not checked any more.
'director enable' takes it back.`,
  },
  enable: {
    summary: 'take a disabled real server in again',
    text: `Takes back 'director disable'. The real server serves when its check says so.`,
  },
  weight: {
    summary: 'another weight for a real server than that of the file',
    argument: ' WEIGHT|file',
    text: `Gives a real server a weight from 0 to ${MAX_WEIGHT}, or that of the file again.`,
  },
};

function usage(action: OverrideAction): string {
  const { text, argument = '' } = WORDS[action];
  return `Usage: director ${action} [OPTIONS] ADDRESS[:PORT]${argument}

${text}
It is said to this director alone: do the same on its peer. It survives reloads, a restart and a reboot, and ends when
the real server leaves the file. 'director status' shows it, 'director plan' reckons with it.

  ADDRESS[:PORT]        the real server, such as 10.10.10.2, 10.10.10.2:80 or [2001:db8::2]:80; without
                        a port on all of them
  --virtual-server NAME of this virtual server alone (default all that have it)
  --json                the answer as JSON
${RUNTIME_OPTIONS_USAGE}`;
}

function parseWeight(text: string | undefined): number | null {
  if (text === 'file') return null;
  const weight = Number(text);
  if (text === undefined || !/^\d{1,5}$/.test(text) || weight > MAX_WEIGHT)
    throw new UsageError(`expected a weight from 0 to ${MAX_WEIGHT}, or 'file'`);
  return weight;
}

function sentence({ virtualServer, address, port, weight, disabled }: Override): string {
  const parts = [
    ...(disabled === true ? ['disabled'] : []),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
  ];
  return `${virtualServer}: ${endpointText(address, port)}: ${parts.join(', ') || 'as the file says'}\n`;
}

function commandFor(action: OverrideAction): Command {
  return {
    name: action,
    summary: WORDS[action].summary,
    usage: usage(action),
    async run(argv) {
      const { values, positionals } = parseArgs({
        args: [...argv],
        allowPositionals: true,
        options: {
          ...RUNTIME_OPTIONS,
          'virtual-server': { type: 'string' },
          json: { type: 'boolean', default: false },
        },
      });
      const [realServer, weightText, ...rest] = positionals;
      if (realServer === undefined) throw new UsageError('names no real server');
      if (rest.length > 0 || (action !== 'weight' && weightText !== undefined))
        throw new UsageError(`there is too much: '${rest[0] ?? weightText}'`);
      const weight = action === 'weight' ? parseWeight(weightText) : null;
      const virtualServer = values['virtual-server'] ?? null;
      const order = { action, virtualServer, weight, ...parseEndpoint(realServer, 'real server') };
      const answer = await orderOverride(values['runtime-dir'], order);
      process.stdout.write(values.json ? jsonText(answer) : answer.real_servers.map(sentence).join(''));
      return 0;
    },
  };
}

export const drain = commandFor('drain');
export const undrain = commandFor('undrain');
export const disable = commandFor('disable');
export const enable = commandFor('enable');
export const weight = commandFor('weight');
