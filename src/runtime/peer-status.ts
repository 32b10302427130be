/** The peer channel in the status: a contract for programs, so fields are only ever added. */
import type { Condition } from '../peer/condition.js';
import type { DiscardReason } from '../peer/wire.js';

export interface PeerChannelStatus {
  readonly address: string;
  readonly port: number;
  /** By a key. */
  readonly authenticated: boolean;
  /** Why the channel does not work, as sentences; empty when it does. */
  readonly faults: readonly string[];
  readonly peers: readonly PeerReport[];
  /** This director's connection table. */
  readonly table: {
    /** It holds what the peers' tables hold, as far as can be told. */
    readonly complete: boolean;
    /** What it waits for, or why it is complete. */
    readonly text: string;
    /** As the kernel counts them, for all virtual servers; null when it does not tell. */
    readonly connections: number | null;
  };
  /** Whether the gateway answers. */
  readonly gateway: 'unprobed' | 'answers' | 'silent';
  /** Datagrams that were not taken, by reason, since the start of the services process. */
  readonly discards: Readonly<Record<DiscardReason, number>>;
}

export interface PeerReport {
  readonly name: string;
  readonly address: string;
  readonly condition: Condition;
  /** The condition as a sentence's end. */
  readonly text: string;
  /** Seconds that it has been up on the channel, or silent. */
  readonly since_s: number;
  /** Of its program; null while it has said nothing, as what follows. */
  readonly version: string | null;
  /** Top-level keys of the file in which the two differ. */
  readonly differing_sections: readonly string[];
  /** Its wall clock less this one's. */
  readonly clock_offset_ms: number | null;
  readonly round_trip_ms: number | null;
  /** In its kernel's table. */
  readonly connections: number | null;
  /** Whether its table is complete, by its own word. */
  readonly complete: boolean | null;
  /**
   * How many of the established connections of the one who is master the other one holds, 0 to 100, by their numbers; those of
   * the last seconds are left out. Null while nothing is known, or neither or both are master.
   */
  readonly coverage: {
    /** Whose table it is about. */
    readonly of: string;
    readonly percent: number;
    /** How long ago the older of the two numbers was counted. */
    readonly age_s: number;
  } | null;
}
