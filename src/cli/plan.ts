import { parseArgs } from 'node:util';
import type { DirectorConfig } from '../config/model.js';
import { openNft } from '../io/host/nft.js';
import { findProgram } from '../io/host/programs.js';
import { OVERRIDES, openStateFile, SERVICES_STATE } from '../io/host/state-file.js';
import { openSysctls } from '../io/host/sysctls.js';
import { fetchStatus, NoDirectorError } from '../io/operator/control-client.js';
import { overridden, overrideText, withoutStrangers } from '../planning/overrides.js';
import { type Change, type Present, preview } from '../planning/preview.js';
import { hasIpvsSettings, requiredSysctls } from '../planning/requirements.js';
import { SOURCE_NAT_TABLE, sourceNatRuleset } from '../planning/source-nat.js';
import type { DirectorStatus, VirtualServerStatus } from '../runtime/status.js';
import type { Command } from './command.js';
import { jsonText } from './json-text.js';
import { withKernelTable } from './kernel-table.js';
import { CONFIG_OPTIONS, CONFIG_OPTIONS_USAGE, EXIT_CONFIG, loadConfig } from './load-config.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE, STATE_OPTIONS, STATE_OPTIONS_USAGE } from './runtime-dir.js';
import { configWarnings, warningText } from './warnings.js';

const USAGE = `Usage: director plan [OPTIONS]

Compares the configuration with the kernel and shows what a start or a reload would change, one line a change,
most of them as the ipvsadm command that does the same. Changes nothing. With a running director its health
verdicts count; without one all real servers count as healthy. What the configuration needs of this host and is not there
now is a warning on standard error.

${CONFIG_OPTIONS_USAGE}${RUNTIME_OPTIONS_USAGE}${STATE_OPTIONS_USAGE}`;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

async function runningStatus(runtimeDirectory: string): Promise<DirectorStatus | undefined> {
  try {
    return await fetchStatus(runtimeDirectory);
  } catch (error) {
    if (error instanceof NoDirectorError) return undefined;
    throw error;
  }
}

async function present(config: DirectorConfig, runtimeDirectory: string): Promise<Present> {
  const status = await runningStatus(runtimeDirectory);
  const sync = status?.connection_sync ?? undefined;
  const state = await openStateFile(SERVICES_STATE, runtimeDirectory).load();
  const sysctls = openSysctls();
  const values = new Map<string, string | undefined>();
  const table: Pick<Mutable<Present>, 'services' | 'daemons' | 'timeouts'> = {
    services: [],
    daemons: [],
    timeouts: undefined,
  };
  if (
    config.virtualServers.length > 0 ||
    config.connectionSync !== undefined ||
    sync !== undefined ||
    state.ownedServices.length > 0 ||
    state.timeouts !== undefined ||
    hasIpvsSettings(config.ipvs)
  ) {
    await withKernelTable(async (ipvs) => {
      table.services = await ipvs.dump();
      table.daemons = await ipvs.syncDaemons();
      table.timeouts = await ipvs.timeouts();
    });
  }
  for (const key of [...requiredSysctls(config).keys(), ...Object.keys(state.sysctls)]) {
    values.set(key, await sysctls.read(key));
  }
  const translates = sourceNatRuleset(config) !== undefined || state.sourceNat === true;
  const realServer = realServerFinder(status?.virtual_servers ?? []);
  return {
    ...table,
    // Without nft there is none.
    sourceNat:
      translates && findProgram('nft') !== undefined
        ? await openNft('director plan').list(SOURCE_NAT_TABLE)
        : undefined,
    timeoutsBefore: state.timeouts,
    ownDaemons: (sync?.daemons ?? []).map((kind) => ({
      state: kind,
      interface: sync?.interface ?? '',
      syncid: sync?.id ?? 0,
    })),
    sysctlsBefore: new Map(Object.entries(state.sysctls)),
    syncGroups: status?.sync_groups ?? [],
    owned: new Set(state.ownedServices),
    sysctls: values,
    instances: status?.instances,
    serves: (name, server) => realServer(name, server)?.health !== 'down',
    weight: (name, server) => realServer(name, server)?.check_weight,
  };
}

/** Services of one name say the same of a real server. */
function realServerFinder(servers: readonly VirtualServerStatus[]) {
  const keyOf = (name: string, { address, port }: { address: string; port: number }) =>
    `${address} ${port} ${name}`;
  const known = new Map(
    servers.flatMap(({ name, real_servers: reals }) => reals.map((real) => [keyOf(name, real), real])),
  );
  return (name: string, server: { address: string; port: number }) => known.get(keyOf(name, server));
}

function text(changes: readonly Change[]): string {
  if (changes.length === 0) return 'nothing to change: the kernel is as the configuration wants it\n';
  return changes.map((change) => `${change.text}\n`).join('');
}

export const command: Command = {
  name: 'plan',
  summary: 'what a start or reload would change in the kernel',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...CONFIG_OPTIONS, ...RUNTIME_OPTIONS, ...STATE_OPTIONS },
    });
    const file = await loadConfig(values);
    if (file === undefined) return EXIT_CONFIG;
    const { config } = file;
    const { overrides: said } = await openStateFile(OVERRIDES, values['state-dir']).load();
    const overrides = withoutStrangers(said, config.virtualServers);
    const wanted = { ...config, virtualServers: overridden(config.virtualServers, overrides) };
    const changes = preview(wanted, requiredSysctls(config), await present(wanted, values['runtime-dir']));
    const warnings = await configWarnings(values, file);
    if (values.json) {
      const answer = {
        changes,
        ...(warnings.length > 0 && { warnings }),
        ...(overrides.length > 0 && { overrides }),
      };
      process.stdout.write(jsonText(answer));
    } else {
      process.stderr.write(warningText(values.config, warnings));
      for (const override of overrides) {
        process.stderr.write(`${overrideText(override, config.virtualServers)}, by the operator\n`);
      }
      process.stdout.write(text(changes));
    }
    return 0;
  },
};
