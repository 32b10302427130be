/** The report for people: one file without any external resource. Pure. */
import { type DrillReport, type ScenarioReport, tableColumns, tableRows, titleOf } from './report.js';
import { addressHolders, escapeHtml, timelineSvg } from './report-svg.js';

const STYLE = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1d2328; --dim: #66707a; --line: #dfe3e6;
  --good: #3f9b63; --bad: #c9383a; --warn: #d99a1f; --first: #3468b4; --second: #8a55b5; --off: #b5bcc3; --pale: #cfdcee; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181b; --card: #1c2125; --ink: #e4e8eb; --dim: #98a3ad; --line: #323a41;
    --good: #4cae72; --bad: #e2595b; --warn: #e0aa3e; --first: #6295dd; --second: #b283dc; --off: #59636c; --pale: #33475f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 28px 24px 60px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 0; }
p { margin: 6px 0; } .dim { color: var(--dim); }
.mark { display: inline-block; padding: 1px 10px; border-radius: 10px; color: #fff; font-size: 13px; font-weight: 600; vertical-align: 2px; }
.mark.yes { background: var(--good); } .mark.no { background: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 14px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--dim); font-size: 13px; } th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
td.no { color: var(--bad); font-weight: 600; } td.yes { color: var(--good); font-weight: 600; } a { color: inherit; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px; margin: 20px 0; }
p.key { font-size: 13px; }
svg { display: block; width: 100%; height: auto; margin-top: 10px; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .label { text-anchor: end; } svg .tick { text-anchor: middle; fill: var(--dim); }
svg .grid { stroke: var(--line); } svg .fault { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .fault-text { fill: var(--bad); text-anchor: middle; font-weight: 600; } svg .on { fill: #fff; font-size: 11px; }
svg .backup-on, svg .off-on { fill: var(--ink); }
svg .master, svg .first { fill: var(--first); } svg .second { fill: var(--second); } svg .backup { fill: var(--pale); }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .warn { fill: var(--warn); } svg .off { fill: var(--off); }
svg .answered { stroke: var(--good); stroke-width: 1.5; } svg .failed { stroke: var(--bad); stroke-width: 2.5; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--dim); }
details td { text-align: left; white-space: normal; vertical-align: top; } details td:first-child { text-align: right; white-space: nowrap; }
`;

function mark(passed: boolean): string {
  return `<span class="mark ${passed ? 'yes' : 'no'}">${passed ? 'passed' : 'failed'}</span>`;
}

function anchor(index: number): string {
  return `scenario-${index + 1}`;
}

function summaryTable(report: DrillReport): string {
  const head = tableColumns(report.scenarios)
    .map((column) => `<th>${escapeHtml(column)}</th>`)
    .join('');
  const rows = tableRows(report.scenarios).map((cells, index) => {
    const passed = report.scenarios[index]?.passed === true;
    const columns = cells.map((cell, column) => {
      const text = escapeHtml(cell);
      if (column === 1) {
        return `<td><a href="#${anchor(index)}">${text}</a></td>`;
      }
      return column === cells.length - 1
        ? `<td class="${passed ? 'yes' : 'no'}">${text}</td>`
        : `<td>${text}</td>`;
    });
    return `<tr>${columns.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

const WHAT_HAPPENS: Readonly<Record<ScenarioReport['name'], string>> = {
  planned: 'The master was asked to leave (SIGTERM): it hands over before it lets go.',
  crash: "The master's daemon was killed (SIGKILL): its guardian withdraws it.",
  power: 'All links of the master went down at once, as when its power fails.',
  hang: "The master's VRRP process was stopped (SIGSTOP): its guardian withdraws it.",
  'crash-all':
    "All processes of the master were killed at once, its guardian, too: only the kernel's lease ends its addresses.",
  switch: 'An operator handed the role over (director failover), and back again.',
  reboot:
    "The master's power failed; its host booted with nothing in its kernel. Then the role came to it by a planned switch.",
  'return-with-preemption':
    "The preferred director's power failed; its host booted with nothing in its kernel, and it took its role back by itself.",
  'reload-under-load': 'Both directors reloaded their configuration again and again.',
  'sync-loss':
    'Part of the sync datagrams was lost while the connections were opened. When the loss had ended the role was handed over.',
  'one-way': 'What the master sent was lost, while it heard everybody; then the network healed.',
  'split-brain':
    'The directors did not hear each other, while everybody heard both; then the network healed.',
  return: 'The failed director came back. The running master stays master, and nobody may notice.',
  'real-server-down': "A real server's program was killed, was taken out, started again and taken in.",
};

function answeredBy(servers: Readonly<Record<string, number>>): string {
  return Object.keys(servers).join(', ') || 'nobody';
}

/** Sentences on virtual servers beside the first one. */
function serviceFacts({ ipv6, udp, sorry_server: sorry }: NonNullable<ScenarioReport['services']>): string[] {
  const sentences: string[] = [];
  if (ipv6 !== undefined) {
    sentences.push(
      `Over IPv6 the longest stretch without an answer was ${ipv6.client_gap_ms} ms, and ${ipv6.probes.lost} of ${ipv6.probes.sent} probes were lost.`,
    );
  }
  if (udp !== undefined) {
    sentences.push(
      `Over UDP it was ${udp.client_gap_ms} ms, and ${udp.requests.lost} of ${udp.requests.sent} requests were lost.`,
    );
  }
  if (udp?.moved !== undefined) {
    const { flows, after_ms: after } = udp.moved;
    const when =
      after === null
        ? 'were not all answered again'
        : `lost requests for ${after} ms, and had another one then`;
    sentences.push(`${flows} UDP flows of the dead real server ${when}.`);
  }
  if (sorry !== undefined) {
    const [before, meanwhile, after] = [sorry.before, sorry.meanwhile, sorry.after].map(answeredBy);
    sentences.push(
      escapeHtml(
        `Where it is the only real server, the answers came from ${before} before, from ${meanwhile} while it was dead, from ${after} after its return.`,
      ),
    );
  }
  return sentences;
}

function facts(scenario: ScenarioReport): string {
  const { requests, resynchronised, synchronised, real_server: server, expectation } = scenario;
  const sentences = [
    `Longest stretch without an answer: <strong>${scenario.client_gap_ms} ms</strong>, limit ${expectation.client_gap_ms} ms (${escapeHtml(expectation.why)}).`,
    `A virtual address on both directors: ${scenario.duplicate_address_ms} ms, limit ${expectation.duplicate_address_ms} ms.`,
    `New requests: ${requests.made} made, ${requests.failed} failed${requests.excused === 0 ? '' : ` (${requests.excused} excused by the fault)`}, limit ${expectation.request_limit_ms} ms, median ${requests.median_ms} ms, slowest ${requests.slowest_ms} ms.`,
  ];
  if (scenario.takeover_ms !== null) {
    sentences.push(`The successor held all virtual addresses ${scenario.takeover_ms} ms after the fault.`);
  }
  if (synchronised !== null) {
    sentences.push(
      `The other director knew ${synchronised.known} of ${synchronised.opened} connections beforehand.`,
    );
  }
  if (resynchronised !== undefined) {
    sentences.push(
      `The director that got the role knew ${resynchronised.known} of ${resynchronised.opened} connections then.`,
    );
  }
  if (server !== undefined) {
    const outAfter = server.taken_out_ms === null ? 'never taken out' : `out after ${server.taken_out_ms} ms`;
    const inAfter =
      server.taken_in_ms === null ? 'never taken in again' : `in ${server.taken_in_ms} ms after its start`;
    sentences.push(
      `${escapeHtml(server.name)}: ${outAfter}, ${inAfter}; its own ${server.ended_connections} connections ended with it and are not counted.`,
    );
  }
  sentences.push(...serviceFacts(scenario.services ?? {}));
  return `<p class="dim">${sentences.join(' ')}</p>`;
}

function eventTable(scenario: ScenarioReport): string {
  const rows = scenario.events.map(
    (event) =>
      `<tr><td>${Math.round(event.t_ms - scenario.fault_ms)} ms</td><td>${escapeHtml(event.source)}</td><td>${escapeHtml(event.event)}</td></tr>`,
  );
  return `<details><summary>${scenario.events.length} events, times from the fault</summary><table>${rows.join('')}</table></details>`;
}

/** Who failed, and why; empty when nobody did. */
function failureTable({ failed_requests: failures, fault_ms: faultMs }: ScenarioReport): string {
  const rows = failures.map(({ t_ms: atMs, address, reason, duration_ms: durationMs, excused }) => {
    const cells = [
      `${Math.round(atMs - faultMs)} ms`,
      address,
      `${reason} after ${durationMs} ms`,
      excused ? 'excused' : '',
    ];
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  });
  return rows.length === 0
    ? ''
    : `<details><summary>${rows.length} new requests that failed, times from the fault</summary><table>${rows.join('')}</table></details>`;
}

/** Who is drawn above and who below. */
function directorNames(scenario: ScenarioReport): string {
  const [above = 'the first', below = 'the other'] = addressHolders(scenario);
  return `${above} above, ${below} below`;
}

function section(scenario: ScenarioReport, index: number): string {
  const reason = scenario.passed ? '' : `<p><strong>${escapeHtml(scenario.reason)}</strong></p>`;
  return `<section id="${anchor(index)}"><h2>${escapeHtml(scenario.topology)}: ${escapeHtml(titleOf(scenario))} ${mark(scenario.passed)}</h2>
<p>${escapeHtml(WHAT_HAPPENS[scenario.name])}</p>${reason}${facts(scenario)}
<div class="scroll">${timelineSvg(scenario)}</div>
<p class="key dim">Time runs to the right, 0 s is the fault. In the lane of a virtual address each director has a line of its own: ${escapeHtml(directorNames(scenario))}. A new request is a stroke, the higher the longer it took (logarithmic, 1 ms to 10 s).</p>
${eventTable(scenario)}${failureTable(scenario)}</section>`;
}

/** The whole page. Every text from outside is escaped. */
export function htmlReport(report: DrillReport): string {
  const baselines = report.baselines
    .map((one) => `${one.topology} ${one.client_gap_ms} ms (slowest request ${one.slowest_request_ms} ms)`)
    .join(', ');
  const where = report.kernel.where === 'vm' ? 'in a VM' : 'on this host';
  const failures = report.failures.map(
    (failure) => `<p><strong>Not finished: ${escapeHtml(failure)}</strong></p>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Failover drill</title><style>${STYLE}</style></head><body>
<h1>Failover drill ${mark(report.passed)}</h1>
<p class="dim">${escapeHtml(report.started)}, ${Math.round(report.duration_ms / 1000)} s, Linux ${escapeHtml(report.kernel.release)} ${where}.
Longest gap of the undisturbed lab: ${escapeHtml(baselines === '' ? 'not measured' : baselines)}.</p>
${failures.join('')}${summaryTable(report)}
${report.scenarios.map(section).join('\n')}
</body></html>
`;
}
