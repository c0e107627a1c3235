import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { Opcode } from '../../../src/websocket/frame.js';
import { FrameReader } from '../../../src/websocket/frame-reader.js';
import { bytes, runs, SLOW, tamperings } from '../../support/fuzz.js';
import {
  bearable,
  content,
  cut,
  cuts,
  encode,
  encodeHeader,
  type Frame,
  readAll,
  readByWs,
  Recorder,
  smallConversation,
  streamOf,
} from './frames.js';

const MAX = 10_000;
const { CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = Opcode;

function reading(masked: boolean, borrowed: boolean, maxPayload = MAX) {
  const recorder = new Recorder();
  const memory = new BufferPool(1_000_000);
  return { recorder, reader: new FrameReader({ masked, borrowed, maxPayload, memory }, recorder) };
}

const payload = (...values: number[]): Uint8Array => Uint8Array.from(values);
const closeOf = (code: number, reason = ''): Uint8Array =>
  Buffer.concat([payload(code >> 8, code), Buffer.from(reason)]);
const text = (value: string | Uint8Array, fin = true): Frame => ({
  opcode: TEXT,
  payload: Buffer.from(value),
  fin,
});
const rest = (value: string | Uint8Array, fin = true): Frame => ({
  ...text(value, fin),
  opcode: CONTINUATION,
});
const empty = payload();
/** A frame of which nothing but the header comes. */
const announced = (opcode: number, length: number | bigint, fin = true): Frame => {
  const key = payload(1, 2, 3, 4);
  const header = encodeHeader({ opcode, fin, key }, 0, 8);
  header.writeBigUInt64BE(BigInt(length), 2);
  return { opcode, payload: header, first: -1 };
};

/** What breaks the rules, the status code for it (RFC 6455 section 7.4.1), and what is told before. */
const VIOLATIONS: [name: string, code: number, frames: Frame[], before?: string[]][] = [
  ...[0x40, 0x20, 0x10, 0x70].flatMap(bits =>
    [TEXT, BINARY, PING, CLOSE].map((opcode): [string, number, Frame[]] => [
      `a reserved bit (0x${bits.toString(16)}) of opcode ${opcode}`,
      1002,
      [{ opcode, payload: empty, first: 0x80 | bits | opcode }],
    ]),
  ),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, Frame[]] => [
    `the unknown opcode ${opcode}`,
    1002,
    [{ opcode, payload: empty }],
  ]),
  ...[CLOSE, PING, PONG].flatMap((opcode): [string, number, Frame[]][] => [
    [`a fragment of the control frame ${opcode}`, 1002, [{ opcode, payload: empty, fin: false }]],
    [`the control frame ${opcode} with 126 bytes`, 1002, [{ opcode, payload: content(126) }]],
    [`the control frame ${opcode} with 65,536 bytes`, 1002, [{ opcode, payload: content(65_536) }]],
    [`the control frame ${opcode} with a long field`, 1002, [{ opcode, payload: empty, lengthField: 2 }]],
  ]),
  ['a continuation of nothing', 1002, [rest('a')]],
  ['the last fragment of nothing', 1002, [rest('a', false)]],
  ['a continuation behind a whole message', 1002, [text('a', false), rest('b'), rest('c')], ['text 2 6162']],
  ['a message inside another', 1002, [text('a', false), text('b')]],
  ['a binary message inside text', 1002, [text('a', false), { opcode: BINARY, payload: empty, fin: false }]],
  ['a close of one byte', 1002, [{ opcode: CLOSE, payload: payload(3) }]],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code): [string, number, Frame[]] => [
    `the close code ${code}`,
    1002,
    [{ opcode: CLOSE, payload: closeOf(code) }],
  ]),
  [
    'a reason that is not UTF-8',
    1002,
    [{ opcode: CLOSE, payload: Buffer.concat([closeOf(1000), payload(0xff)]) }],
  ],
  ['text that is not UTF-8', 1007, [text(payload(0x61, 0xff))]],
  ['text that ends inside a character', 1007, [text(payload(0x61, 0xe2, 0x82))]],
  ['a surrogate', 1007, [text(payload(0xed, 0xa0, 0x80))]],
  ['an overlong character', 1007, [text(payload(0xc0, 0x80))]],
  [
    'text that is not UTF-8, in fragments',
    1007,
    [text(payload(0xe2), false), rest(payload(0x82), false), rest('')],
  ],
  [
    'text that is not UTF-8, in fragments with a ping between',
    1007,
    [text(payload(0xf0, 0x9f), false), { opcode: PING, payload: empty }, rest(payload(0x41, 0x41))],
    ['ping 0 '],
  ],
  ['a message that is too large', 1009, [announced(BINARY, MAX + 1)]],
  ['text that is too large', 1009, [announced(TEXT, MAX + 1)]],
  ['a fragment that is too large', 1009, [announced(BINARY, MAX + 1, false)]],
  [
    'fragments that are too large together',
    1009,
    [
      text(
        content(MAX - 1).map(() => 0x61),
        false,
      ),
      rest('ab'),
    ],
  ],
  ['a length that no 32 bits hold', 1009, [announced(BINARY, 2n ** 32n)]],
  ['a length that no number holds', 1009, [announced(BINARY, 2n ** 63n - 1n)]],
  ['a length with the highest bit', 1009, [announced(BINARY, 2n ** 63n)]],
  ['the highest length', 1009, [announced(BINARY, 2n ** 64n - 1n)]],
  ['the highest length of a control frame', 1002, [announced(PING, 2n ** 64n - 1n)]],
  [
    'too many fragments',
    1008,
    [text('', false), ...Array.from({ length: 1_023 }, () => rest('', false)), rest('')],
  ],
];

function encodeAll(frames: readonly Frame[], masked: boolean): Buffer {
  return Buffer.concat(
    frames.map(frame => {
      // Made as it is.
      if (frame.first === -1) {
        const header = Buffer.from(frame.payload);
        if (!masked) header[1]! &= 0x7f;
        return masked ? header : header.subarray(0, -4);
      }
      return encode({ ...frame, key: masked ? payload(9, 8, 7, 6) : undefined });
    }),
  );
}

describe.each([
  { masked: true, borrowed: false },
  { masked: false, borrowed: true },
])('a stream is refused, masked: $masked, borrowed: $borrowed, for', ({ masked, borrowed }) => {
  it.each(VIOLATIONS)('%s, with %i', (_, code, frames, before = []) => {
    const stream = encodeAll(frames, masked);
    for (const lengths of [[stream.length], [1], [3, 50]]) {
      const { reader, recorder } = reading(masked, borrowed);
      expect(readAll(reader, cut(stream, lengths))).toBe(code);
      expect(recorder.events).toEqual(before);
      // Nothing of it is read any more.
      const more = encodeAll([text('more'), { opcode: CLOSE, payload: closeOf(1000) }], masked);
      expect(readAll(reader, [Buffer.from(more), Buffer.alloc(50, 0xff), more])).toBe(undefined);
      expect(recorder.events).toEqual(before);
    }
  });

  it.each([TEXT, BINARY, PING, CLOSE])('the mask bit of opcode %i, with 1002', opcode => {
    for (const length of [0, 5, 126, 70_000]) {
      const { reader, recorder } = reading(masked, borrowed, 100_000);
      const stream = encodeAll([{ opcode, payload: content(length) }], !masked);
      expect(readAll(reader, cut(stream, [7]))).toBe(1002);
      expect(recorder.events).toEqual([]);
    }
  });
});

describe('what is just allowed', () => {
  it('is 1,024 fragments, again and again', () => {
    const { reader, recorder } = reading(true, false);
    const frames = [text('a', false), ...Array.from({ length: 1_022 }, () => rest('', false)), rest('b')];
    const stream = encodeAll([...frames, ...frames], true);
    expect(readAll(reader, cut(stream, [5_000]))).toBe(undefined);
    expect(recorder.events).toEqual(['text 2 6162', 'text 2 6162']);
  });

  it('is the largest message, in fragments or not, again and again', () => {
    const { reader, recorder } = reading(true, false);
    const frames = [
      { opcode: BINARY, payload: content(MAX) },
      { opcode: BINARY, payload: content(MAX - 1), fin: false },
      { opcode: PING, payload: content(125) },
      { opcode: CONTINUATION, payload: content(1) },
    ];
    expect(readAll(reader, cut(encodeAll([...frames, ...frames], true), [3_000]))).toBe(undefined);
    expect(recorder.events).toHaveLength(6);
  });

  it.each([1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    'is the close code %i',
    code => {
      const { reader, recorder } = reading(true, false);
      const frames = [{ opcode: CLOSE, payload: closeOf(code, 'é'.repeat(61)) }];
      expect(readAll(reader, [encodeAll(frames, true)])).toBe(undefined);
      expect(recorder.events).toEqual([`close ${code} ${'é'.repeat(61)}`]);
    },
  );
});

/** As long as the longest header. */
const PADDING = Buffer.alloc(14, 0xff);

/** Both make the same of a stream. */
async function compare(stream: Uint8Array, lengths: readonly number[], masked: boolean, borrowed: boolean) {
  const chunks = cut(stream, bearable(lengths, stream.length));
  const theirs = await readByWs(chunks, { masked, maxPayload: MAX });
  const { reader, recorder } = reading(masked, borrowed);
  let code = readAll(reader, chunks);
  // A wrong header is refused as soon as all of it is there; by `ws` with its second byte.
  if (theirs.code !== undefined) code ??= readAll(reader, [Buffer.from(PADDING)]);
  const events = [...recorder.events];
  expect(events).toEqual(theirs.events);
  // For a reason of a close that is not UTF-8 they have another code.
  expect(code === 1002 && theirs.code === 1007 ? 1007 : code).toBe(theirs.code);
  if (code === undefined && !events.at(-1)?.startsWith('close')) return;
  expect(readAll(reader, [Buffer.from(PADDING), encodeAll([text('more')], masked)])).toBe(undefined);
  expect(recorder.events).toEqual(events);
}

/** Frames of which most are wrong in one thing. */
const strange: fc.Arbitrary<Frame> = fc.record({
  opcode: fc.oneof(fc.constantFrom(0, 1, 2, 8, 9, 10), fc.nat(15)),
  first: fc.oneof(
    { weight: 1, arbitrary: fc.nat(255) },
    { weight: 4, arbitrary: fc.nat(15).map(n => n | 0x80) },
  ),
  payload: fc.oneof(bytes(8), bytes(200), fc.constant(closeOf(1000)), fc.constant(Buffer.from('é'))),
  lengthField: fc.constantFrom(2 as const, 8 as const),
});

describe('anything', () => {
  const kind = fc.tuple(fc.boolean(), fc.boolean());

  it('is a stream, or refused as `ws` refuses it', async () => {
    await fc.assert(
      fc.asyncProperty(bytes(400), cuts, kind, (junk, lengths, [masked, borrowed]) =>
        compare(junk, lengths, masked, borrowed),
      ),
      runs(300),
    );
  });

  it('that looks like frames is read or refused as by `ws`', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(strange, { maxLength: 12 }),
        cuts,
        kind,
        (frames, lengths, [masked, borrowed]) =>
          compare(encodeAll(frames, masked), lengths, masked, borrowed),
      ),
      runs(300),
    );
  });

  it(
    'that was a stream, and was altered, is read or refused as by `ws`',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          smallConversation,
          tamperings,
          cuts,
          kind,
          ({ frames }, tamper, lengths, [masked, borrowed]) =>
            compare(tamper(streamOf(frames, masked).stream), lengths, masked, borrowed),
        ),
        runs(150),
      );
    },
    SLOW.timeout,
  );
});
