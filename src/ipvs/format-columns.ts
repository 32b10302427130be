/** The look of `ipvsadm -Ln` with `--stats`, `--rate`, `--thresholds` or `--persistent-conn` (ipvsadm 1.31). */
import { endpointText } from '../util/ip-address.js';
import { type IpvsInfo, serviceLine, serviceName, versionLines } from './format.js';
import type { CountedService, DumpedDestination, DumpedService, TrafficStats } from './model.js';

const LOCAL = 'Prot LocalAddress:Port'.padEnd(33);
const REMOTE = '  -> RemoteAddress:Port';

type Field = keyof TrafficStats;

const COUNTED = {
  stats: {
    titles: ['Conns', 'InPkts', 'OutPkts', 'InBytes', 'OutBytes'],
    fields: ['connections', 'incomingPackets', 'outgoingPackets', 'incomingBytes', 'outgoingBytes'],
  },
  rate: {
    titles: ['CPS', 'InPPS', 'OutPPS', 'InBPS', 'OutBPS'],
    fields: [
      'connectionsPerSecond',
      'incomingPacketsPerSecond',
      'outgoingPacketsPerSecond',
      'incomingBytesPerSecond',
      'outgoingBytesPerSecond',
    ],
  },
} as const satisfies Record<string, { titles: readonly string[]; fields: readonly Field[] }>;

export type CountedFormat = keyof typeof COUNTED;

/** Rates of a real server that are never shortened there: connections and packets. */
const NEVER_SHORTENED = 3;

/** From so much on a number is shortened, by so much, to this letter. */
const SHORTENED = [
  [100_000_000_000_000, 1_000_000_000_000, 'T'],
  [100_000_000_000, 1_000_000_000, 'G'],
  [1_000_000_000, 1_000_000, 'M'],
  [100_000_000, 1000, 'K'],
] as const;

/** A number with the blank before it, nine characters wide; an exact one may be wider. */
export function largeNumber(value: number, exact: boolean): string {
  const [, unit, letter] = SHORTENED.find(([from]) => value >= from) ?? [];
  if (exact || unit === undefined) return ` ${String(value).padStart(8)}`;
  return `${String(Math.floor(value / unit)).padStart(8)}${letter}`;
}

/** `ipvsadm -Ln --stats` or `--rate`, with `--exact` perhaps; with a closing line break. */
export function formatCounted(
  services: readonly CountedService[],
  info: IpvsInfo | undefined,
  format: CountedFormat,
  exact: boolean,
): string {
  const { titles, fields } = COUNTED[format];
  const head = LOCAL + titles.map((title) => ` ${title.padStart(8)}`).join('');
  const lines = [...versionLines(info), head, REMOTE];
  for (const service of services) {
    const numbers = fields.map((field) => largeNumber(service.stats[field], exact));
    lines.push(serviceName(service).padEnd(33) + numbers.join(''));
    for (const { address, port, stats } of service.destinations) {
      const each = fields.map((field, index) =>
        largeNumber(stats[field], exact || (format === 'rate' && index < NEVER_SHORTENED)),
      );
      lines.push(`  -> ${endpointText(address, port).padEnd(28)}${each.join('')}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const SETTINGS = {
  thresholds: {
    titles: [
      ['Uthreshold', 10],
      ['Lthreshold', 10],
    ],
    values: ({ upperThreshold, lowerThreshold }: DumpedDestination) => [upperThreshold, lowerThreshold],
  },
  'persistent-conn': {
    titles: [
      ['Weight', 9],
      ['PersistConn', 11],
    ],
    values: ({ weight, persistentConnections }: DumpedDestination) => [weight, persistentConnections],
  },
} as const;

export type SettingsFormat = keyof typeof SETTINGS;

/** `ipvsadm -Ln --thresholds` or `--persistent-conn`, with a closing line break. Lines end in blanks, as there. */
export function formatSettings(
  services: readonly DumpedService[],
  info: IpvsInfo | undefined,
  format: SettingsFormat,
): string {
  const { titles, values } = SETTINGS[format];
  const columns = [...titles, ['ActiveConn', 10], ['InActConn', 10]] as const;
  const lines = [
    ...versionLines(info),
    `${LOCAL} ${columns.map(([title, width]) => title.padEnd(width)).join(' ')}`,
    REMOTE,
  ];
  for (const service of services) {
    lines.push(serviceLine(service));
    for (const destination of service.destinations) {
      const { address, port, activeConnections, inactiveConnections } = destination;
      const cells = [...values(destination), activeConnections, inactiveConnections];
      const padded = cells.map((cell, index) => String(cell).padEnd(columns[index]?.[1] ?? 0));
      lines.push(`  -> ${endpointText(address, port).padEnd(28)} ${padded.join(' ')}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
