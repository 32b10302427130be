/** What a metric is here: its name and words, and its samples out of a scrape. Pure. */

import type { CountedDestination, CountedService } from '../../ipvs/model.js';
import { serviceKeyText } from '../../ipvs/plan.js';
import type { HistogramCounts } from '../../runtime/histogram.js';
import type { MetricsSnapshot } from '../../runtime/services/metrics-snapshot.js';
import type { RealServerReport, VirtualServerReport } from '../../runtime/services/virtual-server-report.js';
import { endpointText } from '../../util/ip-address.js';

export type Labels = Readonly<Record<string, string>>;

/** As prom-client takes it. */
export interface Sample {
  readonly labels?: Labels;
  /** Labels that many samples share: one object for all of them. */
  readonly sharedLabels?: Labels;
  readonly value: number;
  /** Of the parts of a histogram. */
  readonly metricName?: string;
}

export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of all labels that its samples have. */
  readonly labels: readonly string[];
  /** Made one by one as they are written: thousands at a time would be for the garbage collector. */
  samples(scrape: Scrape): Iterable<Sample>;
}

export interface Build {
  /** Of this program and of Node.js. */
  readonly version: string;
  readonly nodeVersion: string;
}

export interface VirtualServerSeries {
  readonly labels: Labels;
  readonly report: VirtualServerReport;
  /** Undefined while the kernel has no such service, or was not read. */
  readonly counted: CountedService | undefined;
}

export interface RealServerSeries {
  readonly labels: Labels;
  /** Undefined for one that is not configured: it drains, is the sorry server, or somebody else's. */
  readonly report: RealServerReport | undefined;
  readonly counted: CountedDestination | undefined;
}

/** A snapshot, with what many metrics need of it worked out once. */
export interface Scrape {
  readonly build: Build;
  readonly snapshot: MetricsSnapshot;
  readonly virtualServers: readonly VirtualServerSeries[];
  /** None unless they are asked for. */
  readonly realServers: readonly RealServerSeries[];
}

export const VIRTUAL_SERVER_LABELS = ['virtual_server', 'service'] as const;
export const REAL_SERVER_LABELS = [...VIRTUAL_SERVER_LABELS, 'real_server'] as const;

export function scrapeOf(build: Build, snapshot: MetricsSnapshot): Scrape {
  const services = new Map(
    (snapshot.table?.services ?? []).map((service) => [serviceKeyText(service.key), service]),
  );
  const virtualServers = snapshot.services.virtualServers.map((report) => {
    const { service } = report;
    return { report, labels: { virtual_server: report.name, service }, counted: services.get(service) };
  });
  const realServers = snapshot.realServers ? virtualServers.flatMap(realServersOf) : [];
  return { build, snapshot, virtualServers, realServers };
}

/** Those of the configuration and those of the kernel. */
function realServersOf({ labels, report, counted }: VirtualServerSeries): RealServerSeries[] {
  const found = new Map<string, { report?: RealServerReport; counted?: CountedDestination }>();
  for (const one of report.realServers) found.set(endpointText(one.address, one.port), { report: one });
  for (const one of counted?.destinations ?? []) {
    const name = endpointText(one.address, one.port);
    found.set(name, { ...found.get(name), counted: one });
  }
  return [...found].map(([name, one]) => ({
    labels: { ...labels, real_server: name },
    report: one.report,
    counted: one.counted,
  }));
}

/** Of milliseconds, to the microsecond: what is beyond is the fault of binary fractions. */
export function seconds(ms: number): number {
  return Math.round(ms * 1000) / 1_000_000;
}

/** `histogram` is in milliseconds, what comes out in seconds; buckets add up, as Prometheus has them. */
export function histogramSamples(name: string, { bounds, counts, sum }: HistogramCounts): readonly Sample[] {
  let below = 0;
  const buckets = counts.map((count, index) => {
    below += count;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : String(seconds(bound));
    return { metricName: `${name}_bucket`, labels: { le }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, value: seconds(sum) },
    { metricName: `${name}_count`, value: below },
  ];
}

/** One sample, or none where nothing is known. */
export function known(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value }];
}
