/** FRR's vrrpd with its zebra. It works on a macvlan device with the virtual MAC address, which somebody else makes. */
import { spawnSync } from 'node:child_process';
import { type Bench, settled } from '../net/daemons.js';
import type { InteropCase } from './cases.js';
import { startFrrDaemons } from './frr.js';
import { faultsIn, type StartPeer, VIRTUAL_ADDRESSES, VIRTUAL_MACS, VRID } from './peer.js';

const DEVICE = 'vrrp51';
/** Whether this kernel has the devices that FRR needs. */
export function hasMacvlan(): boolean {
  const script = 'ip link add v0 type veth peer name v1 && ip link add m0 link v0 type macvlan mode private';
  return spawnSync('unshare', ['--net', 'sh', '-c', script]).status === 0;
}

function configuration({ version, family, intervalMs }: InteropCase): string {
  const keyword = family === 'ipv4' ? 'ip' : 'ipv6';
  const addresses = VIRTUAL_ADDRESSES[family].map((address) => address.split('/')[0]);
  return [
    'debug vrrp',
    'log stdout',
    'interface eth0',
    ` vrrp ${VRID} version ${version}`,
    ` vrrp ${VRID} priority 100`,
    ` no vrrp ${VRID} preempt`,
    ` vrrp ${VRID} advertisement-interval ${intervalMs}`,
    ...addresses.map((address) => ` vrrp ${VRID} ${keyword} ${address}`),
    '',
  ].join('\n');
}

/** The device and its addresses, as FRR's documentation asks for them. */
async function makeDevice(bench: Bench, { family }: InteropCase): Promise<void> {
  const ip = (...words: string[]) => bench.lab.run('lb2', ['ip', ...words]);
  const present = await ip('link', 'show', DEVICE).catch(() => '');
  if (present !== '') return;
  await ip('link', 'add', DEVICE, 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge');
  await ip('link', 'set', 'dev', DEVICE, 'address', VIRTUAL_MACS[family]);
  for (const address of VIRTUAL_ADDRESSES[family]) {
    await ip('addr', 'add', address, 'dev', DEVICE, ...(family === 'ipv6' ? ['nodad'] : []));
  }
  // Or eth0 answers for the device's addresses, too.
  await bench.lab.run('lb2', ['sysctl', '-qw', 'net.ipv4.conf.eth0.arp_ignore=1']);
  await ip('link', 'set', 'dev', DEVICE, 'up');
}

export const startFrr: StartPeer = async (bench, which) => {
  await makeDevice(bench, which);
  const frr = await startFrrDaemons(bench, 'lb2', 'vrrpd', configuration(which));
  const { output, daemon } = frr;
  const states = /Backup|Master/;
  const family = which.family === 'ipv4' ? '[IPv4]' : '[IPv6]';
  const stateLine = () =>
    output.findLast((line) => line.includes(family) && / -> /.test(line) && states.test(line));
  await settled(
    () => `vrrpd runs: ${output.join('\n')}`,
    () => daemon.running && stateLine() !== undefined,
  );
  return {
    output,
    get state() {
      const last = stateLine()?.split(' -> ')[1] ?? '';
      return last.startsWith('Master') ? 'master' : last.startsWith('Backup') ? 'backup' : 'unknown';
    },
    complaints: () =>
      faultsIn(
        output,
        /Received VRRP Advertisement|Failed to find address to bind|chown|MPLS|Refusing to start|No such|vty|no interface|disregarding|error and is/i,
      ),
    stop: () => frr.stop(),
    kill: async () => {
      await frr.kill();
      // A crash leaves the device as master had it; a new start finds it as at the first.
      await bench.lab.run('lb2', ['ip', 'link', 'del', DEVICE]);
    },
  };
};
