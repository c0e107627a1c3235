import { DEFAULT_MAX_PAYLOAD } from '../../core/constants.js';
import { UsageError } from '../exit-code.js';
import { type OptionSpecs, type OptionValues, toInteger } from '../options.js';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../quantity.js';

const DEFAULTS = {
  maxConnections: 1_000,
  maxPending: 100,
  maxPayload: DEFAULT_MAX_PAYLOAD,
  maxBuffered: 16 * 1_048_576,
  openTimeout: 20_000,
};

/** The most bytes of a message or of what waits: they are kept in memory. */
const MAX_BYTES = 1_073_741_824;
/** A peer gives an answer no longer than this. Milliseconds. */
const MAX_OPEN_TIMEOUT = 25_000;

/** Options of what joins connections. */
export const BRIDGE_OPTIONS = {
  'no-reconnect': {
    type: 'boolean',
    help: 'End a connection when its far side is lost. Without it the near side stays, and what it sends waits.',
  },
  'max-connections': {
    type: 'string',
    value: 'N',
    help: `Connections at a time; others are refused with 503. Default: ${DEFAULTS.maxConnections}.`,
  },
  'max-pending': {
    type: 'string',
    value: 'N',
    help: `Connections that are being made at a time. Default: ${DEFAULTS.maxPending}.`,
  },
  'max-payload': {
    type: 'string',
    value: 'BYTES',
    help: `The largest message, in either direction: 1MiB, 64KB. Default: ${formatBytes(DEFAULTS.maxPayload)}.`,
  },
  'max-buffered': {
    type: 'string',
    value: 'BYTES',
    help:
      'What may wait in one connection for a far side that is out of reach; then the near side is read no further. ' +
      `Default: ${formatBytes(DEFAULTS.maxBuffered)}.`,
  },
  'open-timeout': {
    type: 'string',
    value: 'TIME',
    help: `How long a connection may take to be made: 10s, 500ms. Default: ${formatDuration(DEFAULTS.openTimeout)}.`,
  },
  verbose: { type: 'boolean', short: 'v', help: 'Say who comes and goes.' },
  json: { type: 'boolean', help: 'Say everything as one JSON object per line, on stdout.' },
} as const satisfies OptionSpecs;

/** Limits of what joins connections, in bytes and milliseconds. */
export type BridgeLimits = Readonly<typeof DEFAULTS>;

/** @throws UsageError */
export function bridgeLimits(values: OptionValues<typeof BRIDGE_OPTIONS>): BridgeLimits {
  const count = (name: 'max-connections' | 'max-pending', fallback: number): number => {
    const text = values[name];
    return text === undefined ? fallback : toInteger(text, `--${name}`, 1, 1_000_000);
  };
  const bytes = (name: 'max-payload' | 'max-buffered', fallback: number): number =>
    quantity(name, fallback, parseBytes, [1, MAX_BYTES], formatBytes);
  const quantity = (
    name: 'max-payload' | 'max-buffered' | 'open-timeout',
    fallback: number,
    parse: (text: string) => number,
    [least, most]: readonly [number, number],
    format: (value: number) => string,
  ): number => {
    const text = values[name];
    if (text === undefined) return fallback;
    let value: number;
    try {
      value = parse(text);
    } catch (error) {
      throw new UsageError(`--${name} ${(error as UsageError).message}`);
    }
    if (value >= least && value <= most) return value;
    throw new UsageError(`--${name} must be from ${format(least)} to ${format(most)}, not ${format(value)}.`);
  };
  return {
    maxConnections: count('max-connections', DEFAULTS.maxConnections),
    maxPending: count('max-pending', DEFAULTS.maxPending),
    maxPayload: bytes('max-payload', DEFAULTS.maxPayload),
    maxBuffered: bytes('max-buffered', DEFAULTS.maxBuffered),
    openTimeout: quantity(
      'open-timeout',
      DEFAULTS.openTimeout,
      parseDuration,
      [1, MAX_OPEN_TIMEOUT],
      formatDuration,
    ),
  };
}
