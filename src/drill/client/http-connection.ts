/** The client's end of one TCP connection on which requests are made one after the other. */
import { connect, type Socket } from 'node:net';

const END_OF_HEAD = '\r\n\r\n';
/** An answer longer than this is not one of the lab's real servers. */
const MAX_ANSWER_BYTES = 8192;

/** The body of a complete answer, undefined while it is incomplete. */
export function parseAnswer(text: string): string | undefined {
  const end = text.indexOf(END_OF_HEAD);
  if (end < 0) {
    return undefined;
  }
  const length = /^content-length:\s*(\d+)/im.exec(text.slice(0, end))?.[1];
  const body = text.slice(end + END_OF_HEAD.length);
  const wanted = length === undefined ? 0 : Number(length);
  return body.length < wanted ? undefined : body.slice(0, wanted).trim();
}

interface Waiting {
  readonly resolve: (server: string) => void;
  readonly reject: (error: Error) => void;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #keepAliveRequest: string;
  readonly #closingRequest: string;
  #pending = '';
  #waiting: Waiting | undefined;
  #lost: Error | undefined;
  #port = 0;
  /** Called once when the connection ends and `close` was not the reason. */
  onLost: (error: Error) => void = () => {};

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#keepAliveRequest = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    this.#closingRequest = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  }

  /**
   * Opens a connection, from `localAddress` or an address that the kernel chooses; rejects with the kernel's error, or after
   * `timeoutMs` milliseconds.
   */
  static open(
    address: string,
    port: number,
    timeoutMs: number,
    localAddress?: string,
  ): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const from = localAddress === undefined ? {} : { localAddress };
      const socket = connect({ host: address, port, noDelay: true, ...from });
      const connection = new HttpConnection(socket, address);
      const timer = setTimeout(() => socket.destroy(new Error('handshake timed out')), timeoutMs);
      socket.setEncoding('latin1');
      socket.once('connect', () => {
        clearTimeout(timer);
        connection.#port = socket.localPort ?? 0;
        resolve(connection);
      });
      socket.on('data', (text: string) => connection.#take(text));
      socket.on('error', (error) => connection.#end(error));
      socket.on('end', () => connection.#end(new Error('closed by the server')));
      socket.once('close', () => {
        clearTimeout(timer);
        connection.#end(new Error('closed'));
        reject(connection.#lost ?? new Error('closed'));
      });
    });
  }

  /** The client's port. */
  get port(): number {
    return this.#port;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  get busy(): boolean {
    return this.#waiting !== undefined;
  }

  /** Sends a request and resolves with the name of the real server that answered. One at a time. */
  request(lastOne = false): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      if (this.#waiting !== undefined) {
        reject(new Error('a request is under way'));
        return;
      }
      this.#waiting = { resolve, reject };
      this.#socket.write(lastOne ? this.#closingRequest : this.#keepAliveRequest);
    });
  }

  close(): void {
    this.onLost = () => {};
    this.#end(new Error('closed by the client'));
  }

  #take(text: string): void {
    this.#pending += text;
    const server = parseAnswer(this.#pending);
    if (server !== undefined) {
      this.#pending = '';
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.resolve(server);
    } else if (this.#pending.length > MAX_ANSWER_BYTES) {
      this.#end(new Error('not an answer of a real server'));
    }
  }

  #end(error: Error): void {
    if (this.#lost !== undefined) {
      return;
    }
    this.#lost = error;
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
    this.onLost(error);
  }
}
