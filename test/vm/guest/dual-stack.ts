/**
 * The topologies of NAT with both address families, and with addresses that the one director has without VRRP: what tests of the
 * table alone begin with.
 */
import type { Lab } from '../../../src/drill/lab/lab.js';

export const VIP = '192.168.1.253';
/** Of a virtual server on all ports. */
export const ALL_PORTS_VIP = '192.168.1.252';
export const VIP6 = '2001:db8:1::253';

/** Lines of `ip -batch` on a host. */
export function ip(lab: Lab, host: string, ...lines: readonly string[]): Promise<string> {
  return lab.run(host, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
}

export async function addressDualStack(lab: Lab): Promise<void> {
  await ip(lab, 'client', 'addr add 2001:db8:1::2/64 dev eth0 nodad');
  await ip(
    lab,
    'lb1',
    `addr add ${VIP}/24 dev eth0`,
    `addr add ${ALL_PORTS_VIP}/24 dev eth0`,
    `addr add ${VIP6}/64 dev eth0 nodad`,
    'addr add 10.10.10.1/24 dev eth1',
    'addr add fd00::1/64 dev eth1 nodad',
  );
}

/** The real servers answer over IPv6 by the director. */
export async function addressRealServers(lab: Lab): Promise<void> {
  await ip(lab, 'rs1', 'addr add fd00::2/64 dev eth0 nodad', 'route add default via fd00::1');
  await ip(lab, 'rs2', 'addr add fd00::3/64 dev eth0 nodad', 'route add default via fd00::1');
}

/** Gives packets to these ports of the VIP the firewall mark 7, in a table that is not ours. */
export async function mark(lab: Lab, ports: readonly number[]): Promise<void> {
  const ruleset = `table ip marking {
  chain prerouting {
    type filter hook prerouting priority mangle
    ip daddr ${VIP} tcp dport { ${ports.join(', ')} } meta mark set 7
  }
}`;
  await lab.run('lb1', ['nft', '-f', '-'], ruleset);
}
