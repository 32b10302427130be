/** docs/INTEROP.md from the results. */
import { type InteropCase, PEERS, type PeerName } from './cases.js';
import { type CaseResult, FAILOVERS } from './run-case.js';

export interface PeerResults {
  readonly peer: PeerName;
  /** Version as the program tells it. */
  readonly version: string;
  readonly kernel: string;
  readonly results: readonly CaseResult[];
}

const TITLES: Readonly<Record<PeerName, string>> = {
  ours: 'Another director of ours',
  keepalived: 'keepalived',
  frr: "FRR's vrrpd",
};
const SIDES = { none: 'no', both: 'both', ours: 'ours', peer: "the peer's" } as const;

function intervalText({ intervalMs }: InteropCase): string {
  return intervalMs >= 1000 ? `${intervalMs / 1000} s` : `${intervalMs} ms`;
}

function row({ case: which, takeoverMs, complaints, failure }: CaseResult): string {
  const cells = [
    `VRRPv${which.version}`,
    which.family === 'ipv4' ? 'IPv4' : 'IPv6',
    which.transport,
    SIDES[which.virtualMac],
    intervalText(which),
    ...FAILOVERS.map((name) => (takeoverMs[name] === undefined ? '-' : `${takeoverMs[name]} ms`)),
    complaints.length === 0 ? 'none' : String(complaints.length),
    failure === undefined ? 'passed' : 'FAILED',
  ];
  return `| ${cells.join(' | ')} |`;
}

function section({ peer, version, kernel, results }: PeerResults): string {
  const head = [
    'protocol',
    'family',
    'transport',
    'virtual MAC',
    'interval',
    ...FAILOVERS,
    'complaints',
    'result',
  ];
  return [
    `## ${TITLES[peer]}`,
    '',
    `${version}, on Linux ${kernel}.`,
    '',
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...results.map(row),
    '',
  ].join('\n');
}

export function documentText(all: readonly PeerResults[]): string {
  const ordered = PEERS.flatMap((peer) => all.filter((one) => one.peer === peer));
  return `# Interoperability

\`npm run interop\` makes this page: it runs our director and another implementation, or another of ours, as one pair, on real
kernels. Each row is one course: ours is master and the peer joins; ours is stopped, and the peer takes over; ours comes back and stays
backup; the peer is stopped, and ours takes over; the peer joins; ours is killed (SIGKILL); ours comes back; the peer is
killed. So both have been in both roles, and have taken over from the other, after a farewell and without one (our
guardian says it for a killed director).

The cells say how long it took from the signal until the other side said that it was master, looked at every 50 ms by
programs that two pairs at a time and all else on the machine keep waiting, so that single cells may be seconds too long: they
prove that it works and nothing of its speed; [BENCHMARKS.md](BENCHMARKS.md) has what clients see. "Complaints" counts the lines
in which one side finds fault with the other's packets.

"Virtual MAC" says whose addresses have the virtual router's MAC address (RFC 9568 section 7.3): ours by \`virtual_mac: true\`,
keepalived's by \`use_vmac\`, FRR's always. There a client, too, reaches the address after every change of roles, with one
MAC address or the other in its neighbour cache as the side that is master has it.

${ordered.map(section).join('\n')}
A virtual MAC address needs macvlan; on a kernel without it all of this runs inside the VM, where everything takes longer.
`;
}
