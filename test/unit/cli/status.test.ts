/** `director status` for people. */
import t from 'tap';
import { formatStatus } from '../../../src/cli/status.js';
import { instanceSettings } from '../../../src/planning/settings.js';
import type { DirectorStatus, InstanceStatus } from '../../../src/runtime/status.js';
import { vrrpInstance } from '../vrrp/instances.js';

const CALM = { max_ms: 0, p99_ms: 0 };

function status(change: Partial<InstanceStatus>): DirectorStatus {
  const instance: InstanceStatus = {
    name: 'outside',
    interface: 'eth0',
    virtual_router_id: 51,
    state: 'backup',
    priority: 150,
    advertisement_interval_ms: 1000,
    effective_priority: 150,
    faults: [],
    since_s: 3,
    master: '192.0.2.12',
    addresses: ['192.0.2.1/24'],
    settings: instanceSettings(vrrpInstance()),
    counters: {},
    maintenance: 'off',
    handing_over: false,
    ...change,
  };
  return {
    version: 1,
    director: 'lb1',
    started: '2026-01-02T03:04:05.006Z',
    configuration: { path: '/run/x.json', sha256: 'abc' },
    instances: [instance],
    sync_groups: [],
    virtual_servers: [],
    connection_sync: null,
    services: { state: 'running', answers: true, pid: 1, restarts: 0, event_loop: null, log: null },
    event_loop: CALM,
    log: { lines_lost: 0, failed_writes: 0, error: null },
    deadline_lateness: { count: 0, ...CALM, over_20_ms: 0 },
  };
}

void t.test('an instance that cannot serve says why', async (t) => {
  const faults = ['link of eth0 is down', 'uplink is down'];
  t.match(
    formatStatus(status({ state: 'fault', faults })),
    'outside cannot serve: link of eth0 is down; uplink is down',
  );
  t.notMatch(formatStatus(status({})), 'cannot serve');
});

void t.test('who waits for its connection table says what for, and how long at most', async (t) => {
  const awaits_sync = { text: '812 of 1000 connections are here', at_most_s: 43 };
  t.match(
    formatStatus(status({ state: 'backup', awaits_sync })),
    'outside takes over when the connection table is complete, in at most 43s: 812 of 1000 connections are here',
  );
  t.notMatch(formatStatus(status({ awaits_sync: null })), 'takes over');
});

void t.test('the priority that counts now is shown where it is another', async (t) => {
  t.match(formatStatus(status({ effective_priority: 50 })), '150 (now 50)');
  t.notMatch(formatStatus(status({})), 'now');
});

void t.test('of several checks each has a line', async (t) => {
  const real = {
    address: '10.0.0.2',
    port: 80,
    weight: 1,
    health: 'down',
    reason: 'http:80: refused',
  } as const;
  const server = {
    name: 'web',
    address: '192.0.2.51',
    port: 80,
    protocol: 'tcp',
    scheduler: 'rr',
    forwarding: 'nat',
  };
  const checks = [
    { check: 'tcp:80', health: 'up', reason: null },
    { check: 'http:80', health: 'down', reason: 'refused' },
  ] as const;
  const lines = (realServer: DirectorStatus['virtual_servers'][number]['real_servers'][number]) =>
    formatStatus({ ...status({}), virtual_servers: [{ ...server, real_servers: [realServer] }] })
      .split('\n')
      .map((line) => line.trim().replaceAll(/ +/g, ' '));
  const told = lines({ ...real, checks });
  const at = told.indexOf('-> 10.0.0.2:80 weight 1 down');
  t.same(told.slice(at, at + 3), ['-> 10.0.0.2:80 weight 1 down', 'tcp:80 up', 'http:80 down refused']);
  t.ok(lines(real).includes('-> 10.0.0.2:80 weight 1 down http:80: refused'));
  const up = { ...real, health: 'up', reason: null } as const;
  const weight = (weights: object) => lines({ ...up, ...weights })[at];
  t.equal(weight({ weight: 5, file_weight: 1, check_weight: 5 }), '-> 10.0.0.2:80 weight 5 (file: 1) up');
  t.equal(
    weight({ weight: 0, file_weight: 1, check_weight: 5 }),
    '-> 10.0.0.2:80 weight 0 (file: 1, check: 5) up',
  );
});
