/** FRR's daemons on a host of the lab, with files of their own: nothing of the host's is changed. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Child, stopChild } from '../../src/drill/lab/process.js';
import { type Bench, settled } from '../net/daemons.js';
import { REAL_TIME_PRIORITY } from './peer.js';

/**
 * FRR looks its group up by name, and keeps a folder for each process id under /var/tmp that it never removes and, met
 * again by a later process of that id, complains about. Both are files of this run.
 */
const VTY_GROUP = 'frrvty:x:1992:root\n';
const WITH_FILES_OF_ITS_OWN = `mount --bind "$0" /etc/group && mount --bind "$1" /var/tmp && shift && exec chrt -r ${REAL_TIME_PRIORITY} "$@"`;
let starts = 0;

export interface FrrDaemons {
  /** What both said so far. */
  readonly output: readonly string[];
  /** The daemon beside zebra. */
  readonly daemon: Child;
  /** Gives the daemon commands of its terminal, one after the other; resolves with what it answers. */
  command(...commands: readonly string[]): Promise<string>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** zebra, and `program` with `configuration` beside it. */
export async function startFrrDaemons(
  bench: Bench,
  host: string,
  program: string,
  configuration: string,
): Promise<FrrDaemons> {
  starts += 1;
  const output: string[] = [];
  const take = (line: string) => output.push(line);
  const folder = join(bench.folder, `frr-${starts}`);
  await bench.lab.run(host, ['mkdir', '-p', folder]);
  const zebraFile = await bench.file(`zebra-${starts}.conf`, 'log stdout\n');
  const file = await bench.file(`${program}-${starts}.conf`, configuration);
  const temporary = join(folder, 'tmp');
  await bench.lab.run(host, ['mkdir', temporary]);
  const groupFile = await bench.file(`group-${starts}`, `${readFileSync('/etc/group', 'utf8')}${VTY_GROUP}`);
  const start = (name: string, from: string): Child => {
    const sockets = ['-z', join(folder, 'zserv.api'), '--vty_socket', folder, '-P', '0'];
    const argv = ['-u', 'root', '-g', 'root', '-f', from, '-i', join(folder, `${name}.pid`), ...sockets];
    if (name === 'bfdd') argv.push('--bfdctl', join(folder, 'bfdd.sock'));
    const files = [groupFile, temporary];
    const command = ['unshare', '--mount', 'sh', '-c', WITH_FILES_OF_ITS_OWN, ...files, name, ...argv];
    return bench.lab.start(host, command, { onLine: take, onErrorLine: take });
  };
  const zebra = start('zebra', zebraFile);
  await settled(
    () => `zebra listens: ${output.join('\n')}`,
    async () => zebra.running && (await bench.lab.run(host, ['ls', folder])).includes('zserv.api'),
  );
  const daemon = start(program, file);
  return {
    output,
    daemon,
    command: (...commands) => askTerminal(join(folder, `${program}.vty`), ['enable', ...commands]),
    stop: async () => {
      await stopChild(daemon);
      await stopChild(zebra);
    },
    kill: async () => {
      daemon.kill('SIGKILL');
      zebra.kill('SIGKILL');
      await Promise.all([daemon.exited, zebra.exited]);
    },
  };
}

/** An answer ends with three zero bytes and a status (lib/vty.c, vtysh_read). */
const END_OF_ANSWER = Buffer.of(0, 0, 0);

/** As vtysh does, without its password: commands end with a zero byte. */
function askTerminal(path: string, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const waiting = [...commands];
    let answer = '';
    let bytes = Buffer.of();
    const socket = connect(path);
    const next = (): void => {
      const command = waiting.shift();
      if (command === undefined) {
        socket.destroy();
        return resolve(answer);
      }
      socket.write(`${command}\0`);
    };
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`${path} ended its answer: ${answer}`)));
    socket.on('connect', next);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf(END_OF_ANSWER);
      if (end < 0 || bytes.length < end + END_OF_ANSWER.length + 1) return;
      answer += bytes.subarray(0, end).toString();
      const status = bytes[end + END_OF_ANSWER.length];
      bytes = Buffer.of();
      if (status === 0) return next();
      socket.destroy();
      reject(new Error(`${path} refuses a command (${status}): ${answer}`));
    });
  });
}
