/** The two programs that are measured, each started the same way on a host of the lab. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../../src/drill/lab/lab.js';
import type { Child } from '../../../src/drill/lab/process.js';
import { MAIN } from '../../program.js';

export const CONTENDERS = ['ours', 'keepalived'] as const;
export type Contender = (typeof CONTENDERS)[number];
export const HOSTS = ['lb1', 'lb2'] as const;
export type HostName = (typeof HOSTS)[number];
/** lb1 is the master. */
export const PRIORITIES: Readonly<Record<HostName, number>> = { lb1: 150, lb2: 100 };

export interface Instance {
  readonly name: string;
  readonly virtualRouterId: number;
  /** With prefix length; held on eth0. */
  readonly address: string;
}

export interface Setup {
  readonly intervalMs: number;
  readonly instances: readonly Instance[];
  /** Whether a director takes its role back from a weaker one; not unless given. */
  readonly preempt?: boolean;
  /** What runs on lb2, the same as on lb1 unless given. */
  readonly backup?: Contender | undefined;
  /** Further lines of our configuration file, at its top level. */
  readonly moreYaml?: readonly string[];
  /** Lines for each of our instances. */
  readonly instanceYaml?: readonly string[];
  /** Further arguments of our command. */
  readonly moreArguments?: readonly string[];
  /** Arguments of Node for our command. */
  readonly nodeArguments?: readonly string[];
  /** Our command, the bundle unless given. */
  readonly main?: string;
}

/** A contender that runs on a host. */
export interface Running {
  readonly host: HostName;
  readonly contender: Contender;
  readonly child: Child;
  /** What it wrote, last lines alone. */
  readonly output: string[];
  readonly runtimeDirectory: string;
  /** Log lines of ours that tell a change of role, all of them. */
  readonly roles: string[];
  /** Bytes of what it wrote, all of it. */
  readonly wrote: () => number;
}

const MAX_LINES = 2000;

export function yaml(setup: Setup): string {
  const { intervalMs, instances, preempt = false, moreYaml = [], instanceYaml = [] } = setup;
  return [
    'version: 1',
    'directors:',
    `  lb1: { priority: ${PRIORITIES.lb1}, address: 192.168.7.11 }`,
    `  lb2: { priority: ${PRIORITIES.lb2}, address: 192.168.7.12 }`,
    'vrrp:',
    '  instances:',
    ...instances.flatMap(({ name, virtualRouterId, address }) => [
      `    - name: ${name}`,
      '      interface: eth0',
      `      virtual_router_id: ${virtualRouterId}`,
      `      advertisement_interval: ${intervalMs}ms`,
      `      preempt: ${preempt}`,
      `      addresses: [${address}]`,
      ...instanceYaml.map((line) => `      ${line}`),
    ]),
    ...moreYaml,
    '',
  ].join('\n');
}

/** The same for keepalived, its own defaults otherwise. */
function keepalivedConf({ intervalMs, instances, preempt = false }: Setup, host: HostName): string {
  const blocks = instances.map(
    ({ name, virtualRouterId, address }) => `vrrp_instance ${name} {
  state BACKUP
  ${preempt ? '' : 'nopreempt'}
  interface eth0
  virtual_router_id ${virtualRouterId}
  priority ${PRIORITIES[host]}
  advert_int ${intervalMs / 1000}
  virtual_ipaddress {
    ${address} dev eth0
  }
}
`,
  );
  return `global_defs {\n  vrrp_version 3\n}\n${blocks.join('')}`;
}

/** Writes the configuration into `folder` and starts the program. */
export async function start(
  lab: Lab,
  contender: Contender,
  host: HostName,
  setup: Setup,
  folder: string,
): Promise<Running> {
  const runtimeDirectory = join(folder, host);
  const config = join(folder, `${host}.${contender === 'ours' ? 'yaml' : 'conf'}`);
  await writeFile(config, contender === 'ours' ? yaml(setup) : keepalivedConf(setup, host));
  const pidFile = (name: string): string => join(folder, `${host}-${name}.pid`);
  const argv =
    contender === 'ours'
      ? [
          process.execPath,
          ...(setup.nodeArguments ?? []),
          setup.main ?? MAIN,
          'run',
          '-c',
          config,
          '--director',
          host,
          '--runtime-dir',
          runtimeDirectory,
          '--log',
          'json',
          ...(setup.moreArguments ?? []),
        ]
      : [
          'keepalived',
          '--vrrp',
          '-R',
          '-n',
          '-l',
          '-G',
          '-f',
          config,
          '-p',
          pidFile('main'),
          '-r',
          pidFile('vrrp'),
        ];
  const output: string[] = [];
  const roles: string[] = [];
  let bytes = 0;
  const take = (line: string): void => {
    bytes += Buffer.byteLength(line) + 1;
    if (line.includes('"event":"role"')) roles.push(line);
    output.push(line);
    if (output.length > MAX_LINES) output.shift();
  };
  const child = lab.start(host, argv, { onLine: take, onErrorLine: take });
  return { host, contender, child, output, runtimeDirectory, roles, wrote: () => bytes };
}
