/**
 * The other director, in a network namespace of its own: opens sockets and sends packets as lines of JSON on
 * stdin say, and tells on stdout what it hears. Knows no protocol.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { RawSocket } from '../../../src/io/sockets/raw-socket.js';

export type PeerCommand =
  | {
      do: 'raw';
      id: string;
      type: 'raw4' | 'raw6';
      interface: string;
      group: string | undefined;
      /** TTL or hop limit of what it sends, 255 unless given. */
      hops?: number;
    }
  | {
      do: 'udp';
      id: string;
      type: 'udp4' | 'udp6';
      port: number;
      address: string;
      interface: string;
      group: string | undefined;
    }
  | { do: 'send'; id: string; hex: string; to: string; port: number };

/** What it heard; without `from` it answers a command. */
export interface PeerReport {
  id: string;
  from?: string;
  hops?: number;
  hex?: string;
}

const VRRP_PROTOCOL = 112;
const HOPS = 255;
const sends = new Map<string, (payload: Buffer, to: string, port: number) => void>();
const tell = (report: PeerReport): boolean => process.stdout.write(`${JSON.stringify(report)}\n`);

function openRaw({
  id,
  type,
  interface: name,
  group,
  hops = HOPS,
}: Extract<PeerCommand, { do: 'raw' }>): void {
  const socket = new RawSocket({ type, protocol: VRRP_PROTOCOL });
  socket.bindToDevice(name);
  socket.setMulticastTTL(hops);
  socket.setTTL(hops);
  socket.setMulticastLoopback(false);
  socket.setMulticastInterface(name);
  if (group !== undefined) socket.addMembership(group, name);
  socket.on('message', (bytes, { address, hopLimit }) => {
    const payload = type === 'raw4' ? bytes.subarray(20) : bytes;
    tell({ id, from: address, hops: hopLimit, hex: Buffer.from(payload).toString('hex') });
  });
  socket.bind();
  sends.set(id, (payload, to) => socket.send(payload, to));
  tell({ id });
}

function openUdp(command: Extract<PeerCommand, { do: 'udp' }>): void {
  const { id, type, port, address, group, interface: name } = command;
  const socket = createSocket({ type, reuseAddr: true });
  socket.on('message', (bytes, { address: from }) => tell({ id, from, hex: bytes.toString('hex') }));
  socket.bind(port, address, () => {
    if (group !== undefined) {
      socket.addMembership(group, type === 'udp6' ? `::%${name}` : '10.9.0.2');
      socket.setMulticastInterface(type === 'udp6' ? `::%${name}` : '10.9.0.2');
      socket.setMulticastTTL(HOPS);
      socket.setMulticastLoopback(false);
    }
    sends.set(id, (payload, to, toPort) => socket.send(payload, toPort, to));
    tell({ id });
  });
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command: PeerCommand = JSON.parse(line);
    if (command.do === 'raw') openRaw(command);
    else if (command.do === 'udp') openUdp(command);
    else sends.get(command.id)?.(Buffer.from(command.hex, 'hex'), command.to, command.port);
  })
  .on('close', () => process.exit(0));
tell({ id: 'ready' });
