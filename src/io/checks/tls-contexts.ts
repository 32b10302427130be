/** What TLS of health probes needs: who is trusted, and the options of a handshake. */
import { readFile } from 'node:fs/promises';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import type { TlsCheck } from '../../config/model-servers.js';
import { BoundedLooks } from '../host/bounded-looks.js';
import { monotonicClock } from '../host/clock.js';

/** A file of certificates is read again after so long, and waited for so long: its file system may hang. */
const CA_FRESH_MS = 60_000;
const CA_READ_MS = 1000;
const MAX_CA_READS = 4;

interface KnownContext {
  readonly untilMs: number;
  readonly context: SecureContext;
}

export class TlsContexts {
  readonly #contexts = new Map<string, KnownContext>();
  /** With the authorities that Node.js knows: to make it costs more than a handshake. */
  #usual: SecureContext | undefined;
  readonly #reads = new BoundedLooks<SecureContext | string>(MAX_CA_READS, CA_READ_MS);

  /** Options of tls.connect(), or why the file of trusted certificates cannot be used. */
  async optionsOf(tls: TlsCheck): Promise<ConnectionOptions | string> {
    const secureContext = await this.#contextFor(tls.caFile);
    if (typeof secureContext === 'string') return secureContext;
    // An address is no server name (RFC 6066 section 3): without one the certificate has to be for the address.
    return { secureContext, rejectUnauthorized: tls.verify, servername: tls.serverName ?? '' };
  }

  async #contextFor(file: string | undefined): Promise<SecureContext | string> {
    if (file === undefined) {
      this.#usual ??= createSecureContext();
      return this.#usual;
    }
    const known = this.#contexts.get(file);
    const nowMs = monotonicClock.nowMs();
    if (known !== undefined && nowMs < known.untilMs) return known.context;
    const look = await this.#reads.look(file, () => readContext(file));
    const context = look.type === 'late' ? `ca_file ${file}: ${look.reason}` : look.value;
    if (typeof context !== 'string') this.#contexts.set(file, { untilMs: nowMs + CA_FRESH_MS, context });
    return context;
  }
}

async function readContext(file: string): Promise<SecureContext | string> {
  try {
    const ca = await readFile(file, 'latin1');
    // What holds none would be taken, and then nobody is trusted.
    if (!ca.includes('-----BEGIN ')) return `ca_file ${file} holds no certificate`;
    return createSecureContext({ ca });
  } catch (error) {
    return `ca_file ${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}
