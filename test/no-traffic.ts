/** Counters of a service or a destination that nobody asked yet. */
import type { TrafficStats } from '../src/ipvs/model.js';

export const NO_TRAFFIC: TrafficStats = {
  connections: 0,
  incomingPackets: 0,
  outgoingPackets: 0,
  incomingBytes: 0,
  outgoingBytes: 0,
  connectionsPerSecond: 0,
  incomingPacketsPerSecond: 0,
  outgoingPacketsPerSecond: 0,
  incomingBytesPerSecond: 0,
  outgoingBytesPerSecond: 0,
};
