import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toBase64Url, toHex, utf8 } from '../../../../src/core/bytes.js';
import { decodeFrame } from '../../../../src/core/frame.js';
import { createJoin, JOIN_LENGTH, MAX_JOIN_LENGTH } from '../../../../src/core/space/join-record.js';
import { SenderChain } from '../../../../src/core/space/sender-key.js';
import {
  decodeMulticast,
  decodeSpaceReport,
  decodeSpaceRequest,
  encodeMessageHead,
  encodeEntry,
  encodeMulticast,
  encodeRoster,
  encodeSpaceReport,
  encodeSpaceRequest,
  type Entered,
  type Entry,
  multicastOverhead,
  SpaceOperation,
  type SpaceReport,
  type SpaceRequest,
} from '../../../../src/core/space/space-frame.js';
import { sealWrapped } from '../../../../src/core/space/wrap.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, parsesOrRefuses, runs, SLOW, tamperings } from '../../../support/fuzz.js';
import {
  alice,
  counts,
  crypto,
  EPOCH,
  headerOf,
  MEMBER_ID,
  NOW,
  ordinals,
  PLACE,
  ranges,
  uint32s,
} from '../../../support/space-pieces.js';

const HASH = new Uint8Array(32).fill(0x44);
const JOIN = createJoin(alice, PLACE, MEMBER_ID, NOW);
const memberships = uint32s.map(value => Math.max(1, value));
const hash32 = bytes(32, 32);

/** The frame taken apart again, as its receiver does it. */
function spaceFrame(frame: Uint8Array) {
  const decoded = decodeFrame(frame);
  if (decoded.type !== 'space') throw new Error(decoded.type);
  return decoded;
}

function requestIn(frame: Uint8Array) {
  const { operation, body } = spaceFrame(frame);
  return decodeSpaceRequest(operation, body);
}

function reportIn(frame: Uint8Array) {
  const { operation, body } = spaceFrame(frame);
  return decodeSpaceReport(operation, body);
}

const requests: fc.Arbitrary<SpaceRequest> = fc.oneof(
  fc.record({
    type: fc.constant('enter' as const),
    space: fc.string({ unit: 'grapheme', maxLength: 30 }),
    join: bytes(300),
    stay: fc.boolean(),
    resume: fc.option(fc.record({ epoch: bytes(8, 8), offset: counts }), { nil: undefined }),
  }),
  fc.constant({ type: 'leave' as const }),
  fc.constant({ type: 'who' as const }),
  ranges.map(range => ({ type: 'fetch' as const, ...range })),
);

const entries: fc.Arbitrary<Entry> = fc.record({
  number: uint32s,
  connectionId: uint32s,
  away: fc.boolean(),
  join: fc.oneof(bytes(JOIN_LENGTH, JOIN_LENGTH), bytes(MAX_JOIN_LENGTH, MAX_JOIN_LENGTH)),
});

const standings: fc.Arbitrary<Entered> = fc.record({
  epoch: bytes(8, 8),
  offset: counts,
  version: counts,
  rosterHash: hash32,
  logHash: hash32,
  number: uint32s,
  resumed: fc.boolean(),
  before: fc.option(hash32, { nil: undefined }),
});

const item = { offset: ordinals, version: ordinals, rosterHash: hash32 };
const reports: fc.Arbitrary<SpaceReport> = fc.oneof(
  fc.record({ type: fc.constant('roster' as const), entries: fc.array(entries, { maxLength: 5 }) }),
  fc
    .tuple(fc.constantFrom('entered' as const, 'present' as const), standings)
    .map(([type, its]) => ({ type, ...its })),
  fc.record({ type: fc.constant('joined' as const), ...item, entry: entries }),
  fc.record({
    type: fc.constant('left' as const),
    ...item,
    number: uint32s,
    reason: fc.constantFrom('left' as const, 'gone' as const, 'removed' as const),
  }),
  fc.record({
    type: fc.constant('message' as const),
    offset: ordinals,
    wrap: fc.option(bytes(48, 48), { nil: undefined }),
    message: bytes(200),
  }),
  fc.record({ type: fc.constant('accepted' as const), sequence: ordinals, offset: ordinals }),
  fc.record({
    type: fc.constant('refused' as const),
    reason: fc.string(),
    message: fc.string({ maxLength: 300 }),
    sequence: fc.option(counts, { nil: undefined }),
    retryAfter: fc.option(counts, { nil: undefined }),
  }),
  fc.record({
    type: fc.constant('moved' as const),
    number: uint32s,
    connectionId: uint32s,
    away: fc.boolean(),
  }),
  fc.record({ type: fc.constant('head' as const), offset: counts, logHash: hash32 }),
  ranges.map(range => ({ type: 'unavailable' as const, ...range })),
);

describe('what a member asks for', SLOW, () => {
  it.each([
    [{ type: 'leave' }, '02'],
    [{ type: 'fetch', from: 5, to: 7 }, '03 0000000000000005 0000000000000007'],
    [{ type: 'who' }, '04'],
  ] as [SpaceRequest, string][])('%o has these bytes', (request, hex) => {
    expect(toHex(encodeSpaceRequest(0x01020304, request))).toBe(`0601020304${hex.replaceAll(' ', '')}`);
  });

  it('ENTER is JSON', () => {
    const enter = { type: 'enter', space: 'lobby', join: JOIN, stay: true } as const;
    const frame = encodeSpaceRequest(7, { ...enter, resume: { epoch: EPOCH, offset: 9 } });
    expect(toHex(frame.subarray(0, 6))).toBe('060000000701');
    expect(JSON.parse(Buffer.from(frame.subarray(6)).toString())).toEqual({
      space: 'lobby',
      join: toBase64Url(JOIN),
      stay: true,
      resume: { epoch: 'e0'.repeat(8), offset: 9 },
    });
    expect(String(Buffer.from(encodeSpaceRequest(7, enter)))).not.toContain('resume');
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(memberships, requests, (membership, request) => {
        const frame = encodeSpaceRequest(membership, request);
        expect(spaceFrame(frame).membership).toBe(membership);
        expect(requestIn(frame)).toEqual(request);
      }),
      runs(200),
    );
  });

  it('leaves it to the relay to say that a name or a join record is none', () => {
    const enter = { type: 'enter', space: 'a/b', join: Uint8Array.of(1), stay: false } as const;
    expect(requestIn(encodeSpaceRequest(1, enter))).toEqual({ ...enter, resume: undefined });
  });

  it('fits into its limit at its longest', () => {
    const enter = {
      type: 'enter',
      space: '"'.repeat(128),
      join: new Uint8Array(MAX_JOIN_LENGTH),
      stay: true,
    } as const;
    const resume = { epoch: EPOCH, offset: Number.MAX_SAFE_INTEGER };
    expect(requestIn(encodeSpaceRequest(1, { ...enter, resume }))).toEqual({ ...enter, resume });
  });

  const good = { space: 'lobby', join: toBase64Url(JOIN), stay: true };
  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['an array', '[]'],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['no name', { ...good, space: undefined }],
    ['a name that is no string', { ...good, space: 7 }],
    ['no join record', { ...good, join: undefined }],
    ['padding', { ...good, join: 'AA==' }],
    ['no stay', { ...good, stay: undefined }],
    ['a stay that is no boolean', { ...good, stay: 1 }],
    ['null for where it resumes', { ...good, resume: null }],
    ['a number for where it resumes', { ...good, resume: 7 }],
    ['no epoch', { ...good, resume: { offset: 1 } }],
    ['a short epoch', { ...good, resume: { epoch: 'e0', offset: 1 } }],
    ['an epoch in upper case', { ...good, resume: { epoch: 'E0'.repeat(8), offset: 1 } }],
    ['an epoch that is no hex', { ...good, resume: { epoch: 'g0'.repeat(8), offset: 1 } }],
    ['no offset', { ...good, resume: { epoch: 'e0'.repeat(8) } }],
    ['a negative offset', { ...good, resume: { epoch: 'e0'.repeat(8), offset: -1 } }],
    ['half an offset', { ...good, resume: { epoch: 'e0'.repeat(8), offset: 0.5 } }],
    ['an offset above 2^53', { ...good, resume: { epoch: 'e0'.repeat(8), offset: 2 ** 53 } }],
    ['4,097 bytes', { ...good, more: 'x'.repeat(4_097) }],
  ])('ENTER is malformed with %s', (_, what) => {
    const body =
      what instanceof Uint8Array ? what : utf8(typeof what === 'string' ? what : JSON.stringify(what));
    expectCode(() => decodeSpaceRequest(SpaceOperation.ENTER, body), 'FRAME_MALFORMED');
  });

  it('ENTER may say more than is known, up to its limit', () => {
    const frame = (length: number) => utf8(JSON.stringify({ ...good, more: 'x'.repeat(length) }));
    const most = 4_096 - frame(0).length;
    expect(decodeSpaceRequest(SpaceOperation.ENTER, frame(most))).toMatchObject({ space: 'lobby' });
    expectCode(() => decodeSpaceRequest(SpaceOperation.ENTER, frame(most + 1)), 'FRAME_MALFORMED');
  });

  it.each([
    ['operation 0', 0, ''],
    ['an operation of relays', SpaceOperation.JOINED, ''],
    ['operation 5', 5, ''],
    ['LEAVE and more', SpaceOperation.LEAVE, '00'],
    ['WHO and more', SpaceOperation.WHO, '00'],
    ['FETCH of nothing', SpaceOperation.FETCH, ''],
    ['FETCH from 0', SpaceOperation.FETCH, '00000000000000000000000000000001'],
    ['FETCH from the last to the first', SpaceOperation.FETCH, '00000000000000020000000000000001'],
    ['FETCH to above 2^53', SpaceOperation.FETCH, '00000000000000020020000000000000'],
    ['FETCH and more', SpaceOperation.FETCH, '0000000000000001000000000000000100'],
  ] as const)('is malformed with %s', (_, operation, hex) => {
    expectCode(() => decodeSpaceRequest(operation, fromHex(hex)), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything at all', () => {
    const changed = fc
      .tuple(requests, tamperings)
      .map(([request, tamper]) => tamper(encodeSpaceRequest(1, request).subarray(5)));
    fc.assert(
      fc.property(fc.oneof(changed, bytes(200)), data => {
        const [operation = 0, ...body] = data;
        parsesOrRefuses(() => decodeSpaceRequest(operation, Uint8Array.from(body)), 'FRAME_MALFORMED');
      }),
      runs(500),
    );
  });
});

describe('what a relay reports', SLOW, () => {
  const entry: Entry = { number: 2, connectionId: 0x0a0b0c0d, away: true, join: JOIN };
  const entryHex = `00000002 0a0b0c0d 01 009a ${toHex(JOIN)}`;
  const hash = '44'.repeat(32);
  const items = { offset: 9, version: 3, rosterHash: HASH };
  const itemHex = `0000000000000009 0000000000000003 ${hash}`;
  it.each([
    [{ type: 'roster', entries: [entry, entry] }, `81 ${entryHex} ${entryHex}`],
    [{ type: 'joined', ...items, entry }, `83 ${itemHex} ${entryHex}`],
    [{ type: 'left', ...items, number: 2, reason: 'left' }, `84 ${itemHex} 00000002 01`],
    [{ type: 'left', ...items, number: 2, reason: 'gone' }, `84 ${itemHex} 00000002 02`],
    [{ type: 'left', ...items, number: 2, reason: 'removed' }, `84 ${itemHex} 00000002 03`],
    [
      { type: 'message', offset: 9, wrap: undefined, message: Uint8Array.of(0xcc) },
      '85 0000000000000009 00 cc',
    ],
    [
      { type: 'message', offset: 9, wrap: new Uint8Array(48).fill(0xdd), message: Uint8Array.of(0xcc) },
      `85 0000000000000009 01 ${'dd'.repeat(48)} cc`,
    ],
    [{ type: 'accepted', sequence: 5, offset: 9 }, '86 0000000000000005 0000000000000009'],
    [{ type: 'moved', number: 2, connectionId: 0x0a0b0c0d, away: false }, '88 00000002 0a0b0c0d 00'],
    [{ type: 'head', offset: 9, logHash: HASH }, `89 0000000000000009 ${hash}`],
    [{ type: 'unavailable', from: 5, to: 9 }, '8a 0000000000000005 0000000000000009'],
  ] as [SpaceReport, string][])('%o has these bytes', (report, hex) => {
    expect(toHex(encodeSpaceReport(0x01020304, report))).toBe(`0601020304${hex.replaceAll(' ', '')}`);
  });

  it('ENTERED, PRESENT and REFUSED are JSON', () => {
    const standing = {
      epoch: EPOCH,
      offset: 9,
      version: 3,
      rosterHash: HASH,
      logHash: HASH,
      number: 2,
      resumed: false,
    };
    const json = {
      epoch: 'e0'.repeat(8),
      offset: 9,
      version: 3,
      rosterHash: hash,
      logHash: hash,
      number: 2,
      resumed: false,
    };
    const jsonIn = (report: SpaceReport) => {
      const { operation, body } = spaceFrame(encodeSpaceReport(1, report));
      return [operation, JSON.parse(Buffer.from(body).toString()) as unknown];
    };
    expect(jsonIn({ type: 'entered', ...standing })).toEqual([0x82, json]);
    expect(jsonIn({ type: 'entered', ...standing, before: HASH })).toEqual([0x82, { ...json, before: hash }]);
    expect(jsonIn({ type: 'present', ...standing })).toEqual([0x8b, json]);
    const refused = { reason: 'RATE', message: 'Slower.', sequence: 5, retryAfter: 100 };
    expect(jsonIn({ type: 'refused', ...refused })).toEqual([0x87, refused]);
    const ended = { reason: 'SPACE_FULL', message: '' };
    expect(jsonIn({ type: 'refused', ...ended })).toEqual([0x87, ended]);
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(memberships, reports, (membership, report) => {
        const frame = encodeSpaceReport(membership, report);
        expect(spaceFrame(frame).membership).toBe(membership);
        expect(reportIn(frame)).toEqual(report);
      }),
      runs(300),
    );
  });

  it('begins a message so that what all members get can stand behind it', () => {
    fc.assert(
      fc.property(
        memberships,
        ordinals,
        fc.option(bytes(48, 48), { nil: undefined }),
        bytes(100),
        (id, offset, wrap, message) => {
          const whole = encodeSpaceReport(id, { type: 'message', offset, wrap, message });
          expect(concat(encodeMessageHead(id, offset, wrap), message)).toEqual(whole);
        },
      ),
      runs(50),
    );
  });

  it('tells what a relay says to people in so many characters, and no more', () => {
    const frame = encodeSpaceReport(1, { type: 'refused', reason: 'RATE', message: '\0'.repeat(5_000) });
    expect(reportIn(frame)).toMatchObject({ message: '\0'.repeat(300) });
    const long = utf8(JSON.stringify({ reason: 'RATE', message: 'x'.repeat(1_000) }));
    expect(decodeSpaceReport(SpaceOperation.REFUSED, long)).toMatchObject({ message: 'x'.repeat(300) });
  });

  const json = {
    epoch: 'e0'.repeat(8),
    offset: 9,
    version: 3,
    rosterHash: hash,
    logHash: hash,
    number: 2,
    resumed: false,
  };
  it.each([
    ['no epoch', { ...json, epoch: undefined }],
    ['a long epoch', { ...json, epoch: 'e0'.repeat(9) }],
    ['no offset', { ...json, offset: undefined }],
    ['a negative offset', { ...json, offset: -1 }],
    ['a version that is text', { ...json, version: '3' }],
    ['no hash of the roster', { ...json, rosterHash: undefined }],
    ['a short hash of the log', { ...json, logHash: hash.slice(2) }],
    ['a number above 2^32', { ...json, number: 2 ** 32 }],
    ['no word on whether it was resumed', { ...json, resumed: undefined }],
    ['a hash before that is none', { ...json, before: 'x' }],
    ['null for the hash before', { ...json, before: null }],
    ['an array', []],
    ['4,097 bytes', { ...json, more: 'x'.repeat(4_097) }],
  ])('ENTERED is malformed with %s', (_, what) => {
    const body = utf8(JSON.stringify(what));
    expectCode(() => decodeSpaceReport(SpaceOperation.ENTERED, body), 'FRAME_MALFORMED');
    expectCode(() => decodeSpaceReport(SpaceOperation.PRESENT, body), 'FRAME_MALFORMED');
  });

  it.each([
    ['no reason', { message: '' }],
    ['no message', { reason: 'RATE' }],
    ['a sequence that is none', { reason: 'RATE', message: '', sequence: '1' }],
    ['a time that is none', { reason: 'RATE', message: '', retryAfter: -1 }],
  ])('REFUSED is malformed with %s', (_, what) => {
    const body = utf8(JSON.stringify(what));
    expectCode(() => decodeSpaceReport(SpaceOperation.REFUSED, body), 'FRAME_MALFORMED');
  });

  it.each([
    ['operation 0', '00'],
    ['an operation of members', '02'],
    ['an operation that is not known', '8c'],
    ['an entry that ends too early', `81 ${entryHex.slice(0, -2)}`],
    ['an entry with another state', `81 00000002 0a0b0c0d 02 009a ${toHex(JOIN)}`],
    ['a join record of another length', `81 00000002 0a0b0c0d 00 0099 ${toHex(JOIN.subarray(1))}`],
    ['JOINED and more', `83 ${itemHex} ${entryHex} 00`],
    ['JOINED at offset 0', `83 0000000000000000 0000000000000003 ${hash} ${entryHex}`],
    ['JOINED of version 0', `83 0000000000000003 0000000000000000 ${hash} ${entryHex}`],
    ['LEFT for no reason', `84 ${itemHex} 00000002 00`],
    ['LEFT for an unknown reason', `84 ${itemHex} 00000002 04`],
    ['MESSAGE at offset 0', '85 0000000000000000 00 cc'],
    ['MESSAGE with another flag', '85 0000000000000009 02 cc'],
    ['MESSAGE with half a wrap', `85 0000000000000009 01 ${'dd'.repeat(47)}`],
    ['ACCEPTED of message 0', '86 0000000000000000 0000000000000009'],
    ['MOVED with another state', '88 00000002 0a0b0c0d 02'],
    ['HEAD with half a hash', `89 0000000000000009 ${hash.slice(32)}`],
    ['HEAD above 2^53', `89 0020000000000000 ${hash}`],
    ['UNAVAILABLE from the last to the first', '8a 0000000000000009 0000000000000008'],
  ])('is malformed with %s', (_, hex) => {
    const [operation = 0, ...body] = fromHex(hex.replaceAll(' ', ''));
    expectCode(() => decodeSpaceReport(operation, Uint8Array.from(body)), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything at all, and reads no more than was there', () => {
    const changed = fc
      .tuple(reports, tamperings)
      .map(([report, tamper]) => tamper(encodeSpaceReport(1, report).subarray(5)));
    const garbage = fc
      .tuple(fc.integer({ min: 0x7f, max: 0x8d }), bytes(200))
      .map(([type, rest]) => Uint8Array.of(type, ...rest));
    fc.assert(
      fc.property(fc.oneof(changed, garbage), data => {
        const body = data.slice(1);
        const report = parsesOrRefuses(() => decodeSpaceReport(data[0] ?? 0, body), 'FRAME_MALFORMED');
        // JSON has many spellings.
        if (!report || ['entered', 'present', 'refused'].includes(report.type)) return;
        expect(encodeSpaceReport(1, report).subarray(5)).toEqual(data);
      }),
      runs(500),
    );
  });
});

describe('a roster', SLOW, () => {
  it('comes in frames that every client takes, each member once and in order', () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 4 }), fc.nat(400), (some, count) => {
        const all = Array.from({ length: some.length === 0 ? 0 : count }, (_, i) => some[i % some.length]!);
        const pages = encodeRoster(3, all.map(encodeEntry));
        for (const page of pages) expect(page.length).toBeLessThanOrEqual(32_768);
        const read = pages.map(reportIn).flatMap(report => (report.type === 'roster' ? report.entries : []));
        expect(read).toEqual(all);
        // No page is emptier than it must be.
        for (const page of pages.slice(0, -1))
          expect(page.length).toBeGreaterThan(32_768 - MAX_JOIN_LENGTH - 11);
      }),
      runs(30),
    );
    expect(encodeRoster(3, [])).toEqual([]);
  });

  it('is malformed in a larger page', () => {
    const entry: Entry = { number: 1, connectionId: 1, away: false, join: JOIN };
    const page = (count: number) =>
      encodeSpaceReport(1, { type: 'roster', entries: Array<Entry>(count).fill(entry) });
    const most = Math.floor((32_768 - 6) / (11 + JOIN_LENGTH));
    expect(reportIn(page(most))).toMatchObject({ type: 'roster' });
    expectCode(() => reportIn(page(most + 1)), 'FRAME_MALFORMED');
  });
});

describe('MULTICAST', SLOW, () => {
  const key = alice.publicKeyBytes;
  const recipients = [9, 2, 0xffff_ffff, 0].map(number => ({ number, key: new Uint8Array(32).fill(number) }));
  const { message, wraps } = sealWrapped(crypto, PLACE, key, headerOf(), utf8('hello'), recipients);
  const signed = new SenderChain(crypto).seal(PLACE, key, headerOf(), utf8('hello'));
  const frame = encodeMulticast(0x01020304, message, wraps);
  const bodyOf = (bytesOfFrame: Uint8Array): Uint8Array => {
    const decoded = decodeFrame(bytesOfFrame);
    if (decoded.type !== 'multicast') throw new Error(decoded.type);
    return decoded.body;
  };
  const body = bodyOf(frame);

  it('has the message, then the wraps in the order of their numbers', () => {
    const sorted = [3, 1, 0, 2].map(i => wraps[i]!);
    const wrapHex = sorted
      .map(({ number, wrap }) => number.toString(16).padStart(8, '0') + toHex(wrap))
      .join('');
    expect(toHex(frame)).toBe(`0701020304${toHex(message)}0004${wrapHex}`);
    expect(toHex(encodeMulticast(7, signed, []))).toBe(`0700000007${toHex(signed)}0000`);
    expect(frame.length).toBe(message.length + multicastOverhead(4));
    expect(wraps.map(({ number }) => number)).toEqual([9, 2, 0xffff_ffff, 0]);
  });

  it('gives the message and everybody its own wrap, in views', () => {
    const multicast = decodeMulticast(body);
    expect(multicast.message).toEqual(message);
    expect(multicast.wraps).toBe(4);
    for (const { number, wrap } of wraps) expect(multicast.wrapFor(number)).toEqual(wrap);
    for (const number of [1, 3, 8, 10, 0xffff_fffe]) expect(multicast.wrapFor(number)).toBeUndefined();
    expect(multicast.message.buffer).toBe(frame.buffer);
    expect(multicast.wrapFor(9)!.buffer).toBe(frame.buffer);
    const alone = decodeMulticast(bodyOf(encodeMulticast(1, message, [])));
    expect([alone.wraps, alone.wrapFor(0)]).toEqual([0, undefined]);
    expect(decodeMulticast(bodyOf(encodeMulticast(1, signed, []))).message).toEqual(signed);
  });

  it('finds any wrap among any others', () => {
    const numbers = fc.uniqueArray(uint32s, { maxLength: 60 });
    fc.assert(
      fc.property(numbers, numbers, (present, absent) => {
        const its = present.map((number, i) => ({ number, wrap: new Uint8Array(48).fill(i) }));
        const multicast = decodeMulticast(bodyOf(encodeMulticast(1, message, its)));
        for (const { number, wrap } of its) expect(multicast.wrapFor(number)).toEqual(wrap);
        for (const number of absent) {
          if (!present.includes(number)) expect(multicast.wrapFor(number)).toBeUndefined();
        }
      }),
      runs(100),
    );
  });

  it.each([
    ['two wraps for one member', [wraps[0]!, wraps[1]!, wraps[0]!]],
    ['65,536 wraps', Array.from({ length: 65_536 }, (_, number) => ({ number, wrap: new Uint8Array(48) }))],
  ])('is not made with %s', (_, its) => {
    expectCode(() => encodeMulticast(1, message, its), 'INVALID_ARGUMENT');
  });

  const [first, second] = [3, 1].map(i =>
    concat(fromHex(wraps[i]!.number.toString(16).padStart(8, '0')), wraps[i]!.wrap),
  );
  it.each([
    ['nothing', new Uint8Array(0)],
    ['no wraps and no count of them', message],
    ['half a count', concat(message, Uint8Array.of(0))],
    ['fewer wraps than it counts', body.subarray(0, -1)],
    ['more than it counts', concat(body, Uint8Array.of(0))],
    ['a message that ends too early', message.subarray(0, 80)],
    ['a message of an unknown kind', concat(Uint8Array.of(3), body.subarray(1))],
    ['wraps for what is not wrapped', concat(signed, Uint8Array.of(0, 1), first!)],
    ['wraps in another order', concat(message, Uint8Array.of(0, 2), second!, first!)],
    ['two wraps for one member', concat(message, Uint8Array.of(0, 2), first!, first!)],
  ])('is malformed with %s', (_, data) => {
    expectCode(() => decodeMulticast(data), 'FRAME_MALFORMED');
  });

  it('reads or refuses anything at all, and reads no more than was there', () => {
    const originals = fc.constantFrom(body, bodyOf(encodeMulticast(1, signed, [])));
    const changed = fc.tuple(originals, tamperings).map(([original, tamper]) => tamper(original));
    fc.assert(
      fc.property(fc.oneof(changed, bytes(300)), fc.array(uint32s), (data, numbers) => {
        const multicast = parsesOrRefuses(() => decodeMulticast(data), 'FRAME_MALFORMED');
        if (!multicast) return;
        expect(multicast.message.length + 2 + 52 * multicast.wraps).toBe(data.length);
        for (const number of numbers) expect(multicast.wrapFor(number)?.length ?? 48).toBe(48);
      }),
      runs(400),
    );
  });
});
