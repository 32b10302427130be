/** What a takeover sends, by one native call: see decision 0021. */
import { encodeMessage, NLM_F_ACK, NLM_F_REQUEST, NLMSG_NOOP } from '../../netlink/message.js';
import type { OpenVolley, Shot } from '../../runtime/ports.js';
import { native, type SocketHandle } from '../sockets/native.js';
import { KERNEL, NetlinkSocket } from './socket.js';

/** Acknowledgements of all addresses that a virtual router may have (RFC 9568 section 5.2.4: 255). */
const RECEIVE_BUFFER_BYTES = 262_144;

/** Its answers are read by the native call. */
export class VolleyNetlinkSocket extends NetlinkSocket {
  /** `protocol` as NETLINK_ROUTE. Throws with the kernel's `code`. */
  constructor(protocol: number) {
    super(protocol, [], RECEIVE_BUFFER_BYTES);
    this.unref();
    // It is told by the refusal of the volley.
    this.on('error', () => {});
  }

  /** A datagram of requests, each with NLM_F_ACK. */
  shot(message: Uint8Array): Shot {
    return this.shotAt(message, KERNEL);
  }

  /** Sends what the kernel acknowledges and does nothing for: the call's code is in memory afterwards. */
  rehearse(): void {
    const message = encodeMessage(NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, 1, new Uint8Array(0));
    openVolley([this.shot(message)])();
  }
}

/** What was refused is done and told by the ordinary way, which follows. */
export const openVolley: OpenVolley = (shots) => {
  const sockets = shots.map(({ socket }) => socket as SocketHandle);
  const messages = shots.map(({ message }) => message);
  const addresses = shots.map(({ address }) => address);
  const addon = native();
  return () => {
    try {
      addon.volley(sockets, messages, addresses);
      return true;
    } catch {
      return false;
    }
  };
};
