/** What `check` and `plan` say of a good file and of this host: nothing that stops a start. */
import { readFile } from 'node:fs/promises';
import type { ConfigFault, DirectorConfig } from '../config/model.js';
import { type ConfigOptions, formatFault, readConfig } from './load-config.js';

/** Warnings about `config`, which was read from this file; those about this host not for another host's part of it. */
export async function configWarnings(
  options: ConfigOptions,
  config: DirectorConfig,
): Promise<readonly ConfigFault[]> {
  const [{ missingParts }, { locateIn }, { cautions }] = await Promise.all([
    import('../io/operator/missing-parts.js'),
    import('../config/parse.js'),
    import('../config/cautions.js'),
  ]);
  const parts = [
    ...cautions(config),
    ...((await isAnotherHost(options, config)) ? [] : missingParts(config)),
  ];
  return parts.length === 0 ? [] : locateIn(await readFile(options.config, 'utf8'), parts);
}

/** `--director` names one, and this host's own name another. */
async function isAnotherHost(options: ConfigOptions, config: DirectorConfig): Promise<boolean> {
  if (options.director === undefined) return false;
  const own = await readConfig({ config: options.config });
  return own.ok && own.config.director !== config.director;
}

/** One line a warning, in the manner of faults. */
export function warningText(file: string, warnings: readonly ConfigFault[]): string {
  return warnings
    .map(({ message, ...place }) => `${formatFault(file, { ...place, message: `warning: ${message}` })}\n`)
    .join('');
}
