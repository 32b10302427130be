/** VRRP as raw IP protocol 112 on one interface (RFC 9568 sections 5.1.1 and 5.1.2), multicast or to named peers. */
import { ipv4Payload } from '../../vrrp/ipv4-header.js';
import { IP_PROTOCOL_VRRP } from '../../vrrp/packet.js';
import { NOTHING, programBytes } from '../sockets/bpf.js';
import { RawSocket } from '../sockets/raw-socket.js';
import { IPPROTO_IPV6, IPV6_FREEBIND } from '../sockets/socket-constants.js';
import { vrrpFilter } from './filter.js';
import { divideByFilters, type OpenCarrier, prepareSending } from './socket-transport.js';
import type { VrrpRoute } from './transport-route.js';

/** The kernel's minimum, for a socket that only sends. */
const NO_RECEIVE_BUFFER = 0;

export const openRaw: OpenCarrier = (route, keep) => {
  const { interface: interfaceName, family, group, source, sendInterface } = route;
  // RFC 3542 section 3.1: the kernel leaves checksums within raw IPv6 packets alone, ICMPv6 excepted.
  const open = () =>
    keep(new RawSocket({ type: family === 'ipv6' ? 'raw6' : 'raw4', protocol: IP_PROTOCOL_VRRP }));
  const expected = open();
  const others = open();
  const sender = group !== undefined && sendInterface !== interfaceName ? open() : expected;
  if (sender === expected) prepareSending(sender, interfaceName, source);
  else prepareVirtualMacSender(sender, route);
  expected.attachFilter(programBytes(NOTHING));
  for (const ear of [expected, others]) hear(ear, route);
  return {
    sender,
    expected,
    others,
    tellsTtl: true,
    payloadOf: family === 'ipv4' ? ipv4Payload : (packet) => packet,
    divide: (depth, routers) =>
      divideByFilters({ expected, others }, (ear) => vrrpFilter(ear, depth, route, routers)),
  };
};

function hear(socket: RawSocket, { interface: interfaceName, family, group, source }: VrrpRoute): void {
  socket.bindToDevice(interfaceName);
  socket.setJoinedGroupsOnly();
  if (group !== undefined) socket.addMembership(group, interfaceName);
  // A raw IPv4 socket with an address hears no multicast; a raw IPv6 one does (raw_v6_match) and needs it as source.
  if (group !== undefined && family === 'ipv4') socket.bind();
  else socket.bind(source);
}

/** Sends by the macvlan device from the address of its parent, as RFC 9568 section 7.2 has it; receives nothing. */
function prepareVirtualMacSender(socket: RawSocket, { sendInterface, family, source }: VrrpRoute): void {
  prepareSending(socket, sendInterface, source);
  socket.setRecvBufferSize(NO_RECEIVE_BUFFER);
  if (family === 'ipv4') return;
  // The link-local address is the parent's: the device itself does not hold it.
  socket.setIntOption(IPPROTO_IPV6, IPV6_FREEBIND, 1);
  socket.bind(source);
}
