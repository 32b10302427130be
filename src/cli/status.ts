import { parseArgs } from 'node:util';
import { fetchStatus } from '../io/operator/control-client.js';
import type { PeerChannelStatus, PeerReport } from '../runtime/peer-status.js';
import type { BfdStatus, DirectorStatus, VirtualServerStatus } from '../runtime/status.js';
import { endpointText } from '../util/ip-address.js';
import type { Command } from './command.js';
import { jsonText } from './json-text.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const USAGE = `Usage: director status [OPTIONS]

Shows what the running director does: roles, addresses, why an instance cannot serve, real servers and their health.
docs/STATUS.md has the fields of the JSON.

${RUNTIME_OPTIONS_USAGE}  --json              the answer as JSON
`;

/** Pads every column of `rows` to its widest cell. */
function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
    [],
  );
  return rows
    .map((row) => `${indent}${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

function serviceText({ address, port, protocol, fwmark, family }: VirtualServerStatus): string {
  if (address !== null) return `${protocol} ${endpointText(address, port)}`;
  return `fwmark ${fwmark}${family === 'ipv6' ? ' IPv6' : ''}`;
}

function sorryRows({ sorry_server: sorry }: VirtualServerStatus): string[][] {
  if (sorry === undefined) return [];
  const state = sorry.in_use ? 'in use' : 'not needed';
  return [['', `-> ${endpointText(sorry.address, sorry.port)}`, 'sorry server', state, '']];
}

function panicCells({ panic }: VirtualServerStatus): string[] {
  return panic === true ? ['panic', 'too few are healthy: all get traffic'] : ['', ''];
}

/** Told where the operator or a check says otherwise. */
function othersWeights({
  weight,
  file_weight: file,
  check_weight: check,
}: VirtualServerStatus['real_servers'][number]): string {
  const others = [
    ...(file === undefined ? [] : [`file: ${file}`]),
    ...(check === undefined || check === weight ? [] : [`check: ${check}`]),
  ];
  return others.length === 0 ? '' : ` (${others.join(', ')})`;
}

/** Told where it is not that of the virtual server. */
function ownForwarding(
  server: VirtualServerStatus,
  real: VirtualServerStatus['real_servers'][number],
): string {
  const { forwarding = server.forwarding } = real;
  return forwarding === server.forwarding ? '' : ` ${forwarding}`;
}

function bfdRows(sessions: readonly BfdStatus[]): string[][] {
  const head = ['BFD PEER', 'STATE', 'SINCE', 'INTERFACE', 'DETECTION', 'FOR', 'REASON'];
  const rows = sessions.map((one) => [
    one.peer,
    one.state,
    duration(one.since_s),
    one.interface,
    one.detection_ms === null ? '-' : `${one.detection_ms} ms`,
    [...one.instances, ...one.objects].join(' '),
    one.fault ?? one.reason ?? '',
  ]);
  return [head, ...rows];
}

function peerText(
  { peers, table: own, faults, discards, gateway }: PeerChannelStatus,
  isSynchronised: boolean,
): string {
  const head = ['PEER', 'CONDITION', 'SINCE', 'VERSION', 'FILE', 'CLOCK', 'CONNECTIONS', 'COVERAGE'];
  const rows = peers.map((peer) => [
    peer.name,
    peer.condition,
    duration(peer.since_s),
    peer.version ?? '-',
    peer.version === null ? '-' : fileText(peer),
    peer.clock_offset_ms === null ? '-' : `${peer.clock_offset_ms} ms`,
    peer.connections === null ? '-' : String(peer.connections),
    peer.coverage === null
      ? '-'
      : `${peer.coverage.of} ${peer.coverage.percent}% (${duration(peer.coverage.age_s)} ago)`,
  ]);
  const notes = [
    ...faults,
    ...peers.flatMap(({ name, condition, text }) => (condition === 'up' ? [] : [`${name} ${text}`])),
    ...(gateway === 'silent' ? ['the gateway does not answer'] : []),
    ...(isSynchronised ? [tableText(own)] : []),
  ];
  const discarded = Object.entries(discards).filter(([, count]) => count > 0);
  if (discarded.length > 0)
    notes.push(`datagrams not taken: ${discarded.map(([reason, count]) => `${count} ${reason}`).join(', ')}`);
  return [table([head, ...rows]), ...notes.map((note) => `  ${note}`)].join('\n');
}

function tableText({ connections, complete, text }: PeerChannelStatus['table']): string {
  const count = connections === null ? '' : `${connections} connections, `;
  return `this director's connection table: ${count}${complete ? 'complete' : 'not complete'}: ${text}`;
}

function fileText({ differing_sections: differing }: PeerReport): string {
  return differing.length === 0 ? 'same' : `differs: ${differing.join(' ')}`;
}

/** The whole status for a person. */
export function formatStatus(status: DirectorStatus): string {
  const parts = [`director ${status.director}, started ${status.started}`];
  if (status.instances.length > 0) {
    const head = ['INSTANCE', 'STATE', 'SINCE', 'PRIORITY', 'VRID', 'INTERFACE', 'MASTER', 'ADDRESSES'];
    const rows = status.instances.map((i) => [
      i.name,
      `${i.state}${i.maintenance === 'off' ? '' : ' (maintenance)'}`,
      duration(i.since_s),
      i.effective_priority === i.priority
        ? String(i.priority)
        : `${i.priority} (now ${i.effective_priority})`,
      String(i.virtual_router_id),
      i.interface,
      i.master ?? '-',
      i.addresses.join(' '),
    ]);
    parts.push(table([head, ...rows]));
    const faults = status.instances.flatMap(({ name, faults }) =>
      faults.length === 0 ? [] : [`  ${name} cannot serve: ${faults.join('; ')}`],
    );
    const conflicts = status.instances.flatMap(({ name, interface: device, source_conflict: other }) =>
      other === null || other === undefined
        ? []
        : [`  ${name}: another host (${other}) has this director's own address on ${device}`],
    );
    const waits = status.instances.flatMap(({ name, awaits_sync: awaited }) =>
      awaited === null || awaited === undefined
        ? []
        : [
            `  ${name} takes over when the connection table is complete, in at most ${duration(awaited.at_most_s)}: ${awaited.text}`,
          ],
    );
    const troubles = [...faults, ...waits, ...conflicts];
    if (troubles.length > 0) parts.push(troubles.join('\n'));
  }
  if (status.bfd !== undefined && status.bfd.length > 0) parts.push(table(bfdRows(status.bfd)));
  if (status.virtual_servers.length > 0) {
    const rows = status.virtual_servers.flatMap((server) => [
      [server.name, serviceText(server), `${server.scheduler} ${server.forwarding}`, ...panicCells(server)],
      ...server.real_servers.flatMap((real) => [
        [
          '',
          `-> ${endpointText(real.address, real.port)}`,
          `weight ${real.weight}${othersWeights(real)}${ownForwarding(server, real)}`,
          real.disabled === true ? 'disabled' : real.health,
          real.checks === undefined ? (real.reason ?? '') : '',
        ],
        ...(real.checks ?? []).map(({ check, health, reason }) => ['', '', check, health, reason ?? '']),
      ]),
      ...sorryRows(server),
      ...(server.draining ?? []).map((real) => [
        '',
        `-> ${endpointText(real.address, real.port)}`,
        'weight 0',
        'draining',
        `${real.active_connections + real.inactive_connections} connections, at most ${real.at_most_s}s`,
      ]),
    ]);
    parts.push(table([['SERVER', 'ADDRESS', 'SCHEDULING', 'HEALTH', 'REASON'], ...rows]));
  }
  const { services } = status;
  if (services.state !== 'running' || !services.answers) {
    const what = services.state === 'running' ? 'does not answer' : `is down (${services.restarts} restarts)`;
    parts.push(`  the services process ${what}: health and sync daemons are not known`);
  }
  parts.push(...(services.faults ?? []).map((fault) => `  ${fault}`));
  for (const [name, log] of [
    ['VRRP', status.log],
    ['services', services.log],
  ] as const) {
    if (log?.error) parts.push(`  the log of the ${name} process cannot be written: ${log.error}`);
    else if (log && log.lines_lost > 0) {
      parts.push(`  ${log.lines_lost} lines of the ${name} process's log were lost`);
    }
  }
  const sync = status.connection_sync;
  if (sync !== null) {
    const daemons = services.answers ? sync.daemons.join(' and ') || 'not running' : 'not known';
    const faults = (sync.faults ?? []).map((fault) => `\n    ${fault}`);
    parts.push(`  connection sync on ${sync.interface}, syncid ${sync.id}: ${daemons}${faults.join('')}`);
  }
  if (status.peer_channel) parts.push(peerText(status.peer_channel, sync !== null));
  return `${parts.join('\n\n')}\n`;
}

export const command: Command = {
  name: 'status',
  summary: 'what the running director does',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...RUNTIME_OPTIONS, json: { type: 'boolean', default: false } },
    });
    const status = await fetchStatus(values['runtime-dir']);
    process.stdout.write(values.json ? jsonText(status) : formatStatus(status));
    return 0;
  },
};
