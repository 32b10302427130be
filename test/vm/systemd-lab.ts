/** What the tests under systemd share: two segments with a client and a real server, and a director's file. */
import type { Vm } from '../../src/drill/vm/session.js';

export const VIP = '10.9.0.100';

/** Listens on port 80 of the real server and sends back what it gets. */
const ECHO = "require('net').createServer((c) => c.on('error', () => {}).pipe(c)).listen(80)";

const NETWORK = `set -e
for n in 0 1; do ip link add br$n type bridge; ip link set br$n up; done
ip addr add 10.9.0.1/24 dev br0
ip netns add real
ip link add r0 type veth peer name eth0 netns real
ip link set r0 up master br1
ip -n real addr add 10.8.0.2/24 dev eth0
ip -n real link set eth0 up
ip -n real route add default via 10.8.0.100
ip netns exec real setsid "$0" -e "${ECHO}" >/dev/null 2>&1 &`;

/** The client is the guest itself, 10.9.0.1; the real server 10.8.0.2 is behind the directors (LVS-NAT). */
export async function buildNetwork(vm: Vm): Promise<void> {
  await done(vm, ['sh', '-c', NETWORK, process.execPath]);
}

/** The namespace of a director, without interfaces. */
export async function addHost(vm: Vm, name: string): Promise<void> {
  await done(vm, ['sh', '-c', `ip netns add ${name} && ip -n ${name} link set lo up`]);
}

/**
 * Gives a director its interface eth0 (outside, `10.9.0.NUMBER`) or eth1 (inside, `10.8.0.NUMBER`). With a broadcast
 * address: systemd-networkd 252 sets one that lacks it again and again, and answers nobody meanwhile.
 */
export async function plug(vm: Vm, name: string, which: 0 | 1, number: number): Promise<void> {
  const script = `set -e
ip link add ${name}-${which} type veth peer name eth${which} netns ${name}
ip link set ${name}-${which} up master br${which}
ip -n ${name} addr add 10.${which === 0 ? 9 : 8}.0.${number}/24 brd + dev eth${which}
ip -n ${name} link set eth${which} up`;
  await done(vm, ['sh', '-c', script]);
}

async function done(vm: Vm, command: readonly string[]): Promise<void> {
  const { status, stderr } = await vm.run(command);
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
}

/** Of a pair. `more` is YAML below `vrrp`. */
export const pairConfig = (track: string, more: string = ''): string => `version: 1
directors:
  lb1: { priority: 150, address: 10.8.0.11 }
  lb2: { priority: 100, address: 10.8.0.12 }
vrrp:
  instances:
    - { name: outside, interface: eth0, virtual_router_id: 51, preempt: false, addresses: [${VIP}/24]${track} }
    - { name: inside, interface: eth1, virtual_router_id: 52, preempt: false, addresses: [10.8.0.100/24] }
  sync_groups:
    - { name: pair, instances: [outside, inside] }
${more}connection_sync: { interface: eth1, id: 51 }
virtual_servers:
  - name: web
    address: ${VIP}
    port: 80
    protocol: tcp
    scheduler: wrr
    forwarding: nat
    health_check: { tcp: {}, interval: 2s, timeout: 1s }
    real_servers:
      - { address: 10.8.0.2, port: 80, weight: 1 }
`;
