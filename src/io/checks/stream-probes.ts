/** Health probes by a conversation over TCP, with and without TLS. */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectByTls } from 'node:tls';
import type { CheckKind } from '../../config/model-servers.js';
import { dialogueOf } from '../../protocols/conversations.js';
import type { Turn } from '../../protocols/dialogue.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { afterListening } from './listening-time.js';
import { failed, OK, outcomeOf } from './outcome.js';
import type { TlsContexts } from './tls-contexts.js';

type StreamCheck = CheckKind & { readonly type: 'stream' };

export async function probeStream(
  check: StreamCheck,
  contexts: TlsContexts,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const tls = check.tls && (await contexts.optionsOf(check.tls));
  // What this host cannot read says nothing of the real server.
  if (typeof tls === 'string') return { ok: undefined, reason: tls };
  return converse(check, tls, address, port, timeoutMs);
}

/** One that went well is ended with FIN, so that the real server logs no reset; the timer bounds its farewell. */
function converse(
  { conversation }: StreamCheck,
  tls: ConnectionOptions | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const dialogue = dialogueOf(conversation);
  return new Promise((resolve) => {
    const socket = open(tls, address, port);
    let isOpen = false;
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      socket.destroy();
    };
    const cancel = afterListening(timeoutMs, () => {
      const within = `within ${timeoutMs} ms`;
      finish(failed(isOpen ? dialogue.silence(within) : `no answer ${within}`));
    });
    const act = (turn: Turn): void => {
      if (turn.type === 'bad') return finish(failed(turn.reason));
      for (const bytes of turn.send) socket.write(bytes);
      if (turn.type === 'waiting') return;
      resolve(OK);
      socket.off('data', hear).resume();
      socket.end();
    };
    const hear = (piece: Buffer): void => act(dialogue.hear(piece));
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      isOpen = true;
      socket.on('data', hear);
      act(dialogue.begin());
    });
    socket.on('error', (error) => resolve(outcomeOf(error)));
    socket.once('close', () => {
      cancel();
      resolve(failed(dialogue.silence('before the end of the connection')));
    });
  });
}

function open(tls: ConnectionOptions | undefined, host: string, port: number): Socket {
  return tls === undefined
    ? connect({ host, port, autoSelectFamily: false })
    : connectByTls({ ...tls, host, port });
}
