import { UsageError } from './exit-code.js';

/** Milliseconds. The longest first. */
const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** Bytes. The largest of each kind first; what is written is binary. */
const BINARY = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;
const DECIMAL = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['KB', 1e3],
  ['kB', 1e3],
  ['B', 1],
] as const;

const DURATION_UNITS: ReadonlyMap<string, number> = new Map(DURATIONS);
const BYTE_UNITS: ReadonlyMap<string, number> = new Map<string, number>([...BINARY, ...DECIMAL, ['', 1]]);

/**
 * Milliseconds: `10s`, `500ms`, `5m`, `2h`, `1d`. Nothing but 0 goes without a unit: half of those who leave it out mean
 * seconds.
 * @throws UsageError
 */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (/^\d+$/.test(text))
    throw new UsageError(`needs a unit: ${shortened(text)}s for seconds, ${shortened(text)}ms, or m, h, d.`);
  const value = amount(text, DURATION_UNITS);
  if (value === undefined)
    throw new UsageError(`must be a duration such as 10s, 500ms, 5m, 2h or 1d, not "${shortened(text)}".`);
  return value;
}

/** As `parseDuration` reads it, in the largest unit without a fraction. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0';
  const [unit, size] = DURATIONS.find(([, each]) => milliseconds % each === 0) ?? ['ms', 1];
  return `${milliseconds / size}${unit}`;
}

/**
 * Bytes: `262144`, `256KiB`, `1MiB`, `64KB`.
 * @throws UsageError
 */
export function parseBytes(text: string): number {
  const value = amount(text, BYTE_UNITS);
  if (value === undefined)
    throw new UsageError(`must be bytes such as 262144, 256KiB, 1MiB or 64KB, not "${shortened(text)}".`);
  return value;
}

/** As `parseBytes` reads it, in the largest binary unit without a fraction. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  const unit = BINARY.find(([, size]) => bytes % size === 0);
  return unit ? `${bytes / unit[1]}${unit[0]}` : String(bytes);
}

/** What somebody gave, short enough for one line. */
export function shortened(text: string): string {
  return text.length > 64 ? `${text.slice(0, 63)}…` : text;
}

function amount(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,16})([A-Za-z]{0,3})$/.exec(text) ?? [];
  const size = units.get(unit);
  if (digits === undefined || size === undefined) return undefined;
  const value = Number(digits) * size;
  return Number.isSafeInteger(value) ? value : undefined;
}
