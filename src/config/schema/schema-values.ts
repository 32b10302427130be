/** What the parts of the schema are made of: kinds of values and how a wrong one is told. */
import * as z from 'zod';
import { canonicalAddress, familyOf } from '../../util/ip-address.js';
import { canonicalPrefix, parseHostAddress, refuseHostPrefix } from '../address.js';
import { DURATION_PATTERN, formatDuration, parseDuration } from '../duration.js';
import { suggestion } from '../nearest.js';
import { MAX_FAULTS } from '../place.js';
import { quote } from '../yaml.js';

/** IFNAMSIZ of the kernel, the closing zero byte left out. */
const MAX_INTERFACE_NAME = 15;
const MAX_NAME = 64;
/** PATH_MAX of the kernel, the closing zero byte left out. */
const MAX_PATH = 4095;

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

/** A value of the file in a message: short, on one line, collections by their kind. */
function show(value: unknown): string {
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string'
    ? quote(value)
    : `${typeof value === 'number' || typeof value === 'boolean' ? value : typeof value}`;
}

/** The message for a value that is missing or is not `expected`. */
export function expect(expected: string): (issue: RawIssue) => string {
  return (issue) =>
    issue.input === undefined
      ? `is missing: expected ${expected}`
      : `expected ${expected}, not ${show(issue.input)}`;
}

/** One line for each unknown key, in the order of `issue.keys`: parse.ts gives each its own position. */
function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  return keys
    .slice(0, MAX_FAULTS + 1)
    .map((key) => {
      const meant = suggestion(key, known);
      return `unknown key ${quote(key)}${meant === '' ? `; known here: ${known.join(', ')}` : meant}`;
    })
    .join('\n');
}

export function mapping<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? unknownKeys(issue.keys, known)
        : expect(`a mapping (${what})`)(issue),
  });
}

export function list<Item extends z.ZodType>(what: string, item: Item) {
  return z.array(item, { error: expect(`a list of ${what}`) });
}

export function integer(min: number, max: number) {
  const error = expect(`a whole number from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

export interface DurationRange {
  /** In milliseconds, as `max` and `step`. */
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** The range as people are told it; made of the three when not given. */
  readonly said?: string;
}

/** Text with a unit in, milliseconds out. */
export function duration({ min, max, step, said }: DurationRange) {
  const whole = step === 1 ? '' : ` in whole ${step === 10 ? 'centiseconds' : 'seconds'}`;
  const range = said ?? `from ${formatDuration(min)} to ${formatDuration(max)}${whole}`;
  const expected = expect(`a duration ${range}, such as 500ms, 1s, 5m or 2h`);
  const fits = (text: string): boolean => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= min && ms <= max && ms % step === 0;
  };
  const withUnit = (value: number): string => {
    const meant = [`${value}s`, `${value}ms`].filter(fits);
    return meant.length === 0
      ? `a duration needs a unit: expected one ${range}`
      : `a duration needs a unit: write ${meant.join(' or ')} instead of ${value}`;
  };
  return z
    .string({ error: (issue) => (typeof issue.input === 'number' ? withUnit(issue.input) : expected(issue)) })
    .regex(DURATION_PATTERN, { error: expected, abort: true })
    .refine(fits, { error: expect(`a duration ${range}`), abort: true })
    .transform((text) => parseDuration(text) ?? min);
}

export function checkedText(expected: string, refuse: (text: string) => string | undefined) {
  return z.string({ error: expect(expected) }).superRefine((text, context) => {
    const reason = refuse(text);
    if (reason !== undefined) context.addIssue({ code: 'custom', message: `${quote(text)} ${reason}` });
  });
}

const NAME_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._-]{0,${MAX_NAME - 1}}$`);
const nameError = expect(`a name of 1 to ${MAX_NAME} letters, digits, '.', '_' or '-'`);
export const name = z.string({ error: nameError }).regex(NAME_PATTERN, { error: nameError });

/** `dev_valid_name` of the kernel: fits IFNAMSIZ, is not `.` or `..`, has no `/`, no `:` and no white space. */
const INTERFACE_PATTERN = new RegExp(`^(?!\\.{1,2}$)[^/:\\s]{1,${MAX_INTERFACE_NAME}}$`);
const interfaceError = expect(
  `an interface name of 1 to ${MAX_INTERFACE_NAME} characters without '/', ':' or white space`,
);
const interfaceName = z.string({ error: interfaceError }).regex(INTERFACE_PATTERN, { error: interfaceError });
export const interfaceOf = z.union([interfaceName, z.record(z.string(), interfaceName)], {
  error: expect('an interface name, or a mapping with one for each director'),
});

/** An address of either family; comes out canonical (RFC 5952). */
export const hostAddress = checkedText('an address such as 192.168.1.253 or 2001:db8::1', (text) => {
  const parsed = parseHostAddress(text);
  return parsed.ok ? undefined : parsed.reason;
}).transform(canonicalAddress);

export const hostPrefix = checkedText(
  'an address with prefix length such as 192.168.1.253/24 or 2001:db8::1/64',
  refuseHostPrefix,
).transform(canonicalPrefix);

/** One for all directors, or for each its own. */
export const addressOf = z.union([hostAddress, z.record(z.string(), hostAddress)], {
  error: expect('an address, or a mapping with one for each director'),
});

/** An address where IPv6 comes later; `what` as the subject of a sentence. */
export const ipv4Only = (what: string) =>
  checkedText('an IPv4 address such as 192.168.1.253', (text) => {
    if (familyOf(text) === 'ipv6') return `is IPv6: IPv6 ${what} are not supported yet`;
    const parsed = parseHostAddress(text);
    return parsed.ok ? undefined : parsed.reason;
  });

export const absolutePath = (what: string) =>
  z
    .string({ error: expect(what) })
    .max(MAX_PATH, { error: `expected at most ${MAX_PATH} characters` })
    .regex(/^\/[^\0]*$/, { error: expect(what) });

/** execve(2) takes 128 KiB; nobody writes that into a file. */
const MAX_ARGUMENT_LENGTH = 4096;
const MAX_ARGUMENTS = 64;
const COMMAND = 'a list of a path and its arguments, such as [/usr/local/bin/probe, --fast]';

const argument = z
  .string({ error: expect('text') })
  .max(MAX_ARGUMENT_LENGTH, { error: `expected at most ${MAX_ARGUMENT_LENGTH} characters` })
  .regex(/^[^\0]*$/, { error: 'a zero byte cannot be passed to a command' });

export const command = z
  .array(argument, { error: expect(COMMAND) })
  .min(1, { error: `expected ${COMMAND}` })
  .max(MAX_ARGUMENTS, { error: `expected at most ${MAX_ARGUMENTS} arguments` });

/** useradd(8) of Debian and of shadow's upstream. */
export const user = z
  .string({ error: expect('the name of a user') })
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?$/, { error: expect('the name of a user') });
