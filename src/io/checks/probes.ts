/** Health probes of real servers. */
import { connect } from 'node:net';
import type { CheckKind, CheckWay, TlsCheck } from '../../config/model-servers.js';
import type { Commands, ProbeOutcome, Prober } from '../../runtime/services/services-ports.js';
import { CertificateWatch } from './certificate-watch.js';
import { CommandProbes } from './command-probes.js';
import { probeDns, probeUdp } from './datagram-probes.js';
import { probeGrpc } from './grpc-probes.js';
import { probeHttp } from './http-probes.js';
import { IcmpProbes } from './icmp-probes.js';
import { afterListening } from './listening-time.js';
import { failed, OK, outcomeOf } from './outcome.js';
import { sourceOf } from './source.js';
import { probeStream } from './stream-probes.js';
import { type Handshake, TlsContexts } from './tls-contexts.js';

export interface ProberOptions {
  /** A certificate of a real server is about to expire. */
  readonly tellCertificate?: (words: string) => void;
  readonly nowEpochMs?: () => number;
}

/**
 * Probes with sockets of their own, one for each probe. `timeoutMs` covers the whole probe, and counts only while this
 * process listens: a director that has too much to do does not find its real servers dead.
 */
export function openProber(commands: Commands, { tellCertificate, nowEpochMs }: ProberOptions = {}): Prober {
  const contexts = new TlsContexts(
    new CertificateWatch(tellCertificate ?? (() => {}), nowEpochMs ?? Date.now),
  );
  const icmp = new IcmpProbes();
  const byCommand = new CommandProbes(commands);
  /** What this host cannot read says nothing of the real server. */
  const over = async (
    tls: TlsCheck | undefined,
    probe: (handshake: Handshake | undefined) => Promise<ProbeOutcome>,
  ): Promise<ProbeOutcome> => {
    const handshake = tls && (await contexts.handshakeOf(tls));
    return typeof handshake === 'string' ? { ok: undefined, reason: handshake } : probe(handshake);
  };
  const begin = (
    check: CheckKind,
    address: string,
    port: number,
    timeoutMs: number,
  ): Promise<ProbeOutcome> => {
    const where = [address, port, timeoutMs] as const;
    switch (check.type) {
      case 'tcp':
        return probeTcp(check, ...where);
      case 'http':
        return over(check.tls, (handshake) => probeHttp(check, handshake, ...where));
      case 'stream':
        return over(check.tls, (handshake) => probeStream(check, handshake, ...where));
      case 'grpc':
        return over(check.tls, (handshake) => probeGrpc(check, handshake, ...where));
      case 'udp':
        return probeUdp(check, ...where);
      case 'dns':
        return probeDns(check, ...where);
      case 'icmp':
        return icmp.probe(check.from, address, timeoutMs);
      case 'command':
        return byCommand.probe(check, ...where);
    }
  };
  return {
    probe: async (check, address, port, timeoutMs) => {
      try {
        return await begin(check, check.to ?? address, port, timeoutMs);
      } catch (error) {
        // Arguments that Node refuses, such as a character that no request line can have.
        return error instanceof Error ? outcomeOf(error) : failed(String(error));
      }
    },
  };
}

/** The handshake is the probe; it is ended with FIN, so that the real server logs no reset. */
function probeTcp(check: CheckWay, address: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, autoSelectFamily: false, ...sourceOf(check) });
    const cancel = afterListening(timeoutMs, () => {
      resolve(failed(`no answer within ${timeoutMs} ms`));
      socket.destroy();
    });
    socket.once('connect', () => {
      resolve(OK);
      socket.end();
      // Read and drop what a talkative server says; the timer bounds its farewell.
      socket.resume();
    });
    socket.on('error', (error) => resolve(outcomeOf(error)));
    socket.once('close', cancel);
  });
}
