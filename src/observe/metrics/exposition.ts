/** Metrics as the text that Prometheus reads (text format 0.0.4). */
import type { Metric as ClientMetric } from 'prom-client';
import Registry from 'prom-client/lib/registry.js';
import type { MetricsSnapshot } from '../../runtime/services/metrics-snapshot.js';
import { BFD_METRICS } from './bfd-metrics.js';
import { ELECTION_METRICS } from './election-metrics.js';
import { type Build, type Metric, type Sample, scrapeOf } from './metric.js';
import { PEER_METRICS } from './peer-metrics.js';
import { SERVICES_METRICS } from './services-metrics.js';
import { TABLE_METRICS } from './table-metrics.js';

export const METRICS: readonly Metric[] = [
  ...SERVICES_METRICS,
  ...ELECTION_METRICS,
  ...BFD_METRICS,
  ...PEER_METRICS,
  ...TABLE_METRICS,
];

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Samples that are written at a time: what they need is garbage before the next ones, and thousands would hold up the loop. */
const SLICE = 250;

/** The text of all metrics that have samples, in parts. The event loop turns (`breathe`) between two of them. */
export async function expositionOf(
  build: Build,
  snapshot: MetricsSnapshot,
  breathe: () => Promise<void>,
): Promise<readonly Uint8Array[]> {
  const scrape = scrapeOf(build, snapshot);
  const parts: Uint8Array[] = [];
  for (const metric of METRICS) {
    let isFirst = true;
    for (const slice of slicesOf(metric.samples(scrape))) {
      const text = await textOf(metric, slice);
      parts.push(Buffer.from(isFirst ? text : text.slice(endOfWords(text))));
      isFirst = false;
      await breathe();
    }
  }
  return parts;
}

function* slicesOf(samples: Iterable<Sample>): Iterable<readonly Sample[]> {
  let slice: Sample[] = [];
  for (const sample of samples) {
    slice.push(sample);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

/** The registry asks each of its metrics for what prom-client's own classes would answer, whose books are not ours to keep. */
async function textOf({ name, type, help }: Metric, values: readonly Sample[]): Promise<string> {
  const registry = new Registry();
  registry.registerMetric({
    name,
    get: async () => ({ name, type, help, values }),
  } as unknown as ClientMetric);
  return `${await registry.getSingleMetricAsString(name)}\n`;
}

/** Where the samples begin, behind the lines HELP and TYPE. */
function endOfWords(text: string): number {
  return text.indexOf('\n', text.indexOf('\n') + 1) + 1;
}
