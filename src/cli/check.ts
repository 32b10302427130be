/** `director check`: says whether the configuration is good, and if not, everything that is wrong with it. */
import { parseArgs } from 'node:util';
import type { DirectorConfig } from '../config/model.js';
import { jsonSchema } from '../config/schema/schema.js';
import type { Command } from './command.js';
import { jsonText } from './json-text.js';
import { CONFIG_OPTIONS, CONFIG_OPTIONS_USAGE, EXIT_CONFIG, faultText, readConfig } from './load-config.js';
import { configWarnings, warningText } from './warnings.js';

export const command: Command = {
  name: 'check',
  summary: 'check the configuration and tell every fault with its line and column',
  usage: `Usage: director check [-c FILE] [--director NAME] [--json] [--schema]

Checks the configuration without touching the kernel or the network. Each fault is one line
FILE:LINE:COLUMN: PATH: message on standard error. What a good file needs of this host and is not there now, an
interface or an address, is a warning: FILE:LINE:COLUMN: PATH: warning: message. Exit status: 0 it is good, 2 it is not.

Options:
${CONFIG_OPTIONS_USAGE}  --schema            print the JSON Schema of the file, for editors, and check nothing
`,
  run,
};

async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { ...CONFIG_OPTIONS, schema: { type: 'boolean', default: false } },
  });
  if (values.schema) {
    printJson(jsonSchema());
    return 0;
  }
  const result = await readConfig(values);
  const warnings = result.ok ? await configWarnings(values, result) : [];
  if (values.json) {
    if (result.ok) printJson({ ok: true, faults: [], ...(warnings.length > 0 && { warnings }) });
    else if ('unreadable' in result) printJson({ ok: false, faults: [], error: result.unreadable });
    else printJson({ ok: false, faults: result.faults });
  } else if (result.ok) {
    process.stderr.write(warningText(values.config, warnings));
    process.stdout.write(`${values.config}: ok (${summary(result.config)})\n`);
  } else {
    process.stderr.write(faultText(values.config, result));
  }
  return result.ok ? 0 : EXIT_CONFIG;
}

function printJson(value: unknown): void {
  process.stdout.write(jsonText(value));
}

/** `director lb1: 2 instances, 1 virtual server with 2 real servers`. */
function summary(config: DirectorConfig): string {
  const servers = config.virtualServers;
  const real = servers.reduce((sum, server) => sum + server.realServers.length, 0);
  return (
    `director ${config.director}: ${count(config.instances.length, 'instance')}, ` +
    `${count(servers.length, 'virtual server')}${real > 0 ? ` with ${count(real, 'real server')}` : ''}`
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
