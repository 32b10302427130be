/** UDP flows of the lab's client: each asks from one port for as long as it lives, one datagram a request. */
import { createSocket, type Socket } from 'node:dgram';
import type { ClientResults, FlowRequest } from './client-protocol.js';

/** For a first answer, asked for again and again: a datagram may be lost. */
const OPEN_TIMEOUT_MS = 10_000;
const OPEN_EVERY_MS = 500;
/** Requests that are remembered; the oldest go. */
const MAX_REQUESTS = 100_000;

interface Flow {
  readonly socket: Socket;
  readonly port: number;
  /** Who answered first. */
  readonly server: string;
}

type Request = { -readonly [Key in keyof FlowRequest]: FlowRequest[Key] };

function bind(): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, () => {
      socket.off('error', reject).on('error', () => {});
      resolve(socket);
    });
  });
}

export class UdpFlows {
  #flows: readonly Flow[] = [];
  /** By the number that the request and its answer bear. */
  readonly #requests = new Map<string, Request>();
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;

  /** Every request since `open`, in the order in which they were sent. */
  get requests(): readonly FlowRequest[] {
    return [...this.#requests.values()];
  }

  /**
   * Opens flows, one after the other, which then ask in turn. Those of one real server ask one after the other: a director that
   * does not know them deals them out anew, and is seen by that.
   */
  async open(
    address: string,
    port: number,
    count: number,
    everyMs: number,
  ): Promise<ClientResults['flows-open']> {
    const opened: Flow[] = [];
    const failed: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const socket = await bind();
      const server = await this.#firstAnswer(socket, address, port);
      if (server === null) {
        socket.close();
        failed.push(`udp: no answer within ${OPEN_TIMEOUT_MS} ms`);
        break;
      }
      opened.push({ socket, port: socket.address().port, server });
    }
    this.#flows = opened.toSorted((a, b) => a.server.localeCompare(b.server));
    let turn = 0;
    this.#timer = setInterval(() => {
      const flow = this.#flows[turn % this.#flows.length];
      turn += 1;
      if (flow !== undefined) {
        this.#ask(flow.socket, flow.port, address, port);
      }
    }, everyMs / count);
    return { opened: opened.map(({ port, server }) => ({ kind: 'udp', port, server })), failed };
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { socket } of this.#flows) {
      socket.close();
    }
    this.#flows = [];
    this.#requests.clear();
  }

  #firstAnswer(socket: Socket, address: string, port: number): Promise<string | null> {
    const own = socket.address().port;
    return new Promise((resolve) => {
      const ask = (): void => this.#ask(socket, own, address, port);
      const again = setInterval(ask, OPEN_EVERY_MS);
      const finish = (server: string | null): void => {
        clearInterval(again);
        clearTimeout(timer);
        resolve(server);
      };
      const timer = setTimeout(() => finish(null), OPEN_TIMEOUT_MS);
      socket.on('message', (message) => {
        const server = this.#take(message.toString());
        if (server !== undefined) {
          finish(server);
        }
      });
      ask();
    });
  }

  #ask(socket: Socket, from: number, address: string, port: number): void {
    const request: Request = { port: from, sentMs: Date.now(), answeredMs: null, server: null };
    const id = String(this.#nextId);
    this.#nextId += 1;
    this.#requests.set(id, request);
    if (this.#requests.size > MAX_REQUESTS) {
      this.#requests.delete(String(this.#nextId - MAX_REQUESTS - 1));
    }
    socket.send(id, port, address);
  }

  /** Takes `SERVER ID`; who answered, undefined when nothing of the kind was asked, or was answered already. */
  #take(answer: string): string | undefined {
    const [server, id = ''] = answer.split(' ');
    const request = this.#requests.get(id);
    if (request === undefined || request.answeredMs !== null || server === undefined) {
      return undefined;
    }
    request.answeredMs = Date.now();
    request.server = server;
    return server;
  }
}
