import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../../../src/core/bytes.js';
import { MAX_OPEN_PAYLOAD } from '../../../src/core/constants.js';
import {
  decodeOpen,
  decodeOpenAccept,
  decodeOpenRefuse,
  encodeOpen,
  isToken,
  sessionName,
} from '../../../src/core/open-parameters.js';
import { expectCode } from '../../support/errors.js';
import { bytes, parsesOrRefuses, runs, SLOW, tamperings } from '../../support/fuzz.js';

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const DECODERS = [decodeOpen, decodeOpenAccept, decodeOpenRefuse];
const tokens = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
const targets = fc.string({ unit: 'binary' }).map(rest => `/${rest}`);

describe('OPEN', () => {
  it('is JSON of target, protocols, origin and window', () => {
    const payload = encodeOpen({
      target: '/chat?x=1',
      protocols: ['a', 'b'],
      origin: 'https://x',
      window: 9,
    });
    expect(fromUtf8(payload)).toBe(
      '{"target":"/chat?x=1","protocols":["a","b"],"origin":"https://x","window":9}',
    );
  });

  it('round-trips', () => {
    fc.assert(
      fc.property(
        targets,
        fc.array(tokens, { maxLength: 4 }),
        fc.option(fc.webUrl(), { nil: undefined }),
        fc.maxSafeNat(),
        (target, protocols, origin, window) => {
          const open = { target, protocols, origin, window };
          expect(decodeOpen(encodeOpen(open))).toEqual({ ...open, resume: false });
          for (const resume of [true, false]) {
            expect(decodeOpen(encodeOpen({ ...open, resume }))).toEqual({ ...open, resume });
          }
        },
      ),
      runs(100),
    );
  });

  const GOOD = { target: '/', protocols: ['a'], window: 1 };
  it.each([
    ['no target', { ...GOOD, target: undefined }],
    ['a target that is a number', { ...GOOD, target: 1 }],
    ['an empty target', { ...GOOD, target: '' }],
    ['a target that is no path', { ...GOOD, target: 'https://elsewhere/' }],
    ['no protocols', { ...GOOD, protocols: undefined }],
    ['protocols that are a string', { ...GOOD, protocols: 'a' }],
    ['protocols that are an object', { ...GOOD, protocols: { length: 1, 0: 'a' } }],
    ['an empty protocol', { ...GOOD, protocols: [''] }],
    ['a protocol with a space', { ...GOOD, protocols: ['a b'] }],
    ['a protocol with a comma', { ...GOOD, protocols: ['a,b'] }],
    ['a protocol with a line break', { ...GOOD, protocols: ['a\r\nb'] }],
    ['a protocol that is a number', { ...GOOD, protocols: [1] }],
    ['a protocol that is null', { ...GOOD, protocols: ['a', null] }],
    ['an origin that is null', { ...GOOD, origin: null }],
    ['an origin that is an object', { ...GOOD, origin: {} }],
    ['no window', { ...GOOD, window: undefined }],
    ['a negative window', { ...GOOD, window: -1 }],
    ['a broken window', { ...GOOD, window: 1.5 }],
    ['a window above 2^53', { ...GOOD, window: 2 ** 53 }],
    ['a window of 1e400', undefined],
    ['a window that is a string', { ...GOOD, window: '1' }],
    ['resume that is a number', { ...GOOD, resume: 1 }],
    ['resume that is null', { ...GOOD, resume: null }],
  ])('is refused with %s', (_, value) => {
    const payload = value ? json(value) : utf8('{"target":"/","protocols":[],"window":1e400}');
    expectCode(() => decodeOpen(payload), 'RECORD_MALFORMED');
  });

  it('is read with members that nobody knows yet', () => {
    expect(decodeOpen(json({ ...GOOD, later: [1], __proto__: 5 }))).toEqual({
      ...GOOD,
      origin: undefined,
      resume: false,
    });
  });
});

describe('OPEN_ACCEPT', () => {
  it('is JSON of protocol, window, session and resume, and round-trips', () => {
    expect(fromUtf8(encodeOpen({ protocol: 'a', window: 9, session: 's', resume: 7 }))).toBe(
      '{"protocol":"a","window":9,"session":"s","resume":7}',
    );
    for (const protocol of ['', 'graphql-transport-ws']) {
      for (const resume of [0, 120_000]) {
        const accept = { protocol, window: 0, session: 'AAAA', resume };
        expect(decodeOpenAccept(encodeOpen(accept))).toEqual(accept);
      }
    }
    // Not kept unless it says so.
    expect(decodeOpenAccept(encodeOpen({ protocol: '', window: 0, session: '' })).resume).toBe(0);
  });

  it('names the session with the first 16 bytes of its handshake hash', () => {
    const hash = Uint8Array.from({ length: 64 }, (_, i) => i * 5);
    expect(sessionName(hash)).toBe(Buffer.from(hash.slice(0, 16)).toString('base64url'));
  });

  it.each([
    { window: 1, session: '' },
    { protocol: 'a b', window: 1, session: '' },
    { protocol: 1, window: 1, session: '' },
    { protocol: null, window: 1, session: '' },
    { protocol: 'a', session: '' },
    { protocol: 'a', window: -1, session: '' },
    { protocol: 'a', window: 2 ** 53, session: '' },
    { protocol: 'a', window: 1 },
    { protocol: 'a', window: 1, session: 5 },
    { protocol: 'a', window: 1, session: null },
    { protocol: 'a', window: 1, session: '', resume: true },
    { protocol: 'a', window: 1, session: '', resume: -1 },
    { protocol: 'a', window: 1, session: '', resume: 0.5 },
    { protocol: 'a', window: 1, session: '', resume: 2 ** 53 },
    { protocol: 'a', window: 1, session: '', resume: null },
  ])('is refused as %j', value => {
    expectCode(() => decodeOpenAccept(json(value)), 'RECORD_MALFORMED');
  });
});

describe('OPEN_REFUSE', () => {
  it('is JSON of status and reason, and round-trips', () => {
    expect(fromUtf8(encodeOpen({ status: 404, reason: 'no' }))).toBe('{"status":404,"reason":"no"}');
    expect(decodeOpenRefuse(encodeOpen({ status: 503, reason: '' }))).toEqual({ status: 503, reason: '' });
  });

  it.each([
    { reason: '' },
    { status: '404', reason: '' },
    { status: -1, reason: '' },
    { status: 404 },
    { status: 404, reason: {} },
  ])('is refused as %j', value => {
    expectCode(() => decodeOpenRefuse(json(value)), 'RECORD_MALFORMED');
  });
});

describe('all three', SLOW, () => {
  it('are at most 16 KiB, for whoever writes and for whoever reads', () => {
    const open = (length: number) => ({ target: `/${'x'.repeat(length)}`, protocols: [], window: 0 });
    const least = encodeOpen(open(0)).length;
    const most = encodeOpen(open(MAX_OPEN_PAYLOAD - least));
    expect(most).toHaveLength(MAX_OPEN_PAYLOAD);
    expect(decodeOpen(most).target).toHaveLength(MAX_OPEN_PAYLOAD - least + 1);
    expectCode(() => encodeOpen(open(MAX_OPEN_PAYLOAD - least + 1)), 'INVALID_ARGUMENT');
    // Not the size of what is said counts but that of what must be read.
    const padded = utf8(fromUtf8(most)!.replace('{', '{ '));
    for (const decode of DECODERS) expectCode(() => decode(padded), 'RECORD_MALFORMED');
  });

  it.each(['', 'null', '1', '"text"', 'true', '[]', '{}', '{', '{"a":1}x', '[[', 'undefined', '\u0000'])(
    'are refused as %j',
    text => {
      for (const decode of DECODERS) expectCode(() => decode(utf8(text)), 'RECORD_MALFORMED');
    },
  );

  it('are refused with bytes that are not UTF-8, and with a byte order mark', () => {
    const text = fromUtf8(encodeOpen({ target: '/', protocols: [], window: 0 }))!;
    const broken = Uint8Array.of(...utf8(text.slice(0, 12)), 0xff, ...utf8(text.slice(12)));
    for (const decode of DECODERS) {
      expectCode(() => decode(broken), 'RECORD_MALFORMED');
      expectCode(() => decode(utf8(`\ufeff${text}`)), 'RECORD_MALFORMED');
    }
  });

  it('are refused however deep they are nested', () => {
    const deep = utf8('['.repeat(MAX_OPEN_PAYLOAD / 2) + ']'.repeat(MAX_OPEN_PAYLOAD / 2));
    for (const decode of DECODERS) expectCode(() => decode(deep), 'RECORD_MALFORMED');
  });

  it('are read or refused whatever they hold', () => {
    const payloads = fc.oneof(
      bytes(100),
      fc.json().map(utf8),
      fc
        .record({
          target: fc.anything(),
          protocols: fc.anything(),
          origin: fc.anything(),
          window: fc.anything(),
          resume: fc.anything(),
          session: fc.anything(),
          protocol: fc.anything(),
          status: fc.anything(),
          reason: fc.anything(),
        })
        .map(value => utf8(fc.stringify(value))),
      fc.constant(encodeOpen({ target: '/', protocols: ['a', 'b'], origin: 'https://x', window: 0 })),
      fc.constant(encodeOpen({ protocol: 'a', window: 12, session: 'AAAA', resume: 5 })),
      fc.constant(encodeOpen({ status: 404, reason: 'no' })),
    );
    fc.assert(
      fc.property(payloads, tamperings, (payload, tamper) => {
        for (const decode of DECODERS) {
          parsesOrRefuses(() => decode(payload), 'RECORD_MALFORMED');
          parsesOrRefuses(() => decode(tamper(payload)), 'RECORD_MALFORMED');
        }
      }),
      runs(500),
    );
  });
});

describe('isToken', () => {
  it('takes the characters of RFC 9110 section 5.6.2 and no others', () => {
    const allowed = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (let code = 0; code < 0x300; code++) {
      const character = String.fromCharCode(code);
      expect(isToken(character), character).toBe(allowed.includes(character));
      expect(isToken(`a${character}`), character).toBe(allowed.includes(character));
    }
    for (const value of ['', undefined, null, 1, ['a'], {}]) expect(isToken(value)).toBe(false);
  });
});
