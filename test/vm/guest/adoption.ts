/**
 * Runs inside the VM: fifty services of all kinds made by hand with `ipvsadm`, and a director that gets a file with the same.
 * Prints one JSON object, which test/vm/ipvs.test.ts judges.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../../../src/drill/wait.js';
import { fetchStatus } from '../../../src/io/operator/control-client.js';
import { MAIN } from '../../program.js';

export interface AdoptionReport {
  readonly services: number;
  /** `ipvsadm -Sn`: made by hand, with the director, and after it. */
  readonly byHand: string;
  readonly adopted: string;
  readonly left: string;
  /** Changing messages by the director's log, and those after an order for one weight. */
  readonly changes: readonly string[];
  readonly ordered: readonly string[];
}

interface Kind {
  /** Keys of a virtual server, ADDRESS and MARK for its own. */
  readonly keys: string;
  /** What a person types: the service, and its real servers, behind `-A`, `-a`. */
  readonly service: string;
  readonly options?: string;
  readonly reals: readonly string[];
}

const NAT = 'forwarding: nat, real_servers: [{ address: 10.0.0.2 }, { address: 10.0.0.3, weight: 3 }]';
const two = (port: number): string[] => [`-r 10.0.0.2:${port} -m -w 1`, `-r 10.0.0.3:${port} -m -w 3`];
const TCP = '-t ADDRESS:80';

const KINDS: readonly Kind[] = [
  { keys: `port: 80, scheduler: rr, ${NAT}`, service: TCP, options: '-s rr', reals: two(80) },
  { keys: `port: 80, ${NAT}`, service: TCP, reals: two(80) },
  { keys: `port: 53, protocol: udp, ${NAT}`, service: '-u ADDRESS:53', reals: two(53) },
  { keys: `port: 9, protocol: sctp, ${NAT}`, service: '--sctp-service ADDRESS:9', reals: two(9) },
  { keys: `fwmark: MARK, ${NAT}`, service: '-f MARK', reals: two(0) },
  {
    keys: 'fwmark: MARK, family: ipv6, forwarding: nat, real_servers: [{ address: "fd00::2" }]',
    service: '-f MARK -6',
    reals: ['-r [fd00::2]:0 -m -w 1'],
  },
  {
    keys: 'ADDRESS6, port: 80, forwarding: nat, real_servers: [{ address: "fd00::2" }]',
    service: '-t [ADDRESS6]:80',
    reals: ['-r [fd00::2]:80 -m -w 1'],
  },
  {
    keys: `port: 80, persistence: { timeout: 1h, netmask: 255.255.255.0 }, ${NAT}`,
    service: TCP,
    options: '-p 3600 -M 255.255.255.0',
    reals: two(80),
  },
  { keys: `port: 0, persistence: {}, ${NAT}`, service: '-t ADDRESS:0', options: '-p 300', reals: two(0) },
  {
    keys: `port: 80, scheduler: sh, scheduler_flags: [sh-port, sh-fallback], ${NAT}`,
    service: TCP,
    options: '-s sh -b sh-port,sh-fallback',
    reals: two(80),
  },
  {
    keys: `port: 80, scheduler: mh, scheduler_flags: [mh-port], ${NAT}`,
    service: TCP,
    options: '-s mh -b mh-port',
    reals: two(80),
  },
  {
    keys: 'port: 80, forwarding: dr, real_servers: [{ address: 10.0.0.2, weight: 0 }]',
    service: TCP,
    reals: ['-r 10.0.0.2:80 -g -w 0'],
  },
  {
    keys: 'port: 80, forwarding: tun, real_servers: [{ address: 10.0.0.2 }, { address: 10.0.0.3, forwarding: dr }]',
    service: TCP,
    reals: ['-r 10.0.0.2:80 -i -w 1', '-r 10.0.0.3:80 -g -w 1'],
  },
  {
    keys: 'port: 80, forwarding: tun, tunnel: { type: gue, port: 6080, checksum: csum }, real_servers: [{ address: 10.0.0.2 }]',
    service: TCP,
    reals: ['-r 10.0.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum'],
  },
  {
    keys: 'port: 80, forwarding: nat, real_servers: [{ address: 10.0.0.2, thresholds: { upper: 100, lower: 80 } }]',
    service: TCP,
    reals: ['-r 10.0.0.2:80 -m -w 1 -x 100 -y 80'],
  },
  {
    keys: `port: 53, protocol: udp, one_packet: true, ${NAT}`,
    service: '-u ADDRESS:53',
    options: '-o',
    reals: two(53),
  },
  {
    keys: `port: 5060, protocol: udp, persistence: { engine: sip }, ${NAT}`,
    service: '-u ADDRESS:5060',
    options: '-p 300 --pe sip',
    reals: two(5060),
  },
];
const COUNT = 50;

const { signal } = new AbortController();
const LIMIT = { timeoutMs: 240_000, everyMs: 250, signal };
const folder = mkdtempSync(join(tmpdir(), 'adoption-'));
const file = join(folder, 'director.yaml');
const log = join(folder, 'director.log');
const runtimeDir = join(folder, 'run');

const ipvsadm = (...args: readonly string[]): string => execFileSync('ipvsadm', args, { encoding: 'utf8' });

function place(text: string, index: number): string {
  const [v4, v6, mark] = [`192.0.2.${index + 1}`, `2001:db8::${index + 1}`, `${100 + index}`];
  return text.replaceAll('ADDRESS6', v6).replaceAll('ADDRESS', v4).replaceAll('MARK', mark);
}

function entry({ keys }: Kind, index: number): string {
  const where = keys.startsWith('fwmark')
    ? keys
    : keys.startsWith('ADDRESS6')
      ? keys.replace('ADDRESS6', 'address: "ADDRESS6"')
      : `address: ADDRESS, ${keys}`;
  return `  - { name: by-hand-${index}, ${place(where, index)} }`;
}

/** Lines for `ipvsadm -R`: a start of it for each takes two minutes under emulation. */
function byHand({ service, options = '', reals }: Kind, index: number): readonly string[] {
  const which = place(service, index);
  return [`-A ${which} ${options}`, ...reals.map((real) => `-a ${which} ${real}`)];
}

/** What the director did to the table, by its own log. */
function changes(): string[] {
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines.flatMap((line) =>
    line.includes('"event":"ipvs","op"') ? [JSON.parse(line).msg as string] : [],
  );
}

const all = Array.from({ length: COUNT }, (_, index) => KINDS[index % KINDS.length] as Kind);
ipvsadm('-C');
execFileSync('ipvsadm', ['-R'], { input: `${all.flatMap(byHand).join('\n')}\n` });
const made = ipvsadm('-Sn');
const lines = [
  'version: 1',
  'directors: { lb1: { address: 127.0.0.1 } }',
  'virtual_servers:',
  ...all.map(entry),
];
writeFileSync(file, `${lines.join('\n')}\n`);
const where = ['--runtime-dir', runtimeDir];
const options = ['-c', file, '--director', 'lb1', ...where, '--state-dir', join(folder, 'state')];
const child = spawn(process.execPath, [MAIN, 'run', ...options, '--log', 'json', '--log-level', 'debug'], {
  stdio: ['ignore', openSync(log, 'w'), openSync(log, 'a')],
});
try {
  await waitFor(
    'the director has compared the table',
    async () => {
      const servers = await fetchStatus(runtimeDir).then(
        (status) => status.virtual_servers?.length,
        () => 0,
      );
      return servers === COUNT ? undefined : `${servers} virtual servers`;
    },
    LIMIT,
  );
  const untouched = changes();
  const adopted = ipvsadm('-Sn');
  // Behind whatever the start still does: that this is the only change shows that there was no other.
  execFileSync(process.execPath, [
    MAIN,
    'weight',
    '10.0.0.3:80',
    '7',
    '--virtual-server',
    'by-hand-0',
    ...where,
  ]);
  const ordered = changes();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  const report: AdoptionReport = {
    services: COUNT,
    byHand: made,
    adopted,
    left: ipvsadm('-Sn'),
    changes: untouched,
    ordered,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  child.kill('SIGKILL');
  ipvsadm('-C');
  rmSync(folder, { recursive: true, force: true });
}
