/** What TLS of health probes needs: who is trusted, and the options of a handshake. */

import { readFile } from 'node:fs/promises';
import { type ConnectionOptions, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { TlsCheck } from '../../config/model-servers.js';
import { messageOf } from '../../util/error-message.js';
import { BoundedLooks } from '../host/bounded-looks.js';
import { monotonicClock } from '../host/clock.js';
import type { CertificateWatch } from './certificate-watch.js';

/** A file of certificates is read again after so long, and waited for so long: its file system may hang. */
const CA_FRESH_MS = 60_000;
const CA_READ_MS = 1000;
const MAX_CA_READS = 4;

interface KnownContext {
  readonly untilMs: number;
  readonly context: SecureContext;
}

/** What a probe over TLS needs. */
export interface Handshake {
  /** Of tls.connect(). */
  readonly options: ConnectionOptions;
  /** To be called when the handshake with this real server is done. */
  done(socket: TLSSocket, address: string, port: number): void;
}

export class TlsContexts {
  readonly #certificates: CertificateWatch;
  /** By what they are made of. */
  readonly #contexts = new Map<string, KnownContext>();
  readonly #reads = new BoundedLooks<SecureContext | string>(MAX_CA_READS, CA_READ_MS);

  constructor(certificates: CertificateWatch) {
    this.#certificates = certificates;
  }

  /** Or why the file of trusted certificates cannot be used. */
  async handshakeOf(tls: TlsCheck): Promise<Handshake | string> {
    const secureContext = await this.#contextFor(tls);
    if (typeof secureContext === 'string') return secureContext;
    const { serverName, verify } = tls;
    return {
      // An address is no server name (RFC 6066 section 3): without one the certificate has to be for the address.
      options: { secureContext, rejectUnauthorized: verify, servername: serverName ?? '' },
      done: (socket, address, port) => this.#certificates.look(socket, address, port, serverName),
    };
  }

  /** Kept, for to make one costs more than a handshake. */
  async #contextFor(tls: TlsCheck): Promise<SecureContext | string> {
    const { caFile: file, minVersion, maxVersion } = tls;
    const key = JSON.stringify([file, minVersion, maxVersion]);
    const known = this.#contexts.get(key);
    const nowMs = monotonicClock.nowMs();
    if (known !== undefined && nowMs < known.untilMs) return known.context;
    if (file === undefined) {
      const context = contextOf(tls);
      this.#contexts.set(key, { untilMs: Number.POSITIVE_INFINITY, context });
      return context;
    }
    const look = await this.#reads.look(key, () => readContext(file, tls));
    const context = look.type === 'late' ? `ca_file ${file}: ${look.reason}` : look.value;
    if (typeof context !== 'string') this.#contexts.set(key, { untilMs: nowMs + CA_FRESH_MS, context });
    return context;
  }
}

/** Without `ca` the authorities that Node.js knows are trusted. */
function contextOf({ minVersion, maxVersion }: TlsCheck, ca?: string): SecureContext {
  return createSecureContext({
    ...(ca !== undefined && { ca }),
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
    // OpenSSL 3 has them at its lowest level alone: who asks for them by name is to get them.
    ...((minVersion === 'TLSv1' || minVersion === 'TLSv1.1') && { ciphers: 'DEFAULT@SECLEVEL=0' }),
  });
}

async function readContext(file: string, tls: TlsCheck): Promise<SecureContext | string> {
  try {
    const ca = await readFile(file, 'latin1');
    // What holds none would be taken, and then nobody is trusted.
    if (!ca.includes('-----BEGIN ')) return `ca_file ${file} holds no certificate`;
    return contextOf(tls, ca);
  } catch (error) {
    return `ca_file ${file} cannot be used: ${messageOf(error)}`;
  }
}
