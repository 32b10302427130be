/** What a takeover encodes, encoded before there is one: see runtime/election/rehearsal.ts. */
import type { VrrpInstance } from '../../config/model.js';
import { guardianOrders } from '../../runtime/guardian/guardian-orders.js';
import type { Announcer } from '../../runtime/ports.js';
import { knownAddressBytes } from '../../util/ip-address.js';
import { gratuitousArp } from '../../vrrp/gratuitous-arp.js';
import { unsolicitedNeighbourAdvertisement } from '../../vrrp/neighbour-advertisement.js';
import { encodeOrders } from './guardian-orders.js';

const ROUNDS = 5;
const NO_MAC = new Uint8Array(6);
/** Shorter than any advertisement: nobody gets it. */
const PAYLOAD = new Uint8Array(8);

/** Encodes the guardian's orders and one announcement for each of `instances`. Sends nothing beyond `lo`. */
export function rehearseEncoding(instances: readonly VrrpInstance[], announcer: Announcer): void {
  for (let round = 0; round < ROUNDS; round++) {
    for (const config of instances) {
      const ipv6 = config.family === 'ipv6';
      const [source, destination] = ipv6 ? ['fe80::1', 'ff02::12'] : ['192.0.2.1', '224.0.0.18'];
      encodeOrders(
        guardianOrders([{ config, source, packets: [{ destination, payload: PAYLOAD }] }]),
        () => 1,
      );
      const bytes = knownAddressBytes(source);
      if (ipv6) unsolicitedNeighbourAdvertisement(NO_MAC, bytes);
      else gratuitousArp(NO_MAC, bytes);
    }
    // An interface without neighbours: it goes all the way but for the frame.
    announcer.announce([{ address: '127.0.0.1', prefixLength: 8, interface: 'lo' }]);
  }
}
