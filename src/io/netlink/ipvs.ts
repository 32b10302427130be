/** The kernel's IPVS over generic netlink. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  decodeConfig,
  decodeDaemon,
  decodeDestination,
  decodeInfo,
  decodeService,
} from '../../ipvs/decode.js';
import { decodeDestinationStats, decodeServiceStats } from '../../ipvs/decode-stats.js';
import {
  encodeDelDaemon,
  encodeGetConfig,
  encodeGetDaemons,
  encodeGetDestinations,
  encodeGetInfo,
  encodeGetServices,
  encodeNewDaemon,
  encodeOp,
  encodeSetConfig,
  encodeZero,
} from '../../ipvs/encode.js';
import type {
  CountedService,
  DumpedDestination,
  DumpedService,
  DumpedSyncDaemon,
  IpvsOp,
  IpvsTimeouts,
  ServiceKey,
  SyncDaemon,
} from '../../ipvs/model.js';
import { opWords } from '../../ipvs/plan.js';
import { IPVS_GENL_NAME } from '../../ipvs/uapi.js';
import type { Decoded, DecodeFault } from '../../netlink/attributes.js';
import { decodeFamilyId, encodeGetFamily, GENL_ID_CTRL } from '../../netlink/genl-controller.js';
import type { Ipvs, IpvsCounters, OpResult } from '../../runtime/services/services-ports.js';
import { NETLINK_GENERIC, NetlinkConnection, NetlinkError } from './connection.js';
import { type OpenRequestSocket, RECEIVE_BUFFER_BYTES } from './request-socket.js';

/** How long `modprobe` may take. */
export const MODPROBE_TIMEOUT_MS = 10_000;

const run = promisify(execFile);

/** What this file needs of a `NetlinkConnection`. */
export type IpvsConnection = Pick<NetlinkConnection, 'transact' | 'dump' | 'close'>;

export interface IpvsHost {
  connect(): IpvsConnection;
  /** Loads the kernel module; rejects when that fails. */
  loadModule(): Promise<void>;
}

/** The kernel has no IPVS, and loading it failed. */
export class IpvsUnavailableError extends Error {
  override readonly name = 'IpvsUnavailableError';
  readonly code = 'ERR_NO_IPVS';
  constructor(cause: unknown) {
    super("the kernel has no IPVS: load it with 'modprobe ip_vs', or install a kernel that has the module", {
      cause,
    });
  }
}

/** The kernel refused a change of its table or of a sync daemon; `cause` is its NetlinkError. */
export class IpvsError extends Error {
  override readonly name = 'IpvsError';
  readonly code = 'ERR_IPVS';
  /** Symbol of the kernel's errno, such as `EEXIST`. */
  readonly errnoCode: string;
  /** What was asked, such as `add real server 10.0.0.2:80 to tcp 192.0.2.1:80`. */
  readonly words: string;
  constructor(words: string, cause: NetlinkError, meaning?: string) {
    super(`cannot ${words}: ${meaning === undefined ? cause.message : `${meaning} (${cause.message})`}`, {
      cause,
    });
    this.errnoCode = cause.code;
    this.words = words;
  }
}

/** An answer of the kernel that this program cannot read. */
export class IpvsAnswerError extends Error {
  override readonly name = 'IpvsAnswerError';
  readonly code = 'ERR_IPVS_ANSWER';
  readonly fault: DecodeFault;
  constructor(fault: DecodeFault) {
    super(`cannot read the kernel's IPVS answer: ${fault.field}: ${fault.code}`);
    this.fault = fault;
  }
}

function valueOf<T>(decoded: Decoded<T>): T {
  if (!decoded.ok) throw new IpvsAnswerError(decoded.fault);
  return decoded.value;
}

/** What an errno says beyond its name, where ip_vs_ctl.c gives it a sense of its own. */
function meaningOf(op: IpvsOp, error: NetlinkError): string | undefined {
  if (error.code === 'EPERM') return 'CAP_NET_ADMIN is missing';
  if ((op.op === 'add-service' || op.op === 'edit-service') && error.code === 'ENOENT') {
    const { scheduler, persistenceEngine } = op.service;
    const engine = persistenceEngine === undefined ? '' : `, or no persistence engine '${persistenceEngine}'`;
    return `the kernel has no scheduler '${scheduler}'${engine}`;
  }
  if (op.op !== 'add-service' && error.code === 'ESRCH') return 'the kernel has no such virtual server';
  return undefined;
}

/** What is left to do when the table changed between dump and apply: another op, nothing, or the error stands. */
function remedyFor(op: IpvsOp, error: NetlinkError): IpvsOp | 'done' | 'failed' {
  switch (op.op) {
    case 'add-service':
      return error.code === 'EEXIST' ? { op: 'edit-service', service: op.service } : 'failed';
    case 'edit-service':
      return error.code === 'ESRCH' ? { op: 'add-service', service: op.service } : 'failed';
    case 'delete-service':
      return error.code === 'ESRCH' ? 'done' : 'failed';
    case 'add-destination':
      if (error.code === 'EEXIST') return { ...op, op: 'edit-destination' };
      // Its virtual server was deleted by somebody and comes back as a remedy before this one.
      return error.code === 'ESRCH' ? op : 'failed';
    case 'edit-destination':
      return error.code === 'ENOENT' || error.code === 'ESRCH' ? { ...op, op: 'add-destination' } : 'failed';
    case 'delete-destination':
      return error.code === 'ENOENT' || error.code === 'ESRCH' ? 'done' : 'failed';
  }
}

/** All that is asked of the kernel's IPVS. */
export class KernelIpvs implements Ipvs, IpvsCounters {
  readonly #host: IpvsHost;
  readonly #connection: IpvsConnection;
  #family: number;

  constructor(host: IpvsHost, connection: IpvsConnection, family: number) {
    this.#host = host;
    this.#connection = connection;
    this.#family = family;
  }

  async dump(): Promise<DumpedService[]> {
    const messages = await this.#dump(encodeGetServices());
    const services = messages.map(({ payload }) => valueOf(decodeService(payload)));
    const whole: DumpedService[] = [];
    // One after the other: the kernel runs one dump at a time on a socket, and more sockets gain nothing measurable.
    for (const service of services) {
      whole.push({ ...service, destinations: await this.#dumpDestinations(service.key) });
    }
    return whole;
  }

  async apply(ops: readonly IpvsOp[]): Promise<OpResult[]> {
    const results: OpResult[] = [];
    const remedies: { index: number; remedy: IpvsOp }[] = [];
    for (const [index, error] of (await this.#send(ops)).entries()) {
      const op = ops[index];
      if (op === undefined) continue;
      const remedy = error === undefined ? 'done' : remedyFor(op, error);
      if (typeof remedy === 'object') remedies.push({ index, remedy });
      results[index] = {
        op,
        error: remedy === 'done' || error === undefined ? undefined : opError(op, error),
      };
    }
    // Once only: whoever changes the table faster than this is met by the next reconciliation.
    const second = await this.#send(remedies.map(({ remedy }) => remedy));
    for (const [position, { index }] of remedies.entries()) {
      const op = ops[index];
      const error = second[position];
      if (op !== undefined)
        results[index] = { op, error: error === undefined ? undefined : opError(op, error) };
    }
    return results;
  }

  async read(): Promise<CountedService[]> {
    const services = (await this.#dump(encodeGetServices())).map(({ payload }) =>
      valueOf(decodeServiceStats(payload)),
    );
    const whole: CountedService[] = [];
    for (const service of services) {
      const messages = await this.#dump(encodeGetDestinations(service.key));
      const { family } = service.key;
      const destinations = messages.map(({ payload }) => valueOf(decodeDestinationStats(payload, family)));
      whole.push({ ...service, destinations });
    }
    return whole;
  }

  destinations(key: ServiceKey): Promise<DumpedDestination[]> {
    return this.#dumpDestinations(key);
  }

  async syncDaemons(): Promise<DumpedSyncDaemon[]> {
    const messages = await this.#dump(encodeGetDaemons());
    return messages.map(({ payload }) => valueOf(decodeDaemon(payload)));
  }

  async startSyncDaemon(daemon: SyncDaemon): Promise<void> {
    const error = await this.#request(encodeNewDaemon(daemon));
    if (error === undefined) return;
    const words = `start the ${daemon.state} sync daemon on ${daemon.interface} with syncid ${daemon.syncid}`;
    if (error.code !== 'EEXIST') throw new IpvsError(words, error);
    const running = (await this.syncDaemons()).find(({ state }) => state === daemon.state);
    if (running?.interface === daemon.interface && running.syncid === daemon.syncid) return;
    const meaning =
      running === undefined ? undefined : `one runs on ${running.interface} with syncid ${running.syncid}`;
    throw new IpvsError(words, error, meaning);
  }

  async stopSyncDaemon(state: SyncDaemon['state'], syncid: number, interfaceName: string): Promise<void> {
    const error = await this.#request(encodeDelDaemon({ state, syncid, interface: interfaceName }));
    // ESRCH: none runs.
    if (error === undefined || error.code === 'ESRCH') return;
    throw new IpvsError(`stop the ${state} sync daemon on ${interfaceName} with syncid ${syncid}`, error);
  }

  async info(): Promise<{ version: string; connectionTableSize: number }> {
    const [result] = await this.#connection.transact([
      { type: this.#family, flags: 0, payload: encodeGetInfo() },
    ]);
    if (result?.error !== undefined) throw new IpvsError('read the version of IPVS', result.error);
    const payload = result?.messages[0]?.payload ?? new Uint8Array(0);
    return valueOf(decodeInfo(payload));
  }

  async timeouts(): Promise<IpvsTimeouts> {
    const [result] = await this.#connection.transact([
      { type: this.#family, flags: 0, payload: encodeGetConfig() },
    ]);
    if (result?.error !== undefined) throw new IpvsError('read the timeouts of IPVS', result.error);
    return valueOf(decodeConfig(result?.messages[0]?.payload ?? new Uint8Array(0)));
  }

  async setTimeouts(timeouts: IpvsTimeouts): Promise<void> {
    const error = await this.#request(encodeSetConfig(timeouts));
    if (error !== undefined) throw new IpvsError('set the timeouts of IPVS', error);
  }

  /** `ipvsadm -Z`: the counters of all services. */
  async zero(): Promise<void> {
    const error = await this.#request(encodeZero());
    if (error !== undefined) throw new IpvsError('zero the counters of IPVS', error);
  }

  close(): void {
    this.#connection.close();
  }

  async #send(ops: readonly IpvsOp[]): Promise<(NetlinkError | undefined)[]> {
    if (ops.length === 0) return [];
    const requests = ops.map((op) => ({ type: this.#family, flags: 0, payload: encodeOp(op) }));
    return (await this.#connection.transact(requests)).map(({ error }) => error);
  }

  async #request(payload: Uint8Array): Promise<NetlinkError | undefined> {
    const [result] = await this.#connection.transact([{ type: this.#family, flags: 0, payload }]);
    return result?.error;
  }

  async #dump(request: Uint8Array): Promise<readonly { readonly payload: Uint8Array }[]> {
    try {
      return await this.#connection.dump(this.#family, request);
    } catch (error) {
      // The module was unloaded or loaded anew since: the family has another number now, or none.
      if (!(error instanceof NetlinkError) || error.code !== 'ENOENT') throw error;
      this.#family = await familyOrLoad(this.#host, this.#connection);
      return this.#connection.dump(this.#family, request);
    }
  }

  async #dumpDestinations(key: ServiceKey): Promise<DumpedDestination[]> {
    const messages = await this.#dump(encodeGetDestinations(key));
    return messages.map(({ payload }) => valueOf(decodeDestination(payload, key.family)));
  }
}

function opError(op: IpvsOp, error: NetlinkError): IpvsError {
  return new IpvsError(opWords(op), error, meaningOf(op, error));
}

/** Number of the generic netlink family; undefined when the kernel has none of this name. */
async function resolveFamily(connection: IpvsConnection): Promise<number | undefined> {
  const payload = encodeGetFamily(IPVS_GENL_NAME);
  const [result] = await connection.transact([{ type: GENL_ID_CTRL, flags: 0, payload }]);
  if (result?.error?.code === 'ENOENT') return undefined;
  if (result?.error !== undefined) throw new IpvsError('look up the IPVS family', result.error);
  return valueOf(decodeFamilyId(result?.messages[0]?.payload ?? new Uint8Array(0)));
}

async function familyOrLoad(host: IpvsHost, connection: IpvsConnection): Promise<number> {
  const present = await resolveFamily(connection);
  if (present !== undefined) return present;
  let cause: unknown;
  try {
    await host.loadModule();
  } catch (error) {
    cause = error;
  }
  // Somebody else may have loaded it meanwhile, so only the kernel's answer counts.
  const loaded = await resolveFamily(connection);
  if (loaded === undefined) throw new IpvsUnavailableError(cause);
  return loaded;
}

/** This host, asked by sockets that `open` opens. */
export function thisHost(open?: OpenRequestSocket): IpvsHost {
  return {
    connect: () => NetlinkConnection.open(NETLINK_GENERIC, RECEIVE_BUFFER_BYTES, open),
    loadModule: async () => {
      // A service's or user's PATH may lack the sbin folders, where modprobe is.
      const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
      await run('modprobe', ['ip_vs'], { timeout: MODPROBE_TIMEOUT_MS, env });
    },
  };
}

/**
 * Opens IPVS, loading the module `ip_vs` where needed.
 * Rejects with IpvsUnavailableError (`ERR_NO_IPVS`) when the kernel has none.
 */
export async function openIpvs(host: IpvsHost = thisHost()): Promise<KernelIpvs> {
  const connection = host.connect();
  try {
    return new KernelIpvs(host, connection, await familyOrLoad(host, connection));
  } catch (error) {
    connection.close();
    throw error;
  }
}
