/** The table of `director top` as lines of text. Pure. */
import { serviceName } from '../../ipvs/format.js';
import { largeNumber } from '../../ipvs/format-columns.js';
import { endpointText } from '../../util/ip-address.js';
import type { TopNumbers, TopRealServer, TopService, TopView } from './sample.js';

/** The names of `ipvsadm`'s columns. */
const NUMBERS = {
  ActiveConn: 'activeConnections',
  InActConn: 'inactiveConnections',
  CPS: 'connectionsPerSecond',
  InPPS: 'incomingPacketsPerSecond',
  OutPPS: 'outgoingPacketsPerSecond',
  InBPS: 'incomingBytesPerSecond',
  OutBPS: 'outgoingBytesPerSecond',
} as const satisfies Record<string, keyof TopNumbers>;

type NumberColumn = keyof typeof NUMBERS;
const NUMBER_COLUMNS = Object.keys(NUMBERS) as readonly NumberColumn[];

/** By what rows can be sorted: the largest number first, or as `ipvsadm -Ln` has them. In the order of the key `s`. */
export const SORTS: readonly TopSort[] = [
  'CPS',
  'InPPS',
  'OutPPS',
  'InBPS',
  'OutBPS',
  'address',
  'ActiveConn',
  'InActConn',
];
export type TopSort = NumberColumn | 'address';

export function nextSort(sort: TopSort): TopSort {
  return SORTS[(SORTS.indexOf(sort) + 1) % SORTS.length] ?? sort;
}

const FIRST = 'Virtual server';
const COLUMNS = ['State', 'Weight', ...NUMBER_COLUMNS] as const;
type Column = (typeof COLUMNS)[number];

/** Which column goes first where there is no room for all; the one that sorts stays. */
const EXPENDABLE: readonly Column[] = [
  'Weight',
  'OutPPS',
  'InPPS',
  'OutBPS',
  'InBPS',
  'InActConn',
  'ActiveConn',
  'CPS',
  'State',
];
/** So that columns do not move when numbers grow, up to those that `ipvsadm` shortens. */
const NUMBER_WIDTH = 8;
const GAP = '  ';
/** Of the first column, before others go to make room for it. */
const LEAST_FIRST_WIDTH = 24;

export interface TopLook {
  readonly sort: TopSort;
  /** Columns and lines of the terminal. */
  readonly width: number;
  readonly height: number;
  /** The time of day, as it is to be shown. */
  readonly time: string;
  /** What keys there are; undefined where there are none. */
  readonly keys: string | undefined;
}

export interface TopText {
  readonly lines: readonly string[];
  /** Which line has the titles of the columns. */
  readonly title: number;
}

interface Row {
  readonly first: string;
  readonly cells: Readonly<Record<Column, string>>;
}

/** No line is longer than `width`, and there are no more than `height`. */
export function topText(view: TopView, { sort, width, height, time, keys }: TopLook): TopText {
  const servers = view.services.reduce((all, { realServers }) => all + realServers.length, 0);
  const rows = firstOf(rowsOf(view, sort), height);
  const widest = (least: number, textOf: (row: Row) => string): number =>
    rows.reduce((most, row) => Math.max(most, textOf(row).length), least);
  const firstWidth = widest(FIRST.length, ({ first }) => first);
  const widths = Object.fromEntries(
    COLUMNS.map((column) => [column, widest(leastOf(column), ({ cells }) => cells[column])]),
  ) as Record<Column, number>;
  const shown = columnsIn(width - Math.min(firstWidth, LEAST_FIRST_WIDTH), widths, sort);
  const taken = shown.reduce((all, column) => all + GAP.length + widths[column], 0);
  const first = Math.max(0, Math.min(firstWidth, width - taken));
  const lineOf = (name: string, cellOf: (column: Column) => string): string =>
    [name.slice(0, first).padEnd(first), ...shown.map((column) => padded(column, cellOf(column), widths))]
      .join(GAP)
      .trimEnd();
  const head = [headLine(view, servers, sort, time), ...(keys === undefined ? [] : [keys])];
  const body = rows.map(({ first: name, cells }) => lineOf(name, (column) => cells[column]));
  const lines = [...head, lineOf(FIRST, (column) => column), ...body].map((line) => line.slice(0, width));
  const total = head.length + 2 + view.services.length + servers;
  return { lines: total <= height ? lines : cut(lines, total, height, width), title: head.length };
}

function headLine(
  { director, sinceMs, services }: TopView,
  servers: number,
  sort: TopSort,
  time: string,
): string {
  return [
    director === null ? 'no director answers' : `director ${director}`,
    time,
    `virtual servers: ${services.length}, real servers: ${servers}`,
    `by ${sort}`,
    ...(sinceMs === null ? ['rates as the kernel estimates them'] : []),
  ].join(', ');
}

/** The last line says how many of `total` are left out. */
function cut(lines: readonly string[], total: number, height: number, width: number): readonly string[] {
  const kept = Math.max(0, height - 1);
  return [...lines.slice(0, kept), `... ${total - kept} more`.slice(0, width)].slice(0, height);
}

/** Of thousands of rows a terminal has room for some, and the others are not made. */
function firstOf(rows: Iterable<Row>, count: number): readonly Row[] {
  const first: Row[] = [];
  for (const row of rows) {
    if (first.length >= count) break;
    first.push(row);
  }
  return first;
}

/** Those that fit into `room`, in their order. */
function columnsIn(room: number, widths: Readonly<Record<Column, number>>, sort: TopSort): readonly Column[] {
  const shown = new Set<Column>(COLUMNS);
  const needed = () => [...shown].reduce((all, column) => all + GAP.length + widths[column], 0);
  for (const column of EXPENDABLE) {
    if (needed() <= room) break;
    if (column !== sort) shown.delete(column);
  }
  return [...shown];
}

function leastOf(column: Column): number {
  return column in NUMBERS ? Math.max(NUMBER_WIDTH, column.length) : column.length;
}

function padded(column: Column, text: string, widths: Readonly<Record<Column, number>>): string {
  return column === 'State' ? text.padEnd(widths[column]) : text.padStart(widths[column]);
}

function* rowsOf({ total, services }: TopView, sort: TopSort): Generator<Row> {
  yield { first: 'all', cells: { State: '', Weight: '', ...numbersOf(total) } };
  for (const service of sorted(services, sort)) {
    yield serviceRow(service);
    for (const real of sorted(service.realServers, sort)) yield realServerRow(real);
  }
}

function sorted<Each extends TopNumbers>(all: readonly Each[], sort: TopSort): readonly Each[] {
  if (sort === 'address') return all;
  const field = NUMBERS[sort];
  return all.toSorted((left, right) => right[field] - left[field]);
}

function serviceRow(service: TopService): Row {
  const { name, state, inTable } = service;
  return {
    first: [...(name === null ? [] : [name]), serviceName(service).replaceAll(/ +/g, ' ')].join(' '),
    cells: { State: inTable ? (state ?? '') : 'not in table', Weight: '', ...numbersOf(service) },
  };
}

function realServerRow(real: TopRealServer): Row {
  return {
    first: `  -> ${endpointText(real.address, real.port)}`,
    cells: {
      State: real.state ?? '',
      Weight: real.weight === null ? '-' : String(real.weight),
      ...numbersOf(real),
    },
  };
}

function numbersOf(numbers: TopNumbers): Readonly<Record<NumberColumn, string>> {
  const of = (column: NumberColumn): string =>
    largeNumber(Math.round(numbers[NUMBERS[column]]), false).trim();
  return {
    ActiveConn: of('ActiveConn'),
    InActConn: of('InActConn'),
    CPS: of('CPS'),
    InPPS: of('InPPS'),
    OutPPS: of('OutPPS'),
    InBPS: of('InBPS'),
    OutBPS: of('OutBPS'),
  };
}
