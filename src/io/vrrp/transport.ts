/** VRRP's ways onto the wire. */
import type { OpenVrrpTransport } from '../../runtime/ports.js';
import { SocketTransport } from './socket-transport.js';
import { openRaw } from './transport-raw.js';
import { routeOf } from './transport-route.js';
import { openUdp } from './transport-udp.js';

/**
 * Opens the transport of a channel. Where the channel names no `local`, packets come from the interface's primary
 * IPv4 or link-local IPv6 address that is none of `avoid`: pass all virtual addresses of the configuration, for a
 * predecessor may have left some behind. The virtual MAC address is the sender's of raw multicast alone: unicast
 * and UDP leave by the interface itself.
 *
 * Opening and `send` throw an Error with the kernel's `code`, `errno` and `syscall`, or NoInterfaceAddressError;
 * errors that come later (ENETDOWN) go to `onError` and the transport stays open.
 */
export function vrrpTransportOpener(avoid: () => readonly string[]): OpenVrrpTransport {
  return (channel, onMessage, onError, onConflict) => {
    const { transport } = channel;
    const open = transport.kind === 'udp' ? openUdp(transport.port) : openRaw;
    return new SocketTransport(routeOf(channel, avoid()), open, onMessage, onError, onConflict);
  };
}
