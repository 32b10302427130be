/** VRRP packets within UDP, for networks that drop IP protocol 112. Other implementations do not speak it. */
import { isLinkLocal } from '../../util/ip-address.js';
import { MAX_INSTRUCTIONS, NOTHING, programBytes } from '../sockets/bpf.js';
import { UdpSocket } from '../sockets/udp-socket.js';
import { type FilterRoute, TO_SECOND, vrrpDivision, vrrpFilter } from './filter.js';
import { type Carrier, divideByFilters, type OpenCarrier, prepareSending } from './socket-transport.js';
import type { VrrpRoute } from './transport-route.js';

type Open = () => UdpSocket;

/** Peers may be beyond routers. */
const ANY_TTL = 0;

export function openUdp(port: number): OpenCarrier {
  return (route, keep) => {
    const open = () => keep(new UdpSocket({ type: route.family === 'ipv6' ? 'udp6' : 'udp4', port }));
    const { group } = route;
    const sockets =
      group === undefined
        ? openToPeers(open, { ...route, minTtl: ANY_TTL })
        : openToGroup(open, route, group);
    return { ...sockets, tellsTtl: group !== undefined, payloadOf: (packet) => packet };
  };
}

type Sockets = Pick<Carrier, 'sender' | 'expected' | 'others' | 'divide'>;

/**
 * Two sockets at one port, between which a program in the kernel chooses. The first is bound as if it were alone, so that a
 * port that somebody else has is refused.
 */
function openToPeers(open: Open, route: VrrpRoute & FilterRoute): Sockets {
  const { source } = route;
  const device = isLinkLocal(source) ? route.interface : undefined;
  const [expected, others] = [open(), open()];
  for (const ear of [expected, others]) prepareSending(ear, device, source);
  expected.bind(source);
  for (const ear of [expected, others]) ear.sharePort();
  others.bind(source);
  expected.attachDivision(programBytes(TO_SECOND));
  return {
    sender: expected,
    expected,
    others,
    divide: (depth, routers) => {
      const program = vrrpDivision(depth, route, routers);
      if (program.length > MAX_INSTRUCTIONS) return false;
      expected.attachDivision(programBytes(program));
      return true;
    },
  };
}

/** Each of two sockets of the group gets every packet; a third speaks, from the address that the packets are to come from. */
function openToGroup(open: Open, route: VrrpRoute & FilterRoute, group: string): Sockets {
  const sender = open();
  prepareSending(sender, route.interface, route.source);
  sender.attachFilter(programBytes(NOTHING));
  sender.bind(route.source);
  const [expected, others] = [open(), open()];
  expected.attachFilter(programBytes(NOTHING));
  for (const ear of [expected, others]) {
    ear.shareGroup();
    ear.bindToDevice(route.interface);
    ear.setJoinedGroupsOnly();
    ear.addMembership(group, route.interface);
    // Bound to the group: what is sent to an address of this host at this port is not for us.
    ear.bind(group);
  }
  return {
    sender,
    expected,
    others,
    divide: (depth, routers) =>
      divideByFilters({ expected, others }, (ear) => vrrpFilter(ear, depth, route, routers, 'udp')),
  };
}
