import { isIP } from 'node:net';
import { SecureWebSocketError } from '../core/errors.js';
import { UsageError } from './exit-code.js';
import { webSocketUrl } from './location.js';
import { formatBytes, formatDuration, parseBytes, parseDuration, shortened } from './quantity.js';

/** One value of a setting. A list has several. */
export type Scalar = string | number | boolean;

/** What the values of a setting are, and how they are written. */
export interface Kind {
  /** A word, for the table in the documentation. */
  readonly name: string;
  /** What stands for the value in --help. */
  readonly value: string;
  /**
   * A value from the command line or the environment.
   * @throws UsageError whose message follows the name of the setting: `must be …`
   */
  fromText(text: string): Scalar;
  /**
   * A value from a configuration file, where numbers are numbers.
   * @throws UsageError as above
   */
  fromData(data: Scalar): Scalar;
  /** As it would be typed, without what is secret in it. */
  format(value: Scalar): string;
}

/** The longest that a timer of Node can wait, in whole days. Milliseconds. */
const MAX_DURATION = 24 * 86_400_000;
const MAX_TEXT = 4_096;

export function integer(least: number, most: number): Kind {
  const check = (value: number, given: string): number => {
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw unfit(`a whole number from ${least} to ${most}`, given);
  };
  return {
    name: `integer, ${least} to ${most}`,
    value: 'N',
    fromText: text => check(/^\d{1,15}$/.test(text) ? Number(text) : NaN, quoted(text)),
    fromData: data => check(typeof data === 'number' ? data : NaN, shown(data)),
    format: String,
  };
}

/** Milliseconds, from `least` to 24 days. */
export function duration(least = 0): Kind {
  const check = (value: number): number => {
    if (value >= least && value <= MAX_DURATION) return value;
    throw unfit(`from ${formatDuration(least)} to ${formatDuration(MAX_DURATION)}`, formatDuration(value));
  };
  const fromText = (text: string): number => check(parseDuration(text));
  return {
    name: least === 0 ? 'duration' : `duration, at least ${formatDuration(least)}`,
    value: 'TIME',
    fromText,
    // A bare number gets the same answer as one that is typed.
    fromData: data => fromText(String(data)),
    format: value => formatDuration(Number(value)),
  };
}

export function bytes(least: number, most = Number.MAX_SAFE_INTEGER): Kind {
  const range =
    most === Number.MAX_SAFE_INTEGER
      ? `at least ${formatBytes(least)}`
      : `from ${formatBytes(least)} to ${formatBytes(most)}`;
  const check = (value: number): number => {
    if (value >= least && value <= most) return value;
    throw unfit(range, formatBytes(value));
  };
  const fromText = (text: string): number => check(parseBytes(text));
  return {
    name: least === 1 ? 'bytes' : `bytes, ${range.replace('from ', '')}`,
    value: 'BYTES',
    fromText,
    fromData: data => fromText(String(data)),
    format: value => formatBytes(Number(value)),
  };
}

export const BOOLEAN: Kind = {
  name: 'boolean',
  value: '',
  fromText: text => {
    if (text === 'true' || text === 'false') return text === 'true';
    throw unfit('true or false', quoted(text));
  },
  fromData: data => {
    if (typeof data === 'boolean') return data;
    throw unfit('true or false', shown(data));
  },
  format: String,
};

/** Text that fits `pattern`: `expected` says which that is. */
export function text(value: string, expected = 'text', pattern = /^[^\0]+$/, limit = MAX_TEXT): Kind {
  const fromText = (given: string): string => {
    if (given.length > limit) throw new UsageError(`must have at most ${limit} characters.`);
    if (pattern.test(given)) return given;
    throw unfit(expected, quoted(given));
  };
  return { name: 'text', value, fromText, fromData: onlyText(expected, fromText), format: String };
}

/** The path of a file. One in a configuration file starts from where that is. */
export const PATH: Kind = { ...text('FILE', 'the path of a file'), name: 'path' };

export function oneOf(...words: readonly string[]): Kind {
  const expected = `one of ${words.join(', ')}`;
  const fromText = (given: string): string => {
    if (words.includes(given)) return given;
    throw unfit(expected, quoted(given));
  };
  return {
    name: words.join(' \\| '),
    value: 'WORD',
    fromText,
    fromData: onlyText(expected, fromText),
    format: String,
  };
}

/** Where clients dial: `wss://relay.example`. */
export const WEB_SOCKET_URL: Kind = urlKind('a URL that begins with wss:// or ws://', given => {
  const { href } = webSocketUrl(given);
  return href;
});

/** Somebody who is asked: `https://…`. */
export const HTTP_URL: Kind = urlKind('a URL that begins with https:// or http://', given => {
  const url = new URL(given);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new UsageError('');
  return url.href;
});

/**
 * What is wrong with a URL is said without it: there may be a password in it. One that is right has none: passwords show
 * in lists of processes, and are given in files.
 */
function urlKind(expected: string, parse: (given: string) => string): Kind {
  const fromText = (given: string): string => {
    let href: string;
    try {
      href = parse(given);
    } catch (error) {
      if (
        !(error instanceof UsageError) &&
        !(error instanceof TypeError) &&
        !(error instanceof SecureWebSocketError)
      )
        throw error;
      throw /[@?#]/.test(given) ? new UsageError(`must be ${expected}.`) : unfit(expected, quoted(given));
    }
    const url = new URL(href);
    if (url.username !== '' || url.password !== '')
      throw new UsageError('must hold no user name or password: they would show where they should not.');
    return href;
  };
  return {
    name: 'URL',
    value: 'URL',
    fromText,
    fromData: onlyText(expected, fromText),
    format: value => {
      const url = new URL(String(value));
      return url.search === '' ? url.href : `${url.origin}${url.pathname}?…`;
    },
  };
}

/** An IP address, a network, or a name of several networks. */
export const PROXY: Kind = (() => {
  const expected = 'an IP address, a network such as 10.0.0.0/8, loopback or private';
  const fromText = (given: string): string => {
    const [address = '', prefix, more] = given.split('/');
    const family = isIP(address);
    const isNetwork =
      prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
    if (given === 'loopback' || given === 'private') return given;
    if (family !== 0 && isNetwork && more === undefined) return given;
    throw unfit(expected, quoted(given));
  };
  return { name: 'text', value: 'NET', fromText, fromData: onlyText(expected, fromText), format: String };
})();

/** An algorithm of JSON Web Algorithms (RFC 7518 section 3.1, RFC 9864). */
export const ALGORITHM: Kind = text(
  'ALG',
  'an algorithm for signatures such as EdDSA, ES256 or RS256',
  /^(?!none$)[A-Za-z0-9-]{1,32}$/i,
);

function onlyText(expected: string, fromText: (given: string) => string): (data: Scalar) => string {
  return data => {
    if (typeof data === 'string') return fromText(data);
    throw new UsageError(`must be ${expected}, not ${shown(data)}: write it in quotes.`);
  };
}

function unfit(expected: string, given: string): UsageError {
  return new UsageError(`must be ${expected}, not ${given}.`);
}

function quoted(given: string): string {
  return `"${shortened(given)}"`;
}

function shown(data: Scalar): string {
  return typeof data === 'string' ? quoted(data) : String(data);
}
