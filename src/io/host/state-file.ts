/** What outlives a process, as one JSON file. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { VirtualAddress } from '../../config/model.js';
import type { IpvsTimeouts, StartedSyncDaemon } from '../../ipvs/model.js';
import type { Override } from '../../planning/overrides.js';
import type { StateFile, VrrpLeftovers } from '../../runtime/ports.js';
import type { ServicesLeftovers } from '../../runtime/services/services-ports.js';
import { workInTurn } from '../../util/in-turn.js';
import { addressBytes } from '../../util/ip-address.js';
import { type Fields, readJson, record, writeJson } from './json-file.js';

export const RUNTIME_DIRECTORY = '/run/lvs-director';

/** One kind of file: its name, what it holds when it is missing, and how its content is checked. */
export interface StateKind<State> {
  readonly fileName: string;
  readonly empty: State;
  /** Throws for what was not written by `save`. */
  read(fields: Fields): State;
}

export const VRRP_STATE: StateKind<VrrpLeftovers> = {
  fileName: 'vrrp.json',
  empty: { addresses: [] },
  read: (fields) => ({ addresses: listOf('addresses', fields, virtualAddress) }),
};

export const SERVICES_STATE: StateKind<ServicesLeftovers> = {
  fileName: 'services.json',
  empty: { ownedServices: [], sysctls: {}, syncDaemons: [] },
  read: (fields) => ({
    ownedServices: listOf('ownedServices', fields, text),
    sysctls: Object.fromEntries(
      Object.entries(record(fields['sysctls'])).map(([key, value]) => [key, text(value)]),
    ),
    syncDaemons: listOf('syncDaemons', fields, syncDaemon),
    ...(fields['timeouts'] === undefined ? {} : { timeouts: timeouts(fields['timeouts']) }),
    drains: Object.fromEntries(
      Object.entries(record(fields['drains'] ?? {})).map(([key, sinceMs]) => [key, milliseconds(sinceMs)]),
    ),
  }),
};

/** In the directory that a reboot keeps. */
export const OVERRIDES: StateKind<{ readonly overrides: readonly Override[] }> = {
  fileName: 'overrides.json',
  empty: { overrides: [] },
  read: (fields) => ({ overrides: listOf('overrides', fields, override) }),
};

/**
 * State of one kind in `directory`. A missing file loads as empty; so does a damaged one, after `onDamaged` was told
 * why. Saves are atomic: a reader or a crash finds the old content or the new one. Saves follow one another in the
 * order of the calls.
 */
export function openStateFile<State extends object>(
  kind: StateKind<State>,
  directory: string = RUNTIME_DIRECTORY,
  onDamaged: (path: string, reason: Error) => void = () => undefined,
): StateFile<State> {
  const path = join(directory, kind.fileName);
  const inTurn = workInTurn();
  return {
    load: () => inTurn(() => load(kind, path, onDamaged)),
    save: (state) => inTurn(() => writeJson(path, state)),
    remove: () => inTurn(() => rm(path, { force: true })),
  };
}

async function load<State>(
  kind: StateKind<State>,
  path: string,
  onDamaged: (path: string, reason: Error) => void,
): Promise<State> {
  try {
    return kind.read(await readJson(path));
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      if (error.code === 'ENOENT') return kind.empty;
      // What the file system refuses is for the caller; the rest was not written by `save`.
      throw error;
    }
    onDamaged(path, error instanceof Error ? error : new Error(String(error)));
    return kind.empty;
  }
}

// By hand: a schema library would cost each of the two processes a tenth of a second at the start.

function listOf<T>(name: string, fields: Fields, item: (value: unknown) => T): T[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new TypeError(`${name} is no list`);
  return value.map((one: unknown) => item(one));
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('text is expected');
  return value;
}

function integer(value: unknown, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new TypeError(`a number from 0 to ${max} is expected`);
  }
  return value;
}

function milliseconds(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('a time is expected');
  return value;
}

function virtualAddress(value: unknown): VirtualAddress {
  const fields = record(value);
  const address = text(fields['address']);
  if (addressBytes(address) === undefined) throw new TypeError(`'${address}' is no IP address`);
  const name = text(fields['interface']);
  if (name === '') throw new TypeError('an interface has no name');
  return { address, prefixLength: integer(fields['prefixLength'], 128), interface: name };
}

function timeouts(value: unknown): IpvsTimeouts {
  const fields = record(value);
  const seconds = (key: string): number => integer(fields[key], 0x7fffffff);
  return {
    tcpSeconds: seconds('tcpSeconds'),
    tcpFinSeconds: seconds('tcpFinSeconds'),
    udpSeconds: seconds('udpSeconds'),
  };
}

function override(value: unknown): Override {
  const fields = record(value);
  const { weight, disabled } = fields;
  return {
    virtualServer: text(fields['virtualServer']),
    address: text(fields['address']),
    port: integer(fields['port'], 65_535),
    ...(weight === undefined ? {} : { weight: integer(weight, 65_535) }),
    ...(disabled === true ? { disabled } : {}),
  };
}

function syncDaemon(value: unknown): StartedSyncDaemon {
  const fields = record(value);
  const { state } = fields;
  if (state !== 'master' && state !== 'backup') throw new TypeError('a sync daemon is master or backup');
  const daemon: StartedSyncDaemon = {
    state,
    interface: text(fields['interface']),
    syncid: integer(fields['syncid'], 255),
  };
  const index = fields['interfaceIndex'];
  return index === undefined ? daemon : { ...daemon, interfaceIndex: integer(index, 0x7fffffff) };
}
