/** What the drill and its client say to each other, one JSON document a line. */

export const CONNECTION_KINDS = ['busy', 'one-request', 'idle'] as const;
/**
 * `busy` sends a request every half second, `one-request` has had one answer and is silent since,
 * `idle` has sent nothing since the handshake.
 */
export type ConnectionKind = (typeof CONNECTION_KINDS)[number];

export type ClientCommand =
  | {
      readonly command: 'open';
      readonly address: string;
      readonly port: number;
      /** Connections of each kind. */
      readonly count: number;
    }
  | { readonly command: 'verify'; readonly timeoutMs: number; readonly ports: readonly number[] | null }
  | { readonly command: 'close' }
  | { readonly command: 'spread'; readonly address: string; readonly port: number; readonly count: number }
  | {
      readonly command: 'requests-start';
      readonly address: string;
      readonly port: number;
      readonly everyMs: number;
    }
  | { readonly command: 'requests-stop' };

export interface OpenedConnection {
  readonly kind: ConnectionKind;
  /** The client's port: the name of the connection in the kernel's tables. */
  readonly port: number;
}

export interface VerifiedConnection extends OpenedConnection {
  readonly survived: boolean;
  /** Why not; empty when it survived. */
  readonly reason: string;
}

/** One new connection with one request. */
export interface RequestSample {
  /** Wall-clock milliseconds. */
  readonly startMs: number;
  /** From connect to the whole answer; until the failure when it failed. */
  readonly durationMs: number;
  /** Name of the real server that answered, null when none did. */
  readonly server: string | null;
  /** Why it failed; empty when it did not. */
  readonly error: string;
}

export interface ClientResults {
  readonly open: { readonly opened: readonly OpenedConnection[]; readonly failed: readonly string[] };
  readonly verify: { readonly connections: readonly VerifiedConnection[] };
  readonly close: Record<string, never>;
  readonly spread: { readonly servers: Readonly<Record<string, number>>; readonly failed: number };
  readonly 'requests-start': Record<string, never>;
  readonly 'requests-stop': { readonly samples: readonly RequestSample[] };
}

export type ClientRequest = ClientCommand & { readonly id: number };

export type ClientMessage =
  | { readonly type: 'ready' }
  | {
      readonly type: 'lost';
      readonly kind: ConnectionKind;
      readonly port: number;
      readonly reason: string;
      readonly atMs: number;
    }
  | { readonly type: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly message: string };
