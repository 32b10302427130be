import { type InteropCase, isVirtual } from './cases.js';
import { OWN_ADDRESSES, VIRTUAL_ADDRESSES, VRID } from './peer.js';

/** What our director reads as lb1 (`ours`) or lb2 (`peer`). */
export function ourFile(which: InteropCase, side: 'ours' | 'peer'): string {
  const { peer, version, family, transport, intervalMs } = which;
  const own = OWN_ADDRESSES[family];
  // keepalived 2.2.7 sends IPv6 unicast with a hop limit of 64.
  const minTtl = peer === 'keepalived' && family === 'ipv6' ? 64 : 255;
  const settings = [
    `advertisement_interval: ${intervalMs}ms`,
    'preempt: false',
    `virtual_mac: ${isVirtual(which, side)}`,
    `addresses: [${VIRTUAL_ADDRESSES[family].map((address) => `'${address}'`).join(', ')}]`,
    ...(version === 3 ? [] : [`version: ${version}`]),
    ...(transport === 'multicast'
      ? []
      : [`transport: { unicast: { lb1: '${own.lb1}', lb2: '${own.lb2}' }, min_ttl: ${minTtl} }`]),
  ];
  return `version: 1
directors:
  lb1: { priority: 150, address: 10.7.0.11 }
  lb2: { priority: 100, address: 10.7.0.12 }
vrrp:
  instances:
    - name: outside
      interface: eth0
      virtual_router_id: ${VRID}
      ${settings.join('\n      ')}
`;
}
