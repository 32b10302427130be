/**
 * Forged VRRP, as much of it as told: `flood-source.js INTERFACE PACKETS_PER_SECOND SECONDS KIND[,KIND] [UDP_PORT DESTINATION]`.
 * Prints a line when it begins and, at the end, how many packets the kernel took in how many milliseconds.
 */
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';
import { monotonicMs } from './clock.js';
import { FLOOD_KINDS, type FloodKind, GROUP, isFloodKind, USUAL_KINDS, withinUdp } from './flood-kinds.js';

/** IPPROTO_RAW: the sender writes the IP header (raw(7)). */
const RAW = 255;
/** Different packets. */
const DIFFERENT = 4096;
const BATCH = 64;
/** The most that one invocation sends, whatever it is told. */
const MAX_PER_SECOND = 200_000;
const MAX_SECONDS = 600;

interface Flood {
  readonly device: string;
  readonly perSecond: number;
  readonly seconds: number;
  readonly kinds: readonly FloodKind[];
  /** Undefined: as IP protocol 112. */
  readonly udpPort: number | undefined;
  readonly destination: string;
}

async function main({ device, perSecond, seconds, kinds, udpPort, destination }: Flood): Promise<void> {
  if (!(perSecond >= 1 && perSecond <= MAX_PER_SECOND && seconds >= 1 && seconds <= MAX_SECONDS))
    throw new RangeError(`at most ${MAX_PER_SECOND} packets a second for ${MAX_SECONDS} s`);
  const socket = new RawSocket({ type: 'raw4', protocol: RAW });
  socket.bindToDevice(device);
  socket.setMulticastInterface(device);
  socket.setMulticastLoopback(false);
  const packets: Uint8Array[] = [];
  for (let n = 0; n < DIFFERENT; n++) {
    const kind = kinds[n % kinds.length];
    if (kind === undefined) continue;
    const packet = FLOOD_KINDS[kind](n);
    packets.push(udpPort === undefined ? packet : withinUdp(packet, udpPort, destination));
  }
  const batches = Array.from({ length: DIFFERENT / BATCH }, (_, i) =>
    packets.slice(i * BATCH, (i + 1) * BATCH),
  );
  const to = Array.from({ length: BATCH }, () => socket.address(destination));
  console.log('begins');
  const startMs = monotonicMs();
  let sent = 0;
  let refused = 0;
  for (let now = startMs; now - startMs < seconds * 1000; now = monotonicMs()) {
    const due = ((now - startMs) / 1000) * perSecond;
    while (sent + BATCH <= due && monotonicMs() - now < 20) {
      try {
        socket.sendAll(batches[(sent / BATCH) % batches.length] ?? [], to);
      } catch {
        refused += 1;
      }
      sent += BATCH;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.log(JSON.stringify({ sent, refused, ms: monotonicMs() - startMs }));
  socket.close();
}

const [device = '', perSecond, seconds, kinds = '', udpPort, destination = GROUP] = process.argv.slice(2);
const chosen = kinds === '' ? USUAL_KINDS : kinds.split(',');
await main({
  device,
  perSecond: Number(perSecond),
  seconds: Number(seconds),
  kinds: chosen.filter(isFloodKind),
  udpPort: udpPort === undefined ? undefined : Number(udpPort),
  destination,
});
