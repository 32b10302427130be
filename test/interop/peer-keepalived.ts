import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stopChild } from '../../src/drill/lab/process.js';
import { isAlive, settled } from '../net/daemons.js';
import { type InteropCase, isVirtual } from './cases.js';
import {
  faultsIn,
  OWN_ADDRESSES,
  REAL_TIME_PRIORITY,
  type StartPeer,
  VIRTUAL_ADDRESSES,
  VRID,
} from './peer.js';

const DEVICE = 'vrrp51';
let starts = 0;

function configuration(which: InteropCase): string {
  const { version, family, transport, intervalMs } = which;
  const virtual = isVirtual(which, 'peer');
  const own = OWN_ADDRESSES[family];
  const unicast =
    transport === 'unicast' ? `unicast_src_ip ${own.lb2}\n  unicast_peer {\n    ${own.lb1}\n  }` : '';
  return `global_defs {
  vrrp_version ${version}
  vrrp_garp_master_delay 1
  vrrp_rt_priority ${REAL_TIME_PRIORITY}
}
vrrp_instance outside {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id ${VRID}
  priority 100
  advert_int ${intervalMs / 1000}
  ${unicast}
  ${virtual ? `use_vmac ${DEVICE}` : ''}
  virtual_ipaddress {
    ${VIRTUAL_ADDRESSES[family].map((address) => (virtual ? address : `${address} dev eth0`)).join('\n    ')}
  }
}
`;
}

export const startKeepalived: StartPeer = async (bench, which) => {
  starts += 1;
  const file = await bench.file(`keepalived-${starts}.conf`, configuration(which));
  const pidFile = (name: string) => join(bench.folder, `keepalived-${starts}-${name}.pid`);
  const vrrpPidFile = pidFile('vrrp');
  const output: string[] = [];
  const take = (line: string) => output.push(line);
  const argv = ['--vrrp', '-R', '-n', '-l', '-D', '-G', '-f', file, '-p', pidFile('main'), '-r', vrrpPidFile];
  const child = bench.lab.start('lb2', ['keepalived', ...argv], { onLine: take, onErrorLine: take });
  await settled(
    () => `keepalived runs: ${output.join('\n')}`,
    () => child.running && output.some((line) => line.includes('Entering BACKUP STATE')),
  );
  const vrrp = Number(readFileSync(vrrpPidFile, 'utf8'));
  return {
    output,
    get state() {
      const last = output.findLast((line) => line.includes(' STATE')) ?? '';
      return last.includes('MASTER STATE') ? 'master' : last.includes('BACKUP STATE') ? 'backup' : 'unknown';
    },
    // It logs its own settings at the start, some of these words among them.
    complaints: () => faultsIn(output, /^.*(?:Registering|Script user|config|Assigned address)/i),
    stop: async () => {
      await stopChild(child);
    },
    kill: async () => {
      // Stopped first, so that neither can clean up for the other.
      child.kill('SIGSTOP');
      process.kill(vrrp, 'SIGKILL');
      child.kill('SIGKILL');
      await child.exited;
      await settled('keepalived is gone', () => !isAlive(vrrp));
      const left = isVirtual(which, 'peer')
        ? [['link', 'del', DEVICE]]
        : VIRTUAL_ADDRESSES[which.family].map((address) => ['addr', 'del', address, 'dev', 'eth0']);
      for (const words of left) await bench.lab.run('lb2', ['ip', ...words]).catch(() => '');
    },
  };
};
