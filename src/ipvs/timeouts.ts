/** Arithmetic of the kernel's connection timeouts. */
import type { IpvsTimeouts } from './model.js';

export function sameTimeouts(one: IpvsTimeouts, other: IpvsTimeouts): boolean {
  return (
    one.tcpSeconds === other.tcpSeconds &&
    one.tcpFinSeconds === other.tcpFinSeconds &&
    one.udpSeconds === other.udpSeconds
  );
}

/** Those that are 0 in `wanted` are as in `before`. */
export function timeoutsToBe(wanted: IpvsTimeouts, before: IpvsTimeouts): IpvsTimeouts {
  return {
    tcpSeconds: wanted.tcpSeconds || before.tcpSeconds,
    tcpFinSeconds: wanted.tcpFinSeconds || before.tcpFinSeconds,
    udpSeconds: wanted.udpSeconds || before.udpSeconds,
  };
}
