/** The time in which a scenario is looked at: probe and new connections run from its first to its last moment. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequestSample } from '../client/client-protocol.js';
import type { ProbeResult } from '../lab/observations.js';
import { Probe } from '../lab/witnesses.js';
import type { Span } from '../report/measure.js';
import { waitFor } from '../wait.js';
import type { Bench } from './site.js';

/** A new connection with one request so often. */
const REQUEST_EVERY_MS = 100;
const PROBE_START_TIMEOUT_MS = 60_000;
const PROBE_START_EVERY_MS = 50;

export interface Observed {
  readonly window: Span;
  readonly probe: ProbeResult;
  readonly samples: readonly RequestSample[];
}

export interface ObservationWindow {
  readonly fromMs: number;
  /** Ends the observation and hands over what was seen. */
  finish(): Promise<Observed>;
}

/** Resolves when the first answers to the probe are in. Rejects with DrillError when there are none. */
export async function openWindow(bench: Bench): Promise<ObservationWindow> {
  const { probeIntervalMs, signal, topology, workDir } = bench.options;
  const { vip, port } = topology;
  const file = join(workDir, 'probe.txt');
  const client = bench.lab.hosts('client')[0]?.name ?? '';
  const probe = await Probe.start(bench.lab, client, vip, probeIntervalMs, file);
  await waitFor(
    'the VIP does not answer',
    async () => ((await stat(file)).size > 0 ? undefined : `no answer from ${vip}`),
    { timeoutMs: PROBE_START_TIMEOUT_MS, everyMs: PROBE_START_EVERY_MS, signal },
  );
  await bench.client.send({ command: 'requests-start', address: vip, port, everyMs: REQUEST_EVERY_MS });
  const fromMs = Date.now();
  return {
    fromMs,
    async finish() {
      const toMs = Date.now();
      const [result, { samples }] = await Promise.all([
        probe.stop(),
        bench.client.send({ command: 'requests-stop' }),
      ]);
      return { window: { fromMs, toMs }, probe: result, samples };
    },
  };
}
