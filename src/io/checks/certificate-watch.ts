/** Tells of certificates of real servers that are about to expire, while they still do. */
import type { TLSSocket } from 'node:tls';
import { endpointText } from '../../util/ip-address.js';

const DAY_MS = 86_400_000;
const TELL_BEFORE_MS = 14 * DAY_MS;
/** To take a certificate apart costs more than the rest of a probe. */
const LOOK_EACH_MS = 3_600_000;
/** Servers that are remembered; those that left the file are among them. */
const MAX_KNOWN = 20_000;

export class CertificateWatch {
  readonly #tell: (words: string) => void;
  readonly #nowEpochMs: () => number;
  /** When to look next, by server and name. */
  readonly #nextMs = new Map<string, number>();

  constructor(tell: (words: string) => void, nowEpochMs: () => number) {
    this.#tell = tell;
    this.#nowEpochMs = nowEpochMs;
  }

  /** After a handshake. Each server is told of once a day. */
  look(socket: TLSSocket, address: string, port: number, serverName: string | undefined): void {
    const nowMs = this.#nowEpochMs();
    const server = endpointText(address, port) + (serverName === undefined ? '' : ` (${serverName})`);
    if (nowMs < (this.#nextMs.get(server) ?? 0)) return;
    if (this.#nextMs.size >= MAX_KNOWN) this.#nextMs.clear();
    const endMs = Date.parse(socket.getPeerCertificate().valid_to);
    const isNear = endMs - nowMs < TELL_BEFORE_MS;
    this.#nextMs.set(server, nowMs + (isNear ? DAY_MS : LOOK_EACH_MS));
    if (!isNear) return;
    const day = new Date(endMs).toISOString().slice(0, 10);
    const days = Math.floor((endMs - nowMs) / DAY_MS);
    this.#tell(
      endMs <= nowMs
        ? `the certificate of ${server} has expired on ${day}`
        : `the certificate of ${server} expires on ${day}, in ${days} days`,
    );
  }
}
