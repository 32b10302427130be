/** Health probes by UDP: a datagram that is answered, and a name server that knows a record. */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { isIPv6 } from 'node:net';
import type { CheckKind } from '../../config/model-servers.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { endpointText } from '../../util/ip-address.js';
import { afterListening } from './listening-time.js';
import { failed, OK, outcomeOf } from './outcome.js';

/** The first answer that holds what is expected is good; a connected socket hears of a closed port, and of nobody else. */
export function probeUdp(
  { send, expect, from }: CheckKind & { readonly type: 'udp' },
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const wanted = Buffer.from(expect ?? '', 'hex');
  let heard = false;
  let isDone = false;
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const finish = (outcome: ProbeOutcome): void => {
      if (isDone) return;
      isDone = true;
      cancel();
      resolve(outcome);
      socket.close();
    };
    const cancel = afterListening(timeoutMs, () =>
      finish(failed(heard ? 'the answer is another one' : `no answer within ${timeoutMs} ms`)),
    );
    socket.on('error', (error) => finish(outcomeOf(error)));
    socket.on('message', (message) => {
      heard = true;
      if (message.includes(wanted)) finish(OK);
    });
    // Not as a callback, which would get the error in place of the listener above.
    socket.once('connect', () => socket.send(Buffer.from(send, 'hex')));
    if (from !== undefined) socket.bind({ address: from, exclusive: true });
    socket.connect(port, address);
  });
}

/** Ours counts first. */
const RESOLVER_MARGIN = 2;

const DNS_REASONS: Readonly<Record<string, string>> = {
  ENODATA: 'the name has no such record',
  ENOTFOUND: 'the name is not known',
  ESERVFAIL: 'the server could not answer (SERVFAIL)',
  EREFUSED: 'the server refuses the question (REFUSED)',
  ENOTIMP: 'the server does not know such questions (NOTIMP)',
  EFORMERR: 'the server did not understand the question (FORMERR)',
  EBADRESP: 'the answer is not DNS',
  ECONNREFUSED: 'connection refused',
  ETIMEOUT: 'no answer',
};

export function probeDns(
  { name, recordType, from }: CheckKind & { readonly type: 'dns' },
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const resolver = new Resolver({ timeout: timeoutMs * RESOLVER_MARGIN, tries: 1 });
    if (from !== undefined)
      resolver.setLocalAddress(...(isIPv6(from) ? (['0.0.0.0', from] as const) : ([from] as const)));
    resolver.setServers([endpointText(address, port)]);
    const cancel = afterListening(timeoutMs, () => {
      resolve(failed(`no answer within ${timeoutMs} ms`));
      resolver.cancel();
    });
    resolver.resolve(name, recordType, (error) => {
      cancel();
      if (error === null) resolve(OK);
      else resolve(failed(DNS_REASONS[error.code ?? ''] ?? error.message));
    });
  });
}
