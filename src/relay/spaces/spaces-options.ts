import { SecureWebSocketError } from '../../core/errors.js';
import { MAX_DELAY } from '../../link/clock.js';
import type { HookOptions } from '../admission/admission-options.js';

/** "May this client enter this space?" */
export interface SpaceEntry {
  readonly space: string;
  /** 64 hex digits: proven. */
  readonly publicKey: string;
  /** Who the user is, in the words of whoever admitted the client (`sub` of a token), if anybody said. */
  readonly userId: string | undefined;
  /** What the client calls its device, signed by its key: '' where it says nothing. Nobody has checked it. */
  readonly deviceId: string;
  /** The IP address that it comes from, where that is known. */
  readonly ip: string | undefined;
}

/** Spaces of a relay: encrypted rooms, whose members hear all that one of them says. */
export interface SpacesOptions {
  /** Default true. */
  readonly enabled?: boolean | undefined;
  /**
   * Who may enter which space. Whatever it throws, and no answer within 10 s, counts as no answer: the client may try
   * again. Default: everybody every space.
   */
  readonly mayEnter?: ((entry: SpaceEntry) => boolean | Promise<boolean>) | undefined;
  /** The same, asked by HTTP. With both, both must agree. */
  readonly hook?: HookOptions | undefined;
  /** Spaces that one connection may be in, and places that one key may have kept. Default 64. */
  readonly maxSpacesPerClient?: number | undefined;
  /** Members of one space. Default 2,048. */
  readonly maxMembers?: number | undefined;
  /** Members of all spaces together. Default 100,000. */
  readonly maxTotalMembers?: number | undefined;
  /** Spaces at a time. Default 10,000. */
  readonly maxSpaces?: number | undefined;
  /** How often one connection may enter a space, or ask for its members, per second. 64 at once. Default 20. */
  readonly entersPerSecond?: number | undefined;
  /** Messages of one member per second; as many at once. Default: no limit. */
  readonly messagesPerSecond?: number | undefined;
  /** So long the place of a member is kept whose connection was lost, milliseconds. Default 30 s. */
  readonly awayTime?: number | undefined;
  /** What is kept of each space for those who were away: items, bytes, milliseconds. Default 1,024, 4 MiB and 2 min. */
  readonly historyItems?: number | undefined;
  readonly historyBytes?: number | undefined;
  readonly historyTime?: number | undefined;
  /** What is kept of all spaces together, bytes. Default 64 MiB. */
  readonly maxTotalHistoryBytes?: number | undefined;
}

/** Numbers that have been checked, with every default filled in. */
export interface SpaceLimits {
  readonly maxSpacesPerClient: number;
  readonly maxMembers: number;
  readonly maxTotalMembers: number;
  readonly maxSpaces: number;
  readonly entersPerSecond: number;
  readonly messagesPerSecond: number | undefined;
  readonly awayTime: number;
  readonly historyItems: number;
  readonly historyBytes: number;
  readonly historyTime: number;
  readonly maxTotalHistoryBytes: number;
}

export interface CheckedSpaces extends SpaceLimits {
  readonly enabled: boolean;
  readonly mayEnter: SpacesOptions['mayEnter'];
  readonly hook: HookOptions | undefined;
}

/**
 * With every default filled in. False is short for "not enabled".
 * @throws SecureWebSocketError `INVALID_ARGUMENT`
 */
export function checkSpaces(given: false | SpacesOptions = {}): CheckedSpaces {
  const options = given === false ? { enabled: false } : given;
  // Callers in plain JavaScript bring anything.
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null)
    throw invalid('"spaces" is false, or an object with options.');
  const { enabled = true, mayEnter, hook, messagesPerSecond }: SpacesOptions = options;
  if (typeof (enabled as unknown) !== 'boolean') throw invalid('"spaces.enabled" is true or false.');
  if (mayEnter !== undefined && typeof (mayEnter as unknown) !== 'function')
    throw invalid('"spaces.mayEnter" is a function.');
  const integer = (name: keyof SpaceLimits, fallback: number, min = 1, max = Number.MAX_SAFE_INTEGER) => {
    const value: unknown = options[name];
    if (value === undefined) return fallback;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    const range =
      max === Number.MAX_SAFE_INTEGER
        ? `of at least ${String(min)}`
        : `from ${String(min)} to ${String(max)}`;
    const shown = typeof value === 'number' ? String(value) : `a ${typeof value}`;
    throw invalid(`"spaces.${name}" is an integer ${range}, not ${shown}.`);
  };
  return {
    enabled,
    mayEnter,
    hook,
    maxSpacesPerClient: integer('maxSpacesPerClient', 64, 1, 65_536),
    maxMembers: integer('maxMembers', 2_048, 1, 65_535),
    maxTotalMembers: integer('maxTotalMembers', 100_000),
    maxSpaces: integer('maxSpaces', 10_000),
    entersPerSecond: integer('entersPerSecond', 20),
    messagesPerSecond: messagesPerSecond === undefined ? undefined : integer('messagesPerSecond', 1),
    awayTime: integer('awayTime', 30_000, 0, MAX_DELAY),
    historyItems: integer('historyItems', 1_024, 1, 1_048_576),
    historyBytes: integer('historyBytes', 4_194_304),
    historyTime: integer('historyTime', 120_000, 1, MAX_DELAY),
    maxTotalHistoryBytes: integer('maxTotalHistoryBytes', 67_108_864),
  };
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
