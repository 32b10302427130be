/**
 * Runs inside the VM: one director with `fullnat` services of each kind, whose real servers have no route to the client, and with
 * `masquerade`. Prints one JSON object, which test/vm/services-traffic.test.ts judges.
 *
 * Usage: source-nat.js OUT_DIR (takes the director's log)
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Director } from '../../../src/drill/lab/director.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import { waitFor } from '../../../src/drill/wait.js';
import { MAIN } from '../../program.js';
import { ALL_PORTS_VIP, addressDualStack, ip, mark, VIP, VIP6 } from './dual-stack.js';

export interface SourceNatReport {
  /** Who answered and whom it saw, by what was asked: with the director, and after somebody flushed all rules. */
  readonly served: Readonly<Record<string, readonly string[]>>;
  readonly flushed: Readonly<Record<string, readonly string[]>>;
  /** Whom the client's host saw when a real server asked it. */
  readonly masqueraded: readonly string[];
  /** `nft list tables` while another table is there: with the director, and after it. */
  readonly tables: readonly string[];
  readonly ruleset: string;
  /** Lines of the director's log about it. */
  readonly told: readonly string[];
}

const [outDir = '.'] = process.argv.slice(2);
const NAME_SERVER = fileURLToPath(new URL('name-server.js', import.meta.url));
const { signal } = new AbortController();
const UP = { timeoutMs: 240_000, everyMs: 250, signal };
const CLIENT_PORT = 7000;

const CONFIG = `version: 1
directors: { lb1: { address: 10.10.10.11 } }
masquerade: [{ source: 10.10.10.0/24, interface: eth0, snat_address: ${VIP} }]
virtual_servers:
  - name: web
    address: ${VIP}
    port: 80
    scheduler: rr
    forwarding: fullnat
    snat_address: 10.10.10.1
    real_servers: [{ address: 10.10.10.2, port: 8081 }, { address: 10.10.10.3 }]
  - name: web6
    address: "${VIP6}"
    port: 80
    scheduler: rr
    forwarding: fullnat
    real_servers: [{ address: "fd00::2" }]
  - name: names
    address: ${VIP}
    port: 5300
    protocol: udp
    scheduler: rr
    forwarding: fullnat
    real_servers: [{ address: 10.10.10.2, port: 80 }]
  - { name: marked, fwmark: 7, scheduler: rr, forwarding: fullnat, snat_address: 10.10.10.1, real_servers: [{ address: 10.10.10.3 }] }
  - name: all-ports
    address: ${ALL_PORTS_VIP}
    port: 0
    scheduler: rr
    forwarding: fullnat
    persistence: {}
    real_servers: [{ address: 10.10.10.2 }]
`;

const QUESTIONS = {
  web: `tcp:2:${VIP}:80`,
  web6: `tcp:1:${VIP6}:80`,
  names: `udp:1:${VIP}:5300`,
  marked: `tcp:1:${VIP}:8082`,
  all: `tcp:1:${ALL_PORTS_VIP}:8081`,
};

const lab = new Lab(TOPOLOGIES.fullnat);
const workDir = mkdtempSync(join(tmpdir(), 'source-nat-'));
const told: string[] = [];
const director = new Director(lab, {
  name: 'lb1',
  command: [process.execPath, MAIN],
  configFile: join(workDir, 'director.yaml'),
  runtimeDir: workDir,
  logFile: join(outDir, 'source-nat.log'),
  onEvent: ({ event, message }) => {
    if (event === 'source-nat') told.push(message);
  },
  onExit: () => {},
});

const nft = (...words: readonly string[]) => lab.run('lb1', ['nft', ...words]);

function serve(host: string, name: string, ports: readonly number[]): Promise<void> {
  return new Promise((resolve) => {
    lab.start(host, [process.execPath, NAME_SERVER, 'serve-peer', name, ...ports.map(String)], {
      onLine: () => resolve(),
    });
  });
}

async function ask(): Promise<Record<string, string[]>> {
  const text = await lab.run('client', [process.execPath, NAME_SERVER, 'ask', ...Object.values(QUESTIONS)]);
  const answers: string[][] = JSON.parse(text);
  return Object.fromEntries(Object.keys(QUESTIONS).map((name, index) => [name, answers[index] ?? []]));
}

await lab.build();
await addressDualStack(lab);
await ip(lab, 'rs1', 'addr add fd00::2/64 dev eth0 nodad');
// Another's table, which stays as it is.
await mark(lab, [8082]);
writeFileSync(join(workDir, 'director.yaml'), CONFIG);
await Promise.all([
  serve('rs1', 'rs1', [80, 8081, 8082]),
  serve('rs2', 'rs2', [80, 8082]),
  serve('client', 'client', [CLIENT_PORT]),
  director.start(),
]);
const isThere = (wanted: boolean) => async (): Promise<string | undefined> => {
  const tables = await nft('list', 'tables');
  return tables.includes('lvs_director_nat') === wanted ? undefined : tables;
};
await waitFor('the rules are there', isThere(true), UP);
await waitFor(
  'the table is there',
  async () =>
    (await lab.run('lb1', ['ipvsadm', '-Sn'])).match(/^-a /gm)?.length === 6 ? undefined : 'not yet',
  UP,
);
const served = await ask();
const ruleset = await nft('list', 'table', 'inet', 'lvs_director_nat');
const tables = [await nft('list', 'tables')];
await ip(lab, 'rs2', 'route add default via 10.10.10.1');
const asked = await lab.run('rs2', [
  process.execPath,
  NAME_SERVER,
  'ask',
  `tcp:1:192.168.1.2:${CLIENT_PORT}`,
]);
await ip(lab, 'rs2', 'route del default');
const masqueraded: string[] = (JSON.parse(asked) as string[][])[0] ?? [];
await nft('flush', 'ruleset');
await waitFor('the rules are back', isThere(true), UP);
// Another's table, which stays as it is.
await mark(lab, [8082]);
const flushed = await ask();
await director.stop();
tables.push(await nft('list', 'tables'));
await lab.destroy();
director.closeLog();
rmSync(workDir, { recursive: true, force: true });
const report: SourceNatReport = { served, flushed, masqueraded, tables, ruleset, told };
process.stdout.write(`${JSON.stringify(report)}\n`);
