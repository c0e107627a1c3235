import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/cli/exit-code.js';
import {
  ALGORITHM,
  BOOLEAN,
  bytes,
  duration,
  HTTP_URL,
  integer,
  type Kind,
  oneOf,
  PATH,
  PROXY,
  type Scalar,
  text,
  WEB_SOCKET_URL,
} from '../../../src/cli/setting-kinds.js';

const PORT = integer(0, 65_535);
const FRAME = bytes(32_768, 16_777_216);
const WORD = oneOf('notify', 'close-slow');

describe('what is typed', () => {
  it.each<[string, Kind, string, Scalar]>([
    ['an integer', PORT, '65535', 65_535],
    ['a duration', duration(), '10s', 10_000],
    ['bytes', FRAME, '32KiB', 32_768],
    ['a boolean', BOOLEAN, 'false', false],
    ['text', text('NAME'), 'a name, with a comma', 'a name, with a comma'],
    ['a word', WORD, 'close-slow', 'close-slow'],
    ['a proxy', PROXY, '10.0.0.0/8', '10.0.0.0/8'],
    ['another', PROXY, 'fd00::/8', 'fd00::/8'],
    ['and another', PROXY, '::1', '::1'],
    ['a named one', PROXY, 'loopback', 'loopback'],
    ['where clients dial', WEB_SOCKET_URL, 'wss://relay.example', 'wss://relay.example/'],
    ['who is asked', HTTP_URL, 'https://hook.example/admit?a=1', 'https://hook.example/admit?a=1'],
    ['an algorithm', ALGORITHM, 'EdDSA', 'EdDSA'],
  ])('%s', (_what, kind, given, value) => {
    expect(kind.fromText(given)).toBe(value);
    // And again when it is shown, but for what is not shown.
    if (!given.includes('?')) expect(kind.fromText(kind.format(value))).toBe(value);
  });

  it.each<[string, Kind, string, string]>([
    ['a port', PORT, '65536', 'must be a whole number from 0 to 65535, not "65536".'],
    ['no number', PORT, '1e3', 'must be a whole number from 0 to 65535, not "1e3".'],
    ['too short a time', duration(1), '0', 'must be from 1ms to 24d, not 0.'],
    ['longer than timers can wait', duration(), '25d', 'must be from 0 to 24d, not 25d.'],
    ['a bare number', duration(), '10', 'needs a unit: 10s for seconds'],
    ['too small a frame', FRAME, '1KiB', 'must be from 32KiB to 16MiB, not 1KiB.'],
    ['too few bytes', bytes(1), '0', 'must be at least 1, not 0.'],
    ['maybe', BOOLEAN, 'yes', 'must be true or false, not "yes".'],
    ['another word', WORD, 'drop', 'must be one of notify, close-slow, not "drop".'],
    [
      'a name',
      PROXY,
      'proxy.example',
      'must be an IP address, a network such as 10.0.0.0/8, loopback or private',
    ],
    ['too long a prefix', PROXY, '10.0.0.0/33', 'must be an IP address'],
    ['two prefixes', PROXY, '10.0.0.0/8/8', 'must be an IP address'],
    ['a prefix that is none', PROXY, '10.0.0.0/', 'must be an IP address'],
    [
      'a host',
      WEB_SOCKET_URL,
      'relay.example:80',
      'must be a URL that begins with wss:// or ws://, not "relay.example:80".',
    ],
    [
      'another scheme',
      HTTP_URL,
      'ftp://hook.example',
      'must be a URL that begins with https:// or http://, not "ftp://hook.example".',
    ],
    ['no algorithm', ALGORITHM, 'none', 'must be an algorithm for signatures'],
    ['a zero byte', PATH, 'a\0b', 'must be the path of a file'],
    ['more than anybody types', text('NAME'), 'x'.repeat(5_000), 'must have at most 4096 characters.'],
  ])('%s is refused', (_what, kind, given, message) => {
    expect(() => kind.fromText(given)).toThrow(UsageError);
    expect(() => kind.fromText(given)).toThrow(message);
  });
});

describe('what is in a file', () => {
  it.each<[Kind, Scalar, Scalar]>([
    [PORT, 80, 80],
    [duration(), '5m', 300_000],
    [duration(), 0, 0],
    [FRAME, 65_536, 65_536],
    [FRAME, '64KiB', 65_536],
    [BOOLEAN, true, true],
    [PATH, 'a.pem', 'a.pem'],
  ])('%# has its own types', (kind, given, value) => {
    expect(kind.fromData(given)).toBe(value);
  });

  it.each<[Kind, Scalar, string]>([
    [PORT, '80', 'must be a whole number from 0 to 65535, not "80".'],
    [PORT, 80.5, 'must be a whole number from 0 to 65535, not 80.5.'],
    [PORT, true, 'not true.'],
    [duration(), 10, 'needs a unit: 10s for seconds, 10ms, or m, h, d.'],
    [duration(), 1.5, 'must be a duration'],
    [FRAME, -1, 'must be bytes'],
    [FRAME, 65_536.5, 'must be bytes'],
    [BOOLEAN, 'true', 'must be true or false, not "true".'],
    [text('NAME', 'a name'), 123, 'must be a name, not 123: write it in quotes.'],
    [WORD, false, 'must be one of notify, close-slow, not false: write it in quotes.'],
    [WEB_SOCKET_URL, 1, 'not 1: write it in quotes.'],
  ])('%# has to have them', (kind, given, message) => {
    expect(() => kind.fromData(given)).toThrow(message);
  });
});

describe('a URL', () => {
  it.each([
    ['https://me:secret@hook.example/', 'must hold no user name or password'],
    ['https//me:secret@hook.example/', 'must be a URL that begins with https:// or http://.'],
    ['ftp://hook.example/?token=secret', 'must be a URL that begins with https:// or http://.'],
  ])('is not shown where it is wrong and may hold a secret: %s', (given, message) => {
    expect(() => HTTP_URL.fromText(given)).toThrow(message);
    expect(() => HTTP_URL.fromText(given)).not.toThrow('secret');
  });

  it('is shown without its query', () => {
    expect(HTTP_URL.format('https://hook.example/admit?token=secret')).toBe('https://hook.example/admit?…');
  });
});

it('whatever is given to any kind, it is a value or a UsageError', () => {
  const kinds = [
    PORT,
    duration(),
    FRAME,
    BOOLEAN,
    text('NAME'),
    PATH,
    WORD,
    PROXY,
    WEB_SOCKET_URL,
    HTTP_URL,
    ALGORITHM,
  ];
  const given = fc.oneof(fc.string(), fc.webUrl(), fc.ipV4(), fc.ipV6(), fc.double(), fc.boolean());
  fc.assert(
    fc.property(fc.constantFrom(...kinds), given, (kind, data) => {
      for (const read of [() => kind.fromData(data), () => kind.fromText(String(data))]) {
        try {
          const value = read();
          expect(kind.format(value)).toBeTypeOf('string');
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }
    }),
  );
});
