/** The timeline of one scenario as an inline picture. Pure; colours come from the page's style. */
import { type ConnectionsOfKind, kindsOf } from './connections.js';
import type { ScenarioReport, TimelineSpan } from './report.js';

const WIDTH = 1000;
const LABEL_WIDTH = 170;
const RIGHT_MARGIN = 14;
const TOP = 26;
const LANE_GAP = 8;
const BAR = 18;
const THIN_BAR = 8;
const REQUEST_LANE = 44;
/** A request that took this long reaches the top of its lane; the scale is logarithmic from 1 ms. */
const REQUEST_TOP_MS = 10_000;
/** Narrower bars get no words. */
const MIN_WIDTH_FOR_TEXT = 46;
const TICK_STEPS_MS = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000];
const MAX_TICKS = 16;

/** Text for HTML and SVG, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

interface Scale {
  (ms: number): number;
}

interface Lane {
  readonly label: string;
  readonly height: number;
  draw(y: number): string;
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(ms % 1000 === 0 ? 0 : 1))} s`;
}

function px(value: number): string {
  return value.toFixed(1);
}

function bar(
  x1: number,
  x2: number,
  y: number,
  height: number,
  look: string,
  title: string,
  text = '',
): string {
  const width = Math.max(1, x2 - x1);
  const words =
    text !== '' && width > Math.max(MIN_WIDTH_FOR_TEXT, text.length * 7)
      ? `<text x="${px(x1 + 6)}" y="${px(y + height - 5)}" class="on ${look}-on">${escapeHtml(text)}</text>`
      : '';
  return `<rect x="${px(x1)}" y="${px(y)}" width="${px(width)}" height="${height}" rx="2" class="${look}"><title>${escapeHtml(title)}</title></rect>${words}`;
}

function spanTitle(span: TimelineSpan, fault: number): string {
  const length = Math.round(span.to_ms - span.from_ms);
  return `${span.lane}: ${span.state}, from ${Math.round(span.from_ms - fault)} ms after the fault, for ${length} ms`;
}

const STATE_LOOK: Readonly<Record<string, string>> = {
  master: 'master',
  backup: 'backup',
  unplugged: 'bad',
  fault: 'bad',
  dead: 'bad',
  'no answer': 'bad',
  'taken out': 'warn',
};

function stateLane(scenario: ScenarioReport, lane: string, scale: Scale): Lane {
  const spans = scenario.spans.filter((span) => span.lane === lane);
  return {
    label: lane,
    height: BAR,
    draw: (y) =>
      spans
        .map((span) =>
          bar(
            scale(span.from_ms),
            scale(span.to_ms),
            // What lies over a state, such as a pulled cable, leaves the state in sight.
            span.state === 'unplugged' ? y + BAR - 5 : y,
            span.state === 'unplugged' ? 5 : BAR,
            STATE_LOOK[span.state] ?? 'off',
            spanTitle(span, scenario.fault_ms),
            span.state === 'unplugged' ? '' : span.state,
          ),
        )
        .join(''),
  };
}

/** Both directors in one lane, one above the other: what overlaps was held twice. */
function addressLane(
  scenario: ScenarioReport,
  address: string,
  directors: readonly string[],
  scale: Scale,
): Lane {
  return {
    label: address,
    height: 2 * THIN_BAR + 2,
    draw: (y) =>
      directors
        .flatMap((director, index) =>
          scenario.spans
            .filter((span) => span.lane === `${director} ${address}`)
            .map((span) =>
              bar(
                scale(span.from_ms),
                scale(span.to_ms),
                y + index * (THIN_BAR + 2),
                THIN_BAR,
                index === 0 ? 'first' : 'second',
                spanTitle(span, scenario.fault_ms),
              ),
            ),
        )
        .join(''),
  };
}

/** Lanes of answers, with the stretches without one. */
const PROBE_LANES: readonly string[] = ['probe', 'probe-ipv6', 'udp'];

function probeLane(scenario: ScenarioReport, lane: string, scale: Scale): Lane {
  const holes = scenario.spans.filter((span) => span.lane === lane);
  return {
    label: lane,
    height: BAR,
    draw: (y) =>
      bar(
        scale(0),
        scale(scenario.duration_ms),
        y,
        BAR,
        'good',
        `answers to the ${lane === 'udp' ? 'UDP requests' : 'probe'}`,
        'answers',
      ) +
      holes
        .map((span) => {
          const text = `${Math.round(span.to_ms - span.from_ms)} ms`;
          return bar(
            scale(span.from_ms),
            scale(span.to_ms),
            y,
            BAR,
            'bad',
            spanTitle(span, scenario.fault_ms),
            text,
          );
        })
        .join(''),
  };
}

function requestLane(scenario: ScenarioReport, scale: Scale): Lane {
  return {
    label: 'new requests',
    height: REQUEST_LANE,
    draw: (y) =>
      scenario.request_points
        .map((point) => {
          const share = Math.min(1, Math.log10(Math.max(1, point.duration_ms)) / Math.log10(REQUEST_TOP_MS));
          const x = px(scale(point.t_ms));
          const top = px(y + REQUEST_LANE - Math.max(2, share * REQUEST_LANE));
          const look = point.server === null ? 'failed' : 'answered';
          const what = point.server === null ? 'failed' : `answered by ${point.server}`;
          return `<line x1="${x}" x2="${x}" y1="${px(y + REQUEST_LANE)}" y2="${top}" class="${look}"><title>${escapeHtml(`${what} after ${Math.round(point.duration_ms)} ms`)}</title></line>`;
        })
        .join(''),
  };
}

/** Until the fault all are open; after it the share that was lost is red. */
function connectionLane(
  scenario: ScenarioReport,
  kind: string,
  { opened, survived }: ConnectionsOfKind,
  scale: Scale,
): Lane {
  const share = opened === 0 ? 0 : survived / opened;
  const title = `${survived} of ${opened} ${kind} connections survived`;
  return {
    label: `${kind} ${survived}/${opened}`,
    height: THIN_BAR + 2,
    draw: (y) => {
      const height = THIN_BAR + 2;
      const fault = scale(scenario.fault_ms);
      const end = scale(scenario.duration_ms);
      return (
        bar(scale(0), fault, y, height, 'good', `${opened} ${kind} connections open`) +
        (share > 0 ? bar(fault, end, y, Math.max(1, Math.round(height * share)), 'good', title) : '') +
        (share < 1
          ? bar(
              fault,
              end,
              y + Math.round(height * share),
              Math.max(1, Math.round(height * (1 - share))),
              'bad',
              title,
            )
          : '')
      );
    },
  };
}

/** The directors, in the order in which they are drawn: whoever had a role or held an address. */
export function addressHolders(scenario: ScenarioReport): string[] {
  const roles = ['master', 'backup', 'holds'];
  const directors = scenario.spans.filter((span) => roles.includes(span.state));
  return [...new Set(directors.map((span) => span.lane.split(' ')[0] ?? ''))].toSorted();
}

function lanesOf(scenario: ScenarioReport, scale: Scale): Lane[] {
  const lanes = [...new Set(scenario.spans.map((span) => span.lane))];
  const holders = lanes.filter(
    (lane) =>
      lane.includes(' ') && scenario.spans.some((span) => span.lane === lane && span.state === 'holds'),
  );
  const directors = addressHolders(scenario);
  const states = lanes.filter((lane) => !PROBE_LANES.includes(lane) && !holders.includes(lane));
  const addresses = [...new Set(holders.map((lane) => lane.split(' ')[1] ?? ''))];
  return [
    ...states.map((lane) => stateLane(scenario, lane, scale)),
    ...addresses.map((address) => addressLane(scenario, address, directors, scale)),
    probeLane(scenario, 'probe', scale),
    ...(scenario.services?.ipv6 === undefined ? [] : [probeLane(scenario, 'probe-ipv6', scale)]),
    ...(scenario.services?.udp === undefined ? [] : [probeLane(scenario, 'udp', scale)]),
    ...kindsOf([scenario]).flatMap((kind) => {
      const kept = scenario.connections[kind];
      return kept === undefined ? [] : [connectionLane(scenario, kind, kept, scale)];
    }),
    requestLane(scenario, scale),
  ];
}

function axis(scenario: ScenarioReport, scale: Scale, bottom: number): string {
  const step =
    TICK_STEPS_MS.find((candidate) => scenario.duration_ms / candidate <= MAX_TICKS) ?? scenario.duration_ms;
  const parts: string[] = [];
  const first = Math.ceil(-scenario.fault_ms / step);
  for (let index = first; index * step + scenario.fault_ms <= scenario.duration_ms; index += 1) {
    const x = px(scale(index * step + scenario.fault_ms));
    parts.push(
      `<line x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${bottom}" class="grid"/>`,
      `<text x="${x}" y="${bottom + 16}" class="tick">${seconds(index * step)}</text>`,
    );
  }
  return parts.join('');
}

/** The picture: time runs to the right, 0 s is the fault. */
export function timelineSvg(scenario: ScenarioReport): string {
  const span = Math.max(1, scenario.duration_ms);
  const scale: Scale = (ms) => LABEL_WIDTH + (ms / span) * (WIDTH - LABEL_WIDTH - RIGHT_MARGIN);
  const drawn: string[] = [];
  let y = TOP;
  for (const lane of lanesOf(scenario, scale)) {
    drawn.push(
      `<text x="${LABEL_WIDTH - 10}" y="${px(y + lane.height / 2 + 4)}" class="label">${escapeHtml(lane.label)}</text>`,
      lane.draw(y),
    );
    y += lane.height + LANE_GAP;
  }
  const fault = px(scale(scenario.fault_ms));
  const mark = `<line x1="${fault}" x2="${fault}" y1="${TOP - 8}" y2="${y}" class="fault"/><text x="${fault}" y="${TOP - 12}" class="fault-text">${escapeHtml(scenario.name)}</text>`;
  return `<svg viewBox="0 0 ${WIDTH} ${y + 24}" role="img" aria-label="timeline of ${escapeHtml(scenario.name)}">${axis(scenario, scale, y)}${drawn.join('')}${mark}</svg>`;
}
