import t from 'tap';
import { TOPOLOGIES, type Topology } from '../../../src/drill/lab/topology.js';
import {
  buildReport,
  type ScenarioReport,
  tableText,
  timelineSpans,
} from '../../../src/drill/report/report.js';
import { htmlReport } from '../../../src/drill/report/report-html.js';
import { timelineSvg } from '../../../src/drill/report/report-svg.js';
import { expectationOf } from '../../../src/drill/report/verdict.js';
import type { Observed } from '../../../src/drill/scenarios/observation-window.js';
import type { Course, Setting } from '../../../src/drill/scenarios/scenario-parts.js';
import {
  buildScenarioReport,
  type LabRecord,
  roleSpans,
} from '../../../src/drill/scenarios/scenario-report.js';

const kinds = ['busy', 'one-request', 'idle'] as const;
const opened = kinds.map((kind, index) => ({ kind, port: 40000 + index }));

/** A crash at 1000 ms: lb1 is struck, lb2 holds both addresses 600 ms later. */
function scenario(
  change: {
    course?: Partial<Course>;
    setting?: object;
    answersMs?: number[];
    losses?: LabRecord['losses'];
    observed?: Partial<Observed>;
    topology?: Topology;
  } = {},
): ScenarioReport {
  const changes = ['192.168.1.253', '10.10.10.1'].flatMap((address) => [
    { atMs: 0, director: 'lb1', address, held: true },
    { atMs: 1600, director: 'lb2', address, held: true },
    { atMs: 1650, director: 'lb1', address, held: false },
  ]);
  return buildScenarioReport({
    topology: change.topology ?? TOPOLOGIES.nat,
    // The names of the pair's daemons are all that is read from it.
    setting: {
      name: 'crash',
      after: undefined,
      pair: { master: { name: 'lb1' }, backup: { name: 'lb2' } },
      opened,
      failedToOpen: [],
      synchronised: { opened: 3, known: 3 },
      intervalMs: 1000,
      expectation: expectationOf('crash', 1000, 100, { gapMs: 5, requestMs: 20 }),
      ...change.setting,
    } as unknown as Setting,
    course: {
      faultMs: 1000,
      takeoverMs: 600,
      askedMs: 1700,
      verified: opened.map((one) => ({ ...one, survived: true, reason: '' })),
      complaints: [],
      excuse: { of: 'resets', fromMs: 1000, toMs: 1600 },
      ...change.course,
    },
    observed: {
      window: { fromMs: 500, toMs: 3000 },
      probe: { sent: 20, received: 17, answersMs: change.answersMs ?? [600, 1000, 1700, 2500, 2900] },
      samples: [
        { address: '192.168.1.253', startMs: 700, durationMs: 3, server: 'rs1', error: '' },
        { address: '192.168.1.253', startMs: 1100, durationMs: 1200, server: null, error: 'ECONNREFUSED' },
      ],
      flowRequests: [],
      ...change.observed,
    },
    record: {
      observations: [
        { atMs: 1000, source: 'drill', event: 'SIGKILL to lb1' },
        { atMs: 100, source: 'lb1', event: 'long ago' },
      ],
      changes,
      roles: [
        { atMs: 0, director: 'lb1', instance: 'outside', to: 'master' },
        { atMs: 0, director: 'lb1', instance: 'inside', to: 'backup' },
        { atMs: 1005, director: 'lb1', instance: '', to: 'stopped' },
        { atMs: 1590, director: 'lb2', instance: 'outside', to: 'master' },
      ],
      outages: [],
      losses: change.losses ?? [],
      virtualAddresses: ['192.168.1.253', '10.10.10.1'],
    },
    probeIntervalMs: 4,
  });
}

function reportOf(scenarios: readonly ScenarioReport[], failures: readonly string[] = []) {
  const baselines = [{ topology: 'nat' as const, client_gap_ms: 5, slowest_request_ms: 20 }];
  return buildReport({
    release: '6.1',
    where: 'vm',
    lot: undefined,
    startedMs: 0,
    endedMs: 5000,
    baselines,
    scenarios,
    failures,
  });
}

await t.test('a scenario in the shape that programs rely on', async (t) => {
  t.match(scenario(), {
    topology: 'nat',
    name: 'crash',
    advertisement_interval_ms: 1000,
    probe_interval_ms: 4,
    client_gap_ms: 800,
    probes: { sent: 20, lost: 3 },
    connections: { busy: { opened: 1, survived: 1 }, idle: { opened: 1, survived: 1 } },
    duplicate_address_ms: 50,
    takeover_ms: 600,
    fault_ms: 500,
    duration_ms: 2500,
    passed: true,
    reason: 'as expected',
    requests: { made: 2, failed: 1, excused: 1 },
    failed_requests: [{ t_ms: 600, address: '192.168.1.253', reason: 'ECONNREFUSED', excused: true }],
  });
});

await t.test('events are those of the scenario, in order, relative to its start', async (t) => {
  t.same(scenario().events, [
    { t_ms: 500, source: 'drill', event: 'SIGKILL to lb1' },
    { t_ms: 600, source: 'client', event: '1 new requests failed: ECONNREFUSED, within 0 ms' },
    { t_ms: 1200, source: 'client', event: 'longest gap begins: 800 ms' },
  ]);
});

await t.test('connections that end in a crowd are one event', async (t) => {
  const losses = [1700, 1650, 1900].map((atMs) => ({ atMs, kind: 'idle', reason: 'ECONNRESET' }));
  const { events } = scenario({ losses: [...losses, { atMs: 100, kind: 'idle', reason: 'ECONNRESET' }] });
  t.match(events, [
    {},
    { t_ms: 600 },
    { t_ms: 1150, source: 'client', event: '3 idle connections ended: ECONNRESET, within 250 ms' },
    { t_ms: 1200 },
  ]);
});

await t.test('a backup that did not know the lost connections is named', async (t) => {
  const verified = opened.map((one) => ({ ...one, survived: one.kind !== 'idle', reason: 'ECONNRESET' }));
  const setting = { synchronised: { opened: 3, known: 2 } };
  t.match(
    scenario({ course: { verified }, setting }).reason,
    /^lb2 knew only 2 of 3 connections before the fault/,
  );
  t.match(scenario({ setting }), { passed: true }, 'what survived anyhow is no fault');
});

await t.test('what was lost is named and fails the scenario', async (t) => {
  const verified = opened.map((one) => ({ ...one, survived: one.kind !== 'idle', reason: 'ECONNRESET' }));
  const lost = scenario({ course: { verified } });
  t.match(lost, { passed: false, reason: '1 of 1 idle connections were lost' });
  t.same(lost.lost_connections, [{ kind: 'idle', port: 40002, reason: 'ECONNRESET' }]);
  t.match(scenario({ answersMs: [] }), { passed: false, reason: /no answer at all/ });
  t.match(scenario({ setting: { failedToOpen: ['busy: ETIMEDOUT'] } }), {
    passed: false,
    reason: /could not be opened/,
  });
});

await t.test('connections that nobody told the director that got the role', async (t) => {
  const complaint = 'only 2 of 3 connections were known to the director that got the role';
  const resynchronised = { opened: 3, known: 2 };
  const verified = opened.map((one) => ({ ...one, survived: one.kind !== 'idle', reason: 'ECONNRESET' }));
  const lost = scenario({ course: { resynchronised, verified } });
  t.match(lost, { passed: false, resynchronised });
  t.match(lost.reason, complaint);
  t.match(scenario({ course: { resynchronised } }), { passed: true }, 'what survived anyhow is no fault');
  const setting = { name: 'sync-loss' };
  t.match(scenario({ course: { resynchronised }, setting }).reason, complaint);
});

await t.test('a dead real server takes its own connections along, and nothing else', async (t) => {
  const realServer = {
    name: 'rs2',
    downFromMs: 1000,
    takenOutMs: 1200,
    startedMs: 2000,
    takenInMs: 2400,
    endedConnections: 1,
    sorry: undefined,
  };
  const verified = opened
    .filter((one) => one.kind !== 'idle')
    .map((one) => ({ ...one, survived: true, reason: '' }));
  const setting = {
    name: 'real-server-down',
    expectation: expectationOf('real-server-down', 1000, 100, { gapMs: 300, requestMs: 20 }),
  };
  const excuse = { of: 'all', fromMs: 1000, toMs: 1200 } as const;
  const report = scenario({ course: { realServer, verified, takeoverMs: null, excuse }, setting });
  t.same(report.connections.idle, { opened: 0, survived: 0 }, 'those that ended with it are not counted');
  t.match(report.real_server, {
    taken_out_ms: 200,
    taken_in_ms: 400,
    failed_requests: 1,
    ended_connections: 1,
  });
  t.notMatch(report.reason, /new requests failed/, 'a failure before it was out is due');
  const early = scenario({
    course: { realServer, verified, excuse: { ...excuse, fromMs: 700, toMs: 900 } },
    setting,
  });
  t.match(early, { passed: false, reason: /1 of 2 new requests failed/ });
});

/** The same crash where the topology has more: lb2 answers over UDP 700 ms after the fault. */
function withServices(
  change: { course?: Partial<Course>; observed?: Partial<Observed>; setting?: object } = {},
) {
  const others = [
    { kind: 'ipv6', port: 40000 },
    { kind: 'persistent', port: 0, client: '192.168.1.21', server: 'rs1' },
  ] as const;
  const flows = [
    { kind: 'udp', port: 40000, server: 'rs1' },
    { kind: 'udp', port: 40001, server: 'rs2' },
  ] as const;
  const requests = [600, 1100, 1600, 1700, 1750].flatMap((sentMs) =>
    flows.map(({ port, server }) => {
      const lost = sentMs > 1000 && sentMs < 1700;
      return { port, sentMs, answeredMs: lost ? null : sentMs + 1, server: lost ? null : server };
    }),
  );
  return scenario({
    topology: TOPOLOGIES.services,
    setting: { opened: [...opened, ...others, ...flows], ...change.setting },
    course: {
      verified: [...opened, ...others].map((one) => ({ ...one, survived: true, reason: '' })),
      ...change.course,
    },
    observed: {
      ipv6Probe: { sent: 10, received: 8, answersMs: [600, 1000, 1600, 2900] },
      samples: [{ address: '2001:db8:1::253', startMs: 1100, durationMs: 3, server: 'rs1', error: '' }],
      flowRequests: requests,
      ...change.observed,
    },
  });
}

await t.test('services beside the first one: their gaps, losses and connections', async (t) => {
  const report = withServices();
  t.match(report, {
    passed: true,
    connections: {
      ipv6: { opened: 1, survived: 1 },
      udp: { opened: 2, survived: 2 },
      persistent: { opened: 1, survived: 1 },
    },
    services: {
      ipv6: { client_gap_ms: 1300, probes: { sent: 10, lost: 2 } },
      udp: { client_gap_ms: 600, requests: { sent: 10, lost: 4 } },
    },
  });
  t.match(tableText([report, scenario()]).split('\n'), [
    / idle +ipv6 +udp +persistent +failed requests +takeover /,
    / 1\/1 +1\/1 +2\/2 +1\/1 +0\/1 +600 ms /,
    / 1\/1 +- +- +- +0 \(\+1\)\/2 +600 ms /,
  ]);
  const page = htmlReport(reportOf([report]));
  t.match(page, /class="label">probe-ipv6</);
  t.match(page, /class="label">udp 2\/2</);
  t.match(page, /Over UDP it was 600 ms, and 4 of 10 requests were lost/);
});

await t.test('each of them can fail, by its name', async (t) => {
  const reasonOf = (change: Parameters<typeof withServices>[0]): string => withServices(change).reason;
  t.match(
    reasonOf({ setting: { failedToOpen: ['busy: x', 'udp: y', 'udp: z'] } }),
    /opened: busy: x; udp: y$/,
  );
  const silent = { ipv6Probe: { sent: 10, received: 0, answersMs: [] }, samples: [] };
  t.match(
    reasonOf({ observed: silent }),
    /the probe over IPv6 had no answer at all; no new request over IPv6 was/,
  );
  const udp = reasonOf({ observed: { flowRequests: [] } });
  t.match(udp, /udp: no answer any more; 2 of 2 udp connections were lost/);
  const persistent = {
    kind: 'persistent',
    port: 0,
    client: '192.168.1.21',
    survived: false,
    reason: 'it moved',
  } as const;
  t.match(reasonOf({ course: { verified: [persistent] } }), /persistent: it moved/);
});

await t.test('UDP flows of a dead real server are served again in time', async (t) => {
  const realServer = (takenOutMs: number) => ({
    name: 'rs2',
    downFromMs: 1000,
    takenOutMs,
    startedMs: 2400,
    takenInMs: 2600,
    endedConnections: 0,
    sorry: { before: { rs2: 1 }, meanwhile: { sorry: 1 }, after: { rs2: 1 } },
  });
  const flowRequests = [600, 1500, 1900].flatMap((sentMs) => [
    { port: 40000, sentMs, answeredMs: sentMs, server: 'rs1' },
    { port: 40001, sentMs, answeredMs: sentMs < 1900 ? null : sentMs, server: sentMs < 1900 ? null : 'rs1' },
  ]);
  const report = withServices({ course: { realServer: realServer(1200) }, observed: { flowRequests } });
  t.match(report.services, {
    udp: { client_gap_ms: 0, requests: { sent: 3, lost: 0 }, moved: { flows: 1, after_ms: 500 } },
    sorry_server: { meanwhile: { sorry: 1 } },
  });
  t.same(report.connections.udp, { opened: 1, survived: 1 });
  t.notMatch(report.reason, /UDP/);
  t.match(htmlReport(reportOf([report])), /answers came from rs2 before, from sorry while it was dead/);
  const late = withServices({
    course: { realServer: realServer(1200) },
    observed: { flowRequests: flowRequests.slice(0, 4) },
  });
  t.match(late.reason, /UDP flows of the dead real server were not answered again, limit 1200 ms/);
  const early = withServices({ course: { realServer: realServer(450) }, observed: { flowRequests } });
  t.match(early.reason, /UDP flows of the dead real server lost requests for 500 ms, limit 450 ms/);
});

await t.test('a daemon that ended has the last word on its state', async (t) => {
  const roles = [
    { atMs: 0, director: 'lb1', instance: 'a', to: 'master' },
    { atMs: 1, director: 'lb1', instance: 'b', to: 'backup' },
    { atMs: 5, director: 'lb1', instance: '', to: 'stopped' },
  ];
  t.same(roleSpans(roles, 'lb1', 9), [
    { fromMs: 0, toMs: 5, state: 'master' },
    { fromMs: 5, toMs: 9, state: 'stopped' },
  ]);
  t.same(
    timelineSpans(
      'lb1',
      'x',
      [
        { fromMs: 0, toMs: 5 },
        { fromMs: 8, toMs: 9 },
      ],
      { fromMs: 2, toMs: 8 },
    ),
    [{ lane: 'lb1', state: 'x', from_ms: 0, to_ms: 3 }],
  );
});

await t.test('the drill passes when every scenario did, and it got to its end', async (t) => {
  const good = scenario();
  t.equal(reportOf([good, good]).passed, true);
  t.equal(reportOf([good, { ...good, passed: false }]).passed, false);
  t.equal(reportOf([good], ['nat: no lab']).passed, false);
  t.equal(reportOf([]).passed, false, 'an empty drill proves nothing');
});

await t.test('the table: aligned, and a failure gives its reason', async (t) => {
  const [head = '', row = '', failed = '', why = ''] = tableText([
    scenario(),
    { ...scenario(), passed: false, reason: 'the reason' },
  ]).split('\n');
  t.equal(head.length, row.length);
  t.match(row, /^nat +crash +800 ms +3800 ms +3\/20 +1\/1 +1\/1 +1\/1 +0 \(\+1\)\/2 +600 ms +50 ms +passed$/);
  t.match(failed, /FAILED$/);
  t.equal(why, '    the reason');
});

await t.test('the page escapes what came from outside and loads nothing', async (t) => {
  const evil = '<script>alert("1")</script> & \'x\'';
  const bad: ScenarioReport = {
    ...scenario(),
    passed: false,
    reason: evil,
    events: [{ t_ms: 1, source: evil, event: evil }],
    spans: [
      { lane: `lb1 ${evil}`, state: 'holds', from_ms: 0, to_ms: 10 },
      { lane: evil, state: evil, from_ms: 0, to_ms: 9 },
    ],
    request_points: [{ t_ms: 1, duration_ms: 1, server: evil }],
  };
  const page = htmlReport(reportOf([bad], [evil]));
  t.notMatch(page, /<script/);
  t.match(page, /&lt;script&gt;/);
  t.notMatch(page, /(src|href)="(?!#)/, 'no reference leaves the page');
  t.notMatch(page, /@import|url\(/);
});

await t.test(
  'the picture has a lane for each director, address, kind of connection, probe and requests',
  async (t) => {
    const picture = timelineSvg(scenario());
    const labels = [...picture.matchAll(/class="label">([^<]*)</g)].map((match) => match[1]);
    t.same(labels, [
      'lb1',
      'lb2',
      '192.168.1.253',
      '10.10.10.1',
      'probe',
      'busy 1/1',
      'one-request 1/1',
      'idle 1/1',
      'new requests',
    ]);
    t.match(picture, /class="fault"/);
    t.notMatch(picture, /NaN|undefined|Infinity/);
    t.notMatch(timelineSvg({ ...scenario(), duration_ms: 0, fault_ms: 0 }), /NaN|undefined|Infinity/);
  },
);
