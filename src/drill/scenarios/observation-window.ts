/** The time in which a scenario is looked at: probe and new connections run from its first to its last moment. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FlowRequest } from '../client/client-protocol.js';
import { Load, type RequestSample } from '../client/load.js';
import type { ProbeResult } from '../lab/observations.js';
import { Probe } from '../lab/witnesses.js';
import { longestGap, round, type Span } from '../report/measure.js';
import type { Baseline } from '../report/verdict.js';
import { waitFor } from '../wait.js';
import type { Bench } from './site.js';

/** Of the second probe: an emulated processor has no room for two as eager as the first. */
const IPV6_PROBE_MS = 20;
/** A new request is waited for so long at least: how long is too long, the undisturbed lab tells. */
const REQUEST_PATIENCE_MS = 20_000;
const PROBE_START_TIMEOUT_MS = 60_000;
const PROBE_START_EVERY_MS = 50;

export interface Observed {
  readonly window: Span;
  readonly probe: ProbeResult;
  /** Of the IPv6 virtual address, where there is one. */
  readonly ipv6Probe?: ProbeResult | undefined;
  readonly samples: readonly RequestSample[];
  /** Requests over UDP since the flows were opened. */
  readonly flowRequests: readonly FlowRequest[];
}

export interface ObservationWindow {
  readonly fromMs: number;
  /** What was seen until now, as that of a lab to which nothing was done. */
  baseline(): Promise<Baseline>;
  /** Ends the observation and hands over what was seen. */
  finish(): Promise<Observed>;
}

/** Resolves when the first answer is in. Rejects with DrillError when there is none. */
async function startProbe(
  bench: Bench,
  address: string,
  probeIntervalMs: number,
  fileName: string,
): Promise<Probe> {
  const { signal, workDir } = bench.options;
  const file = join(workDir, fileName);
  const client = bench.lab.hosts('client')[0]?.name ?? '';
  const probe = await Probe.start(bench.lab, client, address, probeIntervalMs, file);
  await waitFor(
    'the VIP does not answer',
    async () => ((await stat(file)).size > 0 ? undefined : `no answer from ${address}`),
    { timeoutMs: PROBE_START_TIMEOUT_MS, everyMs: PROBE_START_EVERY_MS, signal },
  );
  return probe;
}

/**
 * Resolves when the first answers to the probes are in. Rejects with DrillError when there are none.
 *
 * @param requestLimitMs in which each new request is to be answered, as far as is known yet
 */
export async function openWindow(bench: Bench, requestLimitMs: number): Promise<ObservationWindow> {
  const { probeIntervalMs, requestRate, topology, workDir } = bench.options;
  const { vip, port, services = {} } = topology;
  const { ipv6 } = services;
  const addresses = ipv6 === undefined ? [vip] : [vip, ipv6];
  const [probe, ipv6Probe, load] = await Promise.all([
    startProbe(bench, vip, probeIntervalMs, 'probe.txt'),
    ipv6 === undefined ? undefined : startProbe(bench, ipv6, IPV6_PROBE_MS, 'probe-ipv6.txt'),
    Load.start(bench.lab, bench.lab.hosts('client')[0]?.name ?? '', {
      addresses,
      port,
      rate: requestRate,
      limitMs: Math.max(REQUEST_PATIENCE_MS, requestLimitMs),
      file: join(workDir, 'load.txt'),
    }),
  ]);
  const fromMs = Date.now();
  return {
    fromMs,
    async baseline() {
      const [{ answersMs }, samples] = await Promise.all([probe.soFar(), load.soFar()]);
      const gap = longestGap(answersMs, { fromMs, toMs: answersMs.at(-1) ?? Date.now() });
      const requestMs = samples.reduce((slowest, { durationMs }) => Math.max(slowest, durationMs), 0);
      return { gapMs: round(gap.toMs - gap.fromMs), requestMs: round(requestMs) };
    },
    async finish() {
      const toMs = Date.now();
      const [result, ipv6Result, samples, { requests }] = await Promise.all([
        probe.stop(),
        ipv6Probe?.stop(),
        load.stop(),
        bench.client.send({ command: 'flows-requests' }),
      ]);
      const window = { fromMs, toMs };
      return {
        window,
        probe: result,
        ipv6Probe: ipv6Result,
        samples: samples.filter(({ startMs }) => startMs >= fromMs),
        flowRequests: requests,
      };
    },
  };
}
