/** The drill's end of a real server program. */
import { nativeFile } from '../../io/sockets/native.js';
import { DrillError } from '../errors.js';
import type { Lab } from './lab.js';
import { type Child, stopChild } from './process.js';
import type { Host } from './topology.js';

/** On an emulated processor that other labs share. */
const START_TIMEOUT_MS = 60_000;

/** Starts the real server of a host and resolves when it listens on all its ports. */
export function startRealServer(lab: Lab, host: Host): Promise<Child> {
  const ports = [
    ...(host.httpPorts ?? []).flatMap((port) => ['--http', String(port)]),
    ...(host.tcpPorts ?? []).flatMap((port) => ['--tcp', String(port)]),
    ...(host.udpPorts ?? []).flatMap((port) => ['--udp', String(port)]),
  ];
  return new Promise((resolve, reject) => {
    const errors: string[] = [];
    const child = lab.start(host.name, [nativeFile('load'), 'serve', host.name, ...ports], {
      onLine: () => {
        clearTimeout(timer);
        resolve(child);
      },
      onErrorLine: (line) => errors.push(line),
    });
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
