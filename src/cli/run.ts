import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { STATE_DIRECTORY } from '../io/maintenance-file.js';
import { staySmall } from '../io/memory.js';
import { missingCapabilities } from '../io/privileges.js';
import { launchServices } from '../io/services-process.js';
import { type Command, OperationalError } from './command.js';
import { CONFIG_OPTIONS, CONFIG_OPTIONS_USAGE, EXIT_CONFIG, loadConfig } from './load-config.js';
import { LOG_OPTIONS, LOG_OPTIONS_USAGE, logOptions } from './log-options.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

const USAGE = `Usage: director run [OPTIONS]

Runs the director in the foreground: elects a master by VRRP, moves the addresses, programs IPVS, checks the real
servers. SIGHUP reads the configuration again, SIGTERM or Ctrl-C hands over to the peer and leaves (a second one at
once). Needs CAP_NET_ADMIN and CAP_NET_RAW; under systemd it is the service lvs-director.

${CONFIG_OPTIONS_USAGE.replace(/^ {2}--json.*\n/m, '')}${RUNTIME_OPTIONS_USAGE}${LOG_OPTIONS_USAGE}  --state-dir DIR     what survives a reboot (default ${STATE_DIRECTORY})
  --no-real-time      ordinary scheduling, for several directors on one machine
`;

function options(argv: readonly string[]) {
  const { config, director } = CONFIG_OPTIONS;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config,
      director,
      ...RUNTIME_OPTIONS,
      ...LOG_OPTIONS,
      'state-dir': { type: 'string', default: STATE_DIRECTORY },
      'no-real-time': { type: 'boolean', default: false },
    },
  });
  return {
    file: values,
    runtimeDirectory: values['runtime-dir'],
    stateDirectory: values['state-dir'],
    realTime: !values['no-real-time'],
    ...logOptions(values),
  };
}

function checkPrivileges(): void {
  const missing = missingCapabilities(['CAP_NET_ADMIN', 'CAP_NET_RAW']);
  if (missing.length === 0) return;
  throw new OperationalError(
    'ERR_NO_PRIVILEGE',
    `this process lacks ${missing.join(' and ')}: start it as root or with 'systemctl start lvs-director'`,
  );
}

export const command: Command = {
  name: 'run',
  summary: 'run the director in the foreground',
  usage: USAGE,
  async run(argv) {
    staySmall();
    const chosen = options(argv);
    const { runtimeDirectory, format, level } = chosen;
    // First: it loads its program while this process reads the configuration and loads its own.
    const services = launchServices({
      main: MAIN,
      argv: ['services', `--runtime-dir=${runtimeDirectory}`, `--log=${format}`, `--log-level=${level}`],
    });
    try {
      const config = await loadConfig(chosen.file);
      if (config === undefined) return EXIT_CONFIG;
      checkPrivileges();
      const { runDaemon } = await import('./daemon.js');
      return await runDaemon(config, { ...chosen, services });
    } finally {
      services.close();
    }
  },
};
