/** A configuration file as the loader, a process of its own, has read it. Plain data that passes between processes. */
import type { ElectionConfig } from '../config/model.js';

export interface LoadRequest {
  /** The file, and whose part of it counts; undefined: this host's. */
  readonly config: string;
  readonly director?: string | undefined;
  /** As which the director runs that asks for a reload: where nobody is named it stays that, also if its host has another name by now. */
  readonly current?: string | undefined;
  /** Where the resolved configuration goes. */
  readonly runtimeDirectory: string;
  /** Faults that are told; of a file with more, their number. */
  readonly maxFaults: number;
}

/** A checked configuration as the VRRP process has it. Its size does not hang on the virtual servers. */
export interface Configuration {
  readonly election: ElectionConfig;
  /** The whole `DirectorConfig` as JSON, for the services process. */
  readonly path: string;
  readonly virtualServers: number;
  readonly realServers: number;
  /** Of the file's text, in hexadecimal. */
  readonly sha256: string;
}

export type LoadAnswer =
  | { readonly ok: true; readonly configuration: Configuration }
  /** Each with its place in the file; `untold` are left out. */
  | { readonly ok: false; readonly faults: readonly string[]; readonly untold: number }
  /** A sentence: the file could not be read at all. */
  | { readonly ok: false; readonly unreadable: string }
  /** A sentence: the loader could not do its work, which says nothing of the file. */
  | { readonly ok: false; readonly failed: string };

/** Never rejects. */
export type Load = (request: LoadRequest) => Promise<LoadAnswer>;

export type LoadRefusal = Exclude<LoadAnswer, { ok: true }>;

export function loadFailed(words: string): LoadRefusal {
  return { ok: false, failed: words };
}

/** As sentences, one a fault. */
export function faultsOf(answer: LoadRefusal): readonly string[] {
  if ('failed' in answer) return [answer.failed];
  if ('unreadable' in answer) return [answer.unreadable];
  return answer.untold === 0 ? answer.faults : [...answer.faults, `and ${answer.untold} more`];
}
