import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Opcode } from '../../../src/websocket/frame.js';
import { FrameReader } from '../../../src/websocket/frame-reader.js';
import { runs, SLOW } from '../../support/fuzz.js';
import {
  bearable,
  content,
  conversation,
  CountingPool,
  cut,
  cuts,
  encode,
  encodeHeader,
  headerLength,
  isGuarded,
  readAll,
  readByWs,
  Recorder,
  show,
  streamOf,
  textOf,
} from './frames.js';

const MAX = 200_000;

function reading(masked: boolean, borrowed: boolean, maxPayload = MAX) {
  const recorder = new Recorder();
  const memory = new CountingPool(1_000_000);
  return { recorder, memory, reader: new FrameReader({ masked, borrowed, maxPayload, memory }, recorder) };
}

const KEY = Uint8Array.of(0x12, 0x34, 0xf5, 0x80);
const KINDS = [
  { masked: true, borrowed: false },
  { masked: true, borrowed: true },
  { masked: false, borrowed: false },
  { masked: false, borrowed: true },
];

describe.each(KINDS)('a stream of frames, masked: $masked, borrowed: $borrowed', ({ masked, borrowed }) => {
  it(
    'says what its frames say, and what `ws` reads, however it is cut into chunks',
    async () => {
      await fc.assert(
        fc.asyncProperty(conversation, cuts, fc.nat(255), async ({ frames, events }, lengths, seed) => {
          const { stream } = streamOf(frames, masked, seed);
          const chunks = cut(stream, bearable(lengths, stream.length));
          const { events: expected, code } = await readByWs(chunks, { masked, maxPayload: MAX });
          const { reader, recorder } = reading(masked, borrowed);
          expect(readAll(reader, chunks)).toBe(undefined);
          expect(recorder.events).toEqual(events);
          expect({ events: expected, code }).toEqual({ events, code: undefined });
          expect(recorder.isIntact()).toBe(true);
        }),
        runs(60),
      );
    },
    SLOW.timeout,
  );

  it('is read at every length at which headers, words and memory change, for every alignment and cut', () => {
    const lengths = [
      0, 1, 3, 4, 125, 126, 191, 192, 193, 194, 195, 196, 207, 2_032, 2_033, 65_535, 65_536, 65_541,
    ];
    for (const length of lengths) {
      const payload = content(length);
      const key = masked ? KEY : undefined;
      const stream = encode({ opcode: Opcode.BINARY, payload, key });
      for (let first = 1; first < 24; first++) {
        const { reader, recorder } = reading(masked, borrowed);
        // One that begins in the middle of a chunk, behind another.
        const before = encode({ opcode: Opcode.PONG, payload: content(first % 5), key });
        const whole = Buffer.concat([before, stream]);
        expect(readAll(reader, cut(whole, [before.length + first, whole.length]))).toBe(undefined);
        expect(recorder.events, `${length} ${first}`).toEqual(['pong', `binary ${show(payload)}`]);
      }
    }
  });

  it('may use a longer field for a length than it needs', () => {
    for (const lengthField of [2, 8] as const) {
      const { reader, recorder } = reading(masked, borrowed);
      const frame = {
        opcode: Opcode.TEXT,
        payload: Buffer.from('short'),
        key: masked ? KEY : undefined,
        lengthField,
      };
      expect(readAll(reader, cut(encode(frame), [20, 1]))).toBe(undefined);
      expect(recorder.events).toEqual([`text ${show(Buffer.from('short'))}`]);
    }
  });

  it('gives text with a byte order mark, and text that is cut inside a character, as it is', () => {
    const text = Buffer.from('\ufeff€😀');
    for (let at = 0; at <= text.length; at++) {
      const { reader, recorder } = reading(masked, borrowed);
      const frames = [
        { opcode: Opcode.TEXT, payload: text.subarray(0, at), fin: false },
        { opcode: Opcode.CONTINUATION, payload: text.subarray(at) },
      ];
      expect(readAll(reader, cut(streamOf(frames, masked).stream, [3]))).toBe(undefined);
      expect(recorder.events).toEqual([`text ${show(text)}`]);
    }
  });

  it('is not read behind a close', () => {
    const { reader, recorder } = reading(masked, borrowed);
    const close = { opcode: Opcode.CLOSE, payload: Buffer.from('\x03\xe8bye', 'latin1') };
    const after = { opcode: Opcode.TEXT, payload: Buffer.from('more') };
    const { stream } = streamOf([close, after], masked);
    // In the same chunk, and in the next one.
    reader.read(stream);
    reader.read(encode({ ...after, key: masked ? KEY : undefined }));
    reader.read(Buffer.alloc(50, 0xff));
    expect(recorder.events).toEqual(['close 1000 bye']);
  });

  it('is not read behind the message in which its listener ends it', () => {
    const { reader, recorder } = reading(masked, borrowed);
    recorder.onData = () => {
      reader.end();
    };
    const frame = { opcode: Opcode.TEXT, payload: Buffer.from('one') };
    const { stream } = streamOf([frame, frame, frame], masked);
    readAll(reader, cut(stream, [stream.length]));
    expect(recorder.events).toEqual([`text ${show(Buffer.from('one'))}`]);
  });

  it('may have messages as large as is said, also when that is said later', () => {
    const { reader, recorder } = reading(masked, borrowed, 10);
    const send = (length: number) =>
      readAll(reader, [
        encode({ opcode: Opcode.BINARY, payload: content(length), key: masked ? KEY : undefined }),
      ]);
    expect(send(10)).toBe(undefined);
    reader.maxPayload = 1_000;
    expect(send(1_000)).toBe(undefined);
    reader.maxPayload = 20;
    expect(send(20)).toBe(undefined);
    expect(send(21)).toBe(1009);
    expect(recorder.events).toHaveLength(3);
  });

  it('does not keep a chunk alive for a small fragment in it', () => {
    const { reader, recorder } = reading(masked, borrowed);
    const { stream } = streamOf(
      [
        { opcode: Opcode.TEXT, payload: Buffer.from('one '), fin: false },
        { opcode: Opcode.CONTINUATION, payload: Buffer.from('two') },
      ],
      masked,
    );
    const [first, second] = cut(stream, [stream.length - 3]);
    reader.read(first!);
    first!.fill(0xee);
    reader.read(second!);
    expect(recorder.events).toEqual([`text ${show(Buffer.from('one two'))}`]);
  });
});

describe('a chunk that is borrowed', () => {
  it(
    'may be used again: nothing that was delivered is in it',
    () => {
      fc.assert(
        fc.property(conversation, cuts, fc.boolean(), ({ frames, events }, lengths, masked) => {
          const { stream } = streamOf(frames, masked);
          const { reader, recorder } = reading(masked, true);
          const code = readAll(reader, cut(stream, bearable(lengths, stream.length)), chunk => {
            new Uint8Array(chunk.buffer).fill(0xee);
          });
          expect(code).toBe(undefined);
          expect(recorder.events).toEqual(events);
          expect(recorder.isIntact()).toBe(true);
        }),
        runs(100),
      );
    },
    SLOW.timeout,
  );

  it('stays as it is', () => {
    fc.assert(
      fc.property(conversation, cuts, fc.boolean(), ({ frames }, lengths, masked) => {
        const { stream } = streamOf(frames, masked);
        const chunks = cut(stream, bearable(lengths, stream.length));
        readAll(reading(masked, true).reader, chunks);
        expect(Buffer.concat(chunks).equals(stream)).toBe(true);
        expect(chunks.every(isGuarded)).toBe(true);
      }),
      runs(50),
    );
  });
});

describe('a chunk that is not borrowed', () => {
  it(
    'is changed only where a payload is unmasked',
    () => {
      fc.assert(
        fc.property(conversation, cuts, fc.boolean(), ({ frames }, lengths, masked) => {
          const { stream, plain } = streamOf(frames, masked);
          const chunks = cut(stream, bearable(lengths, stream.length));
          const { reader, recorder } = reading(masked, false);
          expect(readAll(reader, chunks)).toBe(undefined);
          const after = Buffer.concat(chunks);
          expect(after.every((byte, i) => byte === stream[i] || byte === plain[i])).toBe(true);
          expect(chunks.every(isGuarded)).toBe(true);
          expect(recorder.isIntact()).toBe(true);
        }),
        runs(100),
      );
    },
    SLOW.timeout,
  );

  it('is where a message is delivered that came in it whole', () => {
    const stream = encode({ opcode: Opcode.BINARY, payload: content(1_000), key: KEY });
    const { reader, recorder } = reading(true, false);
    const [chunk] = cut(stream, [stream.length]);
    reader.read(chunk!);
    expect(recorder.delivered[0]!.data.buffer).toBe(chunk!.buffer);
  });
});

describe('a message', () => {
  it(
    'has room for an unmasked header before it, where nothing else is',
    () => {
      fc.assert(
        fc.property(
          conversation,
          cuts,
          fc.boolean(),
          fc.boolean(),
          ({ frames, events }, lengths, masked, borrowed) => {
            const { stream } = streamOf(frames, masked);
            const { reader, recorder } = reading(masked, borrowed);
            recorder.onData = ({ buffer, byteOffset, length }) => {
              const room = headerLength(length);
              expect(byteOffset).toBeGreaterThanOrEqual(room);
              new Uint8Array(buffer, byteOffset - room, room).set(
                encodeHeader({ opcode: Opcode.BINARY }, length),
              );
            };
            const chunks = cut(stream, bearable(lengths, stream.length));
            expect(readAll(reader, chunks)).toBe(undefined);
            expect(recorder.events).toEqual(events);
            expect(recorder.isIntact()).toBe(true);
            expect(chunks.every(isGuarded)).toBe(true);
          },
        ),
        runs(100),
      );
    },
    SLOW.timeout,
  );

  it('may be written into, and nothing else changes', () => {
    fc.assert(
      fc.property(
        conversation,
        cuts,
        fc.boolean(),
        fc.boolean(),
        ({ frames, events }, lengths, masked, borrowed) => {
          const { stream } = streamOf(frames, masked);
          const { reader, recorder } = reading(masked, borrowed);
          recorder.onData = data => data.fill(0x55);
          expect(readAll(reader, cut(stream, bearable(lengths, stream.length)))).toBe(undefined);
          expect(recorder.events).toEqual(events);
        },
      ),
      runs(50),
    );
  });
});

describe('memory', () => {
  /** Reads a stream and looks after each chunk at what was taken for it. */
  function expectBounded(
    stream: { length: number; chunk: (start: number, end: number) => Uint8Array },
    lengths: readonly number[],
    borrowed: boolean,
  ): CountingPool {
    const { reader, memory } = reading(true, borrowed, 2 ** 40);
    for (let at = 0, i = 0; at < stream.length; i++) {
      const end = Math.min(stream.length, at + lengths[i % lengths.length]!);
      reader.read(stream.chunk(at, end));
      at = end;
      const bound = 1_024 + 8 * at;
      if (memory.live > bound || memory.largest > bound) {
        expect.fail(`${memory.live} bytes, and at most ${memory.largest} at once, for ${at}`);
      }
    }
    return memory;
  }

  it('is never taken for more than eight times of what has come', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.boolean(),
        cuts,
        fc.nat(300_000),
        (length, borrowed, lengths, sent) => {
          const header = encodeHeader({ opcode: Opcode.BINARY, key: KEY }, length);
          const stream = Buffer.concat([header, Buffer.alloc(Math.min(sent, length - 1))]);
          expectBounded(
            { length: stream.length, chunk: (start, end) => Buffer.from(stream.subarray(start, end)) },
            bearable(lengths, stream.length),
            borrowed,
          );
        },
      ),
      runs(200),
    );
  });

  it('is hardly taken for a header that announces a gigabyte, byte by byte', () => {
    const header = encodeHeader({ opcode: Opcode.BINARY, key: KEY }, 2 ** 30);
    const length = header.length + 20_000;
    const memory = expectBounded({ length, chunk: start => Uint8Array.of(header[start] ?? 0) }, [1], false);
    expect(memory.live).toBeLessThan(50_000);
  });

  it('is taken once for the whole frame when a part of it is there, and given back when it was not enough', () => {
    const { reader, memory, recorder } = reading(true, false, 2 ** 40);
    const payload = content(1_000_000);
    const chunks = cut(encode({ opcode: Opcode.BINARY, payload, key: KEY }), [3_000]);
    expect(readAll(reader, chunks)).toBe(undefined);
    expect(recorder.events).toEqual([`binary ${show(payload)}`]);
    // All that is in use is what was delivered.
    expect(memory.live).toBe(memory.largest);
    expect(memory.largest).toBe(1_000_016);
    expect(recorder.delivered[0]!.data.buffer.byteLength).toBeLessThan(2_100_000);
  });

  it('of the pool is not taken for small frames', () => {
    const { reader, memory, recorder } = reading(true, true);
    const frames = Array.from({ length: 50 }, (_, i) => ({
      opcode: Opcode.TEXT,
      payload: Buffer.from(textOf(i * 40)),
    }));
    expect(readAll(reader, cut(streamOf(frames, true).stream, [700]))).toBe(undefined);
    expect(recorder.events).toHaveLength(50);
    expect(memory.largest).toBe(0);
  });
});
