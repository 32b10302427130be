/** What is heard of the sync group, by sender, between two looks. Pure. */
import { decodeMessage, type SyncConnection, type SyncFault } from './message.js';

/** Senders that are told apart between two looks; what further ones say is counted together. */
export const MAX_SENDERS = 64;

export interface SenderCounts {
  /** IP address; `others` where there are too many. */
  readonly source: string;
  /** Undefined where messages are too damaged to tell. */
  readonly syncid: number | undefined;
  /** Of the protocol. */
  readonly version: 0 | 1 | undefined;
  readonly messages: number;
  /** Entries: connections and templates, those that were told before among them. */
  readonly connections: number;
  /** Messages that a kernel does not take as a whole, by reason. */
  readonly malformed: Readonly<Partial<Record<SyncFault, number>>>;
}

interface Counting extends SenderCounts {
  messages: number;
  connections: number;
  malformed: Partial<Record<SyncFault, number>>;
}

export class SyncStream {
  #senders = new Map<string, Counting>();

  /** `payload`: of the UDP datagram. Returns what it tells, as views of it. */
  hear(source: string, payload: Uint8Array): readonly SyncConnection[] {
    const { version, syncid, connections, entries, fault } = decodeMessage(payload);
    const sender = this.#senderOf(source, syncid, version);
    sender.messages += 1;
    sender.connections += entries;
    if (fault !== undefined) sender.malformed[fault] = (sender.malformed[fault] ?? 0) + 1;
    return connections;
  }

  /** Since the last time, by source. */
  take(): readonly SenderCounts[] {
    const senders = [...this.#senders.values()];
    this.#senders = new Map();
    return senders.sort((a, b) => (a.source < b.source ? -1 : 1));
  }

  #senderOf(source: string, syncid: number | undefined, version: 0 | 1 | undefined): Counting {
    const key = `${source} ${syncid} ${version}`;
    const known = this.#senders.get(key);
    if (known !== undefined) return known;
    const isOne = this.#senders.size < MAX_SENDERS;
    const name = isOne ? key : OTHERS;
    const sender = this.#senders.get(name) ?? {
      ...(isOne ? { source, syncid, version } : { source: OTHERS, syncid: undefined, version: undefined }),
      messages: 0,
      connections: 0,
      malformed: {},
    };
    this.#senders.set(name, sender);
    return sender;
  }
}

const OTHERS = 'others';
