/** What the drill and its client say to each other, one JSON document a line. */

/**
 * `busy` sends a request every half second, `one-request` has had one answer and is silent since,
 * `idle` has sent nothing since the handshake.
 */
export const CONNECTION_USES = ['busy', 'one-request', 'idle'] as const;
export type ConnectionUse = (typeof CONNECTION_USES)[number];
/**
 * Beside those of TCP over IPv4, where the topology has such virtual servers: `ipv6` is any of them over IPv6, `udp` one port
 * that asks again and again, `persistent` a client that keeps its real server on all ports of a service.
 */
export const CONNECTION_KINDS = [...CONNECTION_USES, 'ipv6', 'udp', 'persistent'] as const;
export type ConnectionKind = (typeof CONNECTION_KINDS)[number];

export type ClientCommand =
  | {
      readonly command: 'open';
      readonly address: string;
      readonly port: number;
      /** Connections of each use. */
      readonly count: number;
    }
  | {
      readonly command: 'verify';
      readonly timeoutMs: number;
      /** Null: all. */
      readonly only: readonly Pick<OpenedConnection, 'kind' | 'port'>[] | null;
    }
  /** Ends what `open` and `flows-open` have opened. */
  | { readonly command: 'close' }
  | { readonly command: 'spread'; readonly address: string; readonly port: number; readonly count: number }
  | {
      readonly command: 'flows-open';
      readonly address: string;
      readonly port: number;
      readonly count: number;
      /** From one request of a flow to its next. */
      readonly everyMs: number;
    }
  | { readonly command: 'flows-requests' }
  | {
      /** One request from each address of the client's host to each port, each on a connection of its own. */
      readonly command: 'ask-from';
      readonly clients: readonly string[];
      readonly address: string;
      readonly ports: readonly number[];
    };

export interface OpenedConnection {
  readonly kind: ConnectionKind;
  /** The client's port: the name of the connection in the kernel's tables. 0 for a client that has many. */
  readonly port: number;
  /** The client's address, of kind `persistent`. */
  readonly client?: string;
  /** Who answered, of kinds `udp` and `persistent`. */
  readonly server?: string;
}

export interface VerifiedConnection extends OpenedConnection {
  readonly survived: boolean;
  /** Why not; empty when it survived. */
  readonly reason: string;
}

/** One datagram. */
export interface FlowRequest {
  /** The client's port. */
  readonly port: number;
  /** Wall-clock milliseconds. */
  readonly sentMs: number;
  /** Null when no answer has come. */
  readonly answeredMs: number | null;
  readonly server: string | null;
}

/** What one port said to one client. */
export interface PortAnswer {
  readonly client: string;
  readonly port: number;
  /** Null when there was no answer, for the reason of `error`. */
  readonly server: string | null;
  readonly error: string;
}

export interface ClientResults {
  readonly open: { readonly opened: readonly OpenedConnection[]; readonly failed: readonly string[] };
  readonly verify: { readonly connections: readonly VerifiedConnection[] };
  readonly close: Record<string, never>;
  readonly spread: { readonly servers: Readonly<Record<string, number>>; readonly failed: number };
  readonly 'flows-open': { readonly opened: readonly OpenedConnection[]; readonly failed: readonly string[] };
  /** All since `flows-open`. */
  readonly 'flows-requests': { readonly requests: readonly FlowRequest[] };
  readonly 'ask-from': { readonly answers: readonly PortAnswer[] };
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
