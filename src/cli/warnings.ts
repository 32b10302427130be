/** What `check` and `plan` say of this host: nothing that is wrong with the file, and nothing that stops a start. */
import { readFile } from 'node:fs/promises';
import type { ConfigFault, DirectorConfig } from '../config/model.js';
import { type ConfigOptions, formatFault, readConfig } from './load-config.js';

/** Warnings about `config`, which was read from this file; none when it is another host's part of it. */
export async function hostWarnings(
  options: ConfigOptions,
  config: DirectorConfig,
): Promise<readonly ConfigFault[]> {
  if (await isAnotherHost(options, config)) return [];
  const [{ missingParts }, { locateIn }] = await Promise.all([
    import('../io/missing-parts.js'),
    import('../config/parse.js'),
  ]);
  const parts = missingParts(config);
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
