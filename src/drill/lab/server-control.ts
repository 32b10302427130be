/** The drill's end of a real server program. */
import { programFile } from '../../program.js';
import { DrillError } from '../errors.js';
import type { Lab } from './lab.js';
import { type Child, LAST_IN_LINE, stopChild } from './process.js';
import type { Host } from './topology.js';

/** Node's own start, last in line for an emulated processor that other labs share. */
const START_TIMEOUT_MS = 180_000;

/** Starts the real server of a host and resolves when it listens on all its ports. */
export function startRealServer(lab: Lab, host: Host): Promise<Child> {
  const program = programFile('drill/lab/real-server.js');
  const ports = [
    ...(host.httpPorts ?? []).flatMap((port) => ['--http', String(port)]),
    ...(host.tcpPorts ?? []).flatMap((port) => ['--tcp', String(port)]),
    ...(host.udpPorts ?? []).flatMap((port) => ['--udp', String(port)]),
  ];
  return new Promise((resolve, reject) => {
    const errors: string[] = [];
    const child = lab.start(
      host.name,
      [...LAST_IN_LINE, process.execPath, program, '--name', host.name, ...ports],
      {
        onLine: () => {
          clearTimeout(timer);
          resolve(child);
        },
        onErrorLine: (line) => errors.push(line),
      },
    );
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new DrillError('ERR_DRILL_PROCESS', `real server ${host.name}: ${why}`));
    };
    const timer = setTimeout(() => {
      fail('did not listen in time');
      void stopChild(child, 'SIGKILL');
    }, START_TIMEOUT_MS);
    void child.exited.then(() => fail(`ended: ${errors.slice(0, 5).join(' ')}`));
  });
}
