/** Health probes by a conversation over TCP, with and without TLS. */
import { connect, type Socket } from 'node:net';
import { connect as connectByTls } from 'node:tls';
import type { CheckKind } from '../../config/model-servers.js';
import { dialogueOf } from '../../protocols/conversations.js';
import type { Dialogue, Turn } from '../../protocols/dialogue.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { afterListening } from './listening-time.js';
import { failed, OK, outcomeOf } from './outcome.js';
import { sourceOf } from './source.js';
import type { Handshake } from './tls-contexts.js';

type StreamCheck = CheckKind & { readonly type: 'stream' };

export function probeStream(
  check: StreamCheck,
  handshake: Handshake | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const dialogue = dialogueOf(check.conversation);
  const route = { host: address, port, ...sourceOf(check) };
  if (handshake === undefined) {
    const socket = connect({ ...route, autoSelectFamily: false });
    return converse(dialogue, socket, 'connect', timeoutMs);
  }
  const socket = connectByTls({ ...handshake.options, ...route });
  socket.once('secureConnect', () => handshake.done(socket, address, port));
  return converse(dialogue, socket, 'secureConnect', timeoutMs);
}

/** One that went well is ended with FIN, so that the real server logs no reset; the timer bounds its farewell. */
function converse(
  dialogue: Dialogue,
  socket: Socket,
  opened: 'connect' | 'secureConnect',
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
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
    socket.once(opened, () => {
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
