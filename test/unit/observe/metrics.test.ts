/** What two processes and the kernel told, as the text that Prometheus reads. */
import t from 'tap';
import { expositionOf, METRICS } from '../../../src/observe/metrics/exposition.js';
import { scrapeOf } from '../../../src/observe/metrics/metric.js';
import type { MetricsSnapshot } from '../../../src/runtime/services/metrics-snapshot.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';
import {
  countedService,
  electionReport,
  instanceReport,
  manyServices,
  peerChannel,
  realServerReport,
  servicesReport,
  snapshot,
  virtualServerReport,
} from './snapshots.js';

const BUILD = { version: '1.2.3', nodeVersion: '20.0.0' };

async function textOf(told: MetricsSnapshot): Promise<string> {
  return Buffer.concat(await expositionOf(BUILD, told, async () => {})).toString();
}

/** Lines of samples, without the prefix of all of them. */
async function linesOf(told: MetricsSnapshot): Promise<string[]> {
  const text = await textOf(told);
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/^lvs_director_/, ''));
}

async function samplesOf(name: string, told: MetricsSnapshot): Promise<string[]> {
  return (await linesOf(told)).filter((line) => new RegExp(`^${name}[{ ]`).test(line));
}

/** Everything that there can be. */
const FULL = snapshot({
  services: servicesReport({
    virtualServers: [
      virtualServerReport({
        isSorry: true,
        isInPanic: false,
        isPersistent: true,
        draining: 2,
        realServers: [
          realServerReport(),
          realServerReport({ address: '10.0.0.3', health: 'down', heardMs: 2500 }),
        ],
      }),
    ],
    peerChannel: peerChannel(),
    sync: { daemons: ['master'], faults: ['the backup sync daemon does not run'] },
    work: { ...new WorkCounts().report(0), sinceReconciledMs: 1500 },
  }),
  table: { services: [countedService()], ageMs: 20, tookMs: 30 },
  tableFailures: 1,
  realServers: true,
});

void t.test('every metric has its words once, and a sample with the labels that it says', async (t) => {
  const text = await textOf(FULL);
  const scrape = scrapeOf(BUILD, FULL);
  for (const metric of METRICS) {
    const { name, type, help, labels } = metric;
    t.equal(text.split(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`).length, 2, name);
    t.match(help, /^[A-Z0-9].*\.$/s, `${name}: a sentence`);
    t.match(name, /^lvs_director_[a-z0-9_]+$/);
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    const samples = [...metric.samples(scrape)];
    const found = samples.flatMap((sample) => {
      return [...Object.keys(sample.sharedLabels ?? {}), ...Object.keys(sample.labels ?? {})];
    });
    t.same([...new Set(found)].toSorted(), [...labels].toSorted(), `${name}: its labels`);
    t.ok(samples.length > 0, `${name} has samples`);
  }
  t.ok(text.endsWith('\n'));
  t.notMatch(text, / (?:NaN|Nan|undefined)$|\[object/m);
});

void t.test('peers by their condition, and what was not taken', async (t) => {
  t.same(
    await samplesOf('peer_condition', FULL).then((lines) => lines.filter((line) => line.endsWith(' 1'))),
    ['peer_condition{peer="lb2",condition="up"} 1'],
  );
  t.same(await samplesOf('connection_table_coverage_ratio', FULL), [
    'connection_table_coverage_ratio{director="lb2",peer="lb2"} 0.995',
  ]);
  const discards = await samplesOf('peer_channel_discards_total', FULL);
  t.ok(discards.includes('peer_channel_discards_total{reason="bad_mac"} 3'));
  t.ok(discards.includes('peer_channel_discards_total{reason="replayed"} 0'), 'what never came, too');
  const none = snapshot({ services: servicesReport({ peerChannel: peerChannel({ peers: [] }) }) });
  t.same(await samplesOf('peer_condition', none), []);
});

void t.test('no two samples are of one name and one set of labels', async (t) => {
  const names = (await linesOf(FULL)).map((line) => line.slice(0, line.lastIndexOf(' ')));
  t.equal(new Set(names).size, names.length);
});

void t.test('roles', async (t) => {
  const told = snapshot({
    election: {
      ...electionReport({
        instances: [instanceReport(), instanceReport({ name: 'inside', state: 'backup' })],
      }),
      ageMs: 250,
    },
  });
  t.same(
    (await samplesOf('vrrp_instance_state', told)).filter((line) => line.endsWith(' 1')),
    [
      'vrrp_instance_state{vrrp_instance="outside",state="master"} 1',
      'vrrp_instance_state{vrrp_instance="inside",state="backup"} 1',
    ],
  );
  t.equal((await samplesOf('vrrp_instance_state', told)).length, 8, 'the other states are 0');
  t.same(
    (await samplesOf('vrrp_state_age_seconds', told))[0],
    'vrrp_state_age_seconds{vrrp_instance="outside"} 12.5',
  );
  t.same(
    (await samplesOf('vrrp_effective_priority', told))[0],
    'vrrp_effective_priority{vrrp_instance="outside"} 120',
  );
});

void t.test('transitions and discards are there before they are counted', async (t) => {
  const told = snapshot();
  t.same(await samplesOf('vrrp_transitions_total', told), [
    'vrrp_transitions_total{vrrp_instance="outside",transition="became_master"} 2',
    'vrrp_transitions_total{vrrp_instance="outside",transition="released_master"} 0',
    'vrrp_transitions_total{vrrp_instance="outside",transition="became_fault"} 0',
  ]);
  t.same(
    (await samplesOf('vrrp_discards_total', told)).filter((line) => !line.endsWith(' 0')),
    ['vrrp_discards_total{vrrp_instance="outside",reason="own"} 3'],
  );
  const discards = await samplesOf('vrrp_interface_discards_total', told);
  t.equal(discards.length, 12);
  t.same(
    discards.filter((line) => !line.endsWith(' 0')),
    ['vrrp_interface_discards_total{interface="eth0",reason="bad_ttl"} 4'],
  );
});

void t.test('milliseconds become seconds, and buckets add up', async (t) => {
  const lines = await linesOf(snapshot());
  t.same(
    lines.filter((line) => line.startsWith('election_deadline_lateness')),
    [
      'election_deadline_lateness_seconds_bucket{le="0.0005"} 10',
      'election_deadline_lateness_seconds_bucket{le="0.001"} 13',
      'election_deadline_lateness_seconds_bucket{le="0.02"} 15',
      'election_deadline_lateness_seconds_bucket{le="+Inf"} 16',
      'election_deadline_lateness_seconds_sum 0.0645',
      'election_deadline_lateness_seconds_count 16',
    ],
  );
  t.ok(lines.includes('event_loop_delay_max_seconds{process="vrrp"} 0.012'));
  t.ok(lines.includes('event_loop_delay_max_seconds{process="services"} 0.25'));
  t.ok(lines.includes('start_time_seconds 1767225600.5'));
  t.ok(lines.includes('election_report_age_seconds 0.25'));
  t.ok(lines.includes('configuration_info{sha256="abc123"} 1'));
  t.ok(lines.includes('build_info{version="1.2.3",node_version="20.0.0"} 1'));
});

void t.test('a VRRP process that said nothing leaves out what it alone knows', async (t) => {
  const lines = await linesOf(snapshot({ election: undefined }));
  t.same(
    lines.filter((line) => /vrrp|election|configuration_info/.test(line)),
    [],
  );
  t.ok(lines.includes('event_loop_delay_max_seconds{process="services"} 0.25'));
});

void t.test('the kernel’s counters go to the service whose key they have', async (t) => {
  const other = { family: 'ipv4', fwmark: 7 } as const;
  const told = snapshot({
    services: servicesReport({
      virtualServers: [
        virtualServerReport(),
        virtualServerReport({ name: 'marked', service: 'fwm 7', isChecked: false }),
        virtualServerReport({ name: 'absent', service: 'fwm 7 ipv6' }),
      ],
    }),
    table: {
      services: [
        countedService({ key: { family: 'ipv4', protocol: 6, address: '203.0.113.9', port: 1 } }),
        countedService({ key: other, stats: { ...countedService().stats, connections: 42 } }),
        countedService(),
      ],
      ageMs: 0,
      tookMs: 0,
    },
  });
  t.same(await samplesOf('virtual_server_connections_total', told), [
    'virtual_server_connections_total{virtual_server="web",service="tcp 192.0.2.51:80"} 1000',
    'virtual_server_connections_total{virtual_server="marked",service="fwm 7"} 42',
  ]);
  t.same(
    (await samplesOf('virtual_server_present', told)).map((line) => line.slice(-1)),
    ['1', '1', '0'],
  );
  t.same(await samplesOf('ipvs_services', told), [
    'ipvs_services{owner="configuration"} 2',
    'ipvs_services{owner="other"} 1',
  ]);
  const fields = (await linesOf(told)).filter((line) =>
    /^virtual_server_(in|out)\w+_(packets|bytes)_/.test(line),
  );
  t.same(
    fields.filter((line) => line.includes('"web"')).map((line) => line.replace(/\{.*\}/, '')),
    [
      'virtual_server_incoming_packets_total 1001',
      'virtual_server_outgoing_packets_total 1002',
      'virtual_server_incoming_bytes_total 1003',
      'virtual_server_outgoing_bytes_total 1004',
      'virtual_server_incoming_packets_per_second 1006',
      'virtual_server_outgoing_packets_per_second 1007',
      'virtual_server_incoming_bytes_per_second 1008',
      'virtual_server_outgoing_bytes_per_second 1009',
    ],
  );
});

void t.test('connections of a virtual server are those of all its real servers', async (t) => {
  const [one] = countedService().destinations;
  if (one === undefined) throw new Error('no destination');
  const destinations = [one, { ...one, address: '10.0.0.3', activeConnections: 20 }];
  const told = snapshot({
    services: servicesReport({ virtualServers: [virtualServerReport({ isPersistent: true })] }),
    table: { services: [countedService({ destinations })], ageMs: 0, tookMs: 0 },
  });
  const labels = '{virtual_server="web",service="tcp 192.0.2.51:80"}';
  const lines = await linesOf(told);
  t.ok(lines.includes(`virtual_server_active_connections${labels} 25`));
  t.ok(lines.includes(`virtual_server_inactive_connections${labels} 14`));
  t.ok(lines.includes(`virtual_server_persistent_connections${labels} 18`));
});

void t.test('health, and how old it is', async (t) => {
  const lines = await linesOf(FULL);
  const labels = 'virtual_server="web",service="tcp 192.0.2.51:80"';
  t.same(
    lines.filter((line) => line.startsWith('virtual_server_real_servers{')),
    [
      `virtual_server_real_servers{health="up",${labels}} 1`,
      `virtual_server_real_servers{health="down",${labels}} 1`,
      `virtual_server_real_servers{health="unknown",${labels}} 0`,
    ],
  );
  t.ok(lines.includes(`virtual_server_health_age_seconds{${labels}} 2.5`), 'that of the oldest');
  t.ok(lines.includes(`virtual_server_sorry_server_in_use{${labels}} 1`));
  t.ok(lines.includes(`virtual_server_in_panic{${labels}} 0`));
  t.ok(lines.includes(`virtual_server_draining_real_servers{${labels}} 2`));
  const unheard = [realServerReport(), realServerReport({ address: '10.0.0.3', heardMs: undefined })];
  const told = snapshot({
    services: servicesReport({ virtualServers: [virtualServerReport({ realServers: unheard })] }),
  });
  t.same(
    await samplesOf('virtual_server_health_age_seconds', told),
    [],
    'unknown while one was never heard of',
  );
});

void t.test('series of real servers are there only when they are asked for', async (t) => {
  t.same(
    (await linesOf({ ...FULL, realServers: false })).filter((line) => line.startsWith('real_server')),
    [],
  );
  const lines = await linesOf(FULL);
  const labels = (name: string) =>
    `{virtual_server="web",service="tcp 192.0.2.51:80",real_server="${name}:80"}`;
  t.ok(lines.includes(`real_server_up${labels('10.0.0.2')} 1`));
  t.ok(lines.includes(`real_server_up${labels('10.0.0.3')} 0`));
  t.ok(lines.includes(`real_server_verdict_age_seconds${labels('10.0.0.2')} 60`));
  t.ok(lines.includes(`real_server_weight${labels('10.0.0.2')} 3`));
  t.ok(lines.includes(`real_server_connections_total${labels('10.0.0.2')} 100`));
  t.ok(lines.includes(`real_server_active_connections${labels('10.0.0.2')} 5`));
  t.notOk(
    lines.some((line) => line.startsWith(`real_server_weight${labels('10.0.0.3')}`)),
    'not in the kernel',
  );
});

void t.test('one of the kernel alone, such as one that drains, has its counters and no health', async (t) => {
  const told = {
    ...FULL,
    services: servicesReport({ virtualServers: [virtualServerReport({ realServers: [] })] }),
  };
  t.equal((await samplesOf('real_server_connections_total', told)).length, 1);
  t.same(await samplesOf('real_server_up', told), []);
});

void t.test('one with thousands of samples has its words once', async (t) => {
  const text = await textOf(snapshot(manyServices(2000)));
  const name = 'lvs_director_virtual_server_connections_total';
  t.equal(text.split(`# HELP ${name} `).length, 2);
  t.equal(text.split(`# TYPE ${name} `).length, 2);
  const samples = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  t.equal(new Set(samples).size, 2000);
});

void t.test('labels are escaped', async (t) => {
  const told = snapshot({
    election: { ...electionReport({ instances: [instanceReport({ name: 'a"b\\c\nd' })] }), ageMs: 0 },
  });
  t.same(await samplesOf('vrrp_priority', told), ['vrrp_priority{vrrp_instance="a\\"b\\\\c\\nd"} 150']);
});

void t.test('the event loop turns between two metrics', async (t) => {
  let turns = 0;
  const parts = await expositionOf(BUILD, FULL, async () => {
    turns += 1;
  });
  t.ok(turns >= METRICS.length);
  t.equal(turns, parts.length);
});
