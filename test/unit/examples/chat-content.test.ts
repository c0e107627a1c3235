// What other people in the chat example can send: names, names of files, images, messages. All of it is untrusted.
import fc from 'fast-check';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  decodePart,
  encodePart,
  encodeText,
  PART,
} from '../../../examples/chat/page/chat-message.js';
import { readableSize, safeFileName } from '../../../examples/chat/page/file-name.js';
import { imageKind } from '../../../examples/chat/page/image-kind.js';
import {
  ambiguousNames,
  cleanName,
  fingerprint,
  likeness,
  MAX_NAME,
} from '../../../examples/chat/page/names.js';
import { titleOf } from '../../../examples/chat/page/unread.js';
import { runs } from '../../support/fuzz.js';

const anything = fc.string({ unit: 'binary', maxLength: 300 });
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

describe('names', () => {
  it('are short and visible, whatever comes', () => {
    fc.assert(
      fc.property(anything, name => {
        const clean: string = cleanName(name);
        expect([...clean].length).toBeLessThanOrEqual(MAX_NAME);
        expect(clean).not.toMatch(INVISIBLE);
        expect(clean).toBe(clean.trim());
        expect(cleanName(clean)).toBe(clean);
        expect(clean.normalize('NFC')).toBe(clean);
      }),
      runs(500),
    );
  });

  it('keep what people are called', () => {
    for (const name of ['Ada', 'Zoë Müller', '山田太郎', 'محمد', 'O’Neill', 'Tiếng Việt', '🦊']) {
      expect(cleanName(name)).toBe(name.normalize('NFC'));
    }
    expect(cleanName('🦊'.repeat(100))).toBe('🦊'.repeat(MAX_NAME));
    expect(cleanName('  two \n\t words ')).toBe('two words');
    expect(cleanName('two \0 words')).toBe('two words');
    expect(cleanName(`Z${'\u0301'.repeat(40)}algo`)).toMatch(/^.{1,4}algo$/u);
  });

  it('are alike when they look it', () => {
    const people = [
      { name: 'Ada', publicKey: 'a' },
      { name: 'ＡＤＡ', publicKey: 'b' },
      { name: 'Bob', publicKey: 'c' },
      { name: 'Bob', publicKey: 'c' },
      { name: '', publicKey: 'd' },
      { name: '', publicKey: 'e' },
    ];
    expect(ambiguousNames(people)).toEqual(new Set(['ada']));
    expect(likeness('Á d.a')).toBe('ada');
  });

  it('stand beside 64 bits of the key', () => {
    expect(fingerprint('0123456789abcdef'.repeat(4))).toBe('0123 4567 89ab cdef');
  });
});

describe('names of files', () => {
  it('are no paths, not hidden, visible and short, whatever comes', () => {
    fc.assert(
      fc.property(anything, name => {
        const safe: string = safeFileName(name);
        expect(safe).not.toMatch(/[/\\:*?"<>|]/);
        expect(safe).not.toMatch(INVISIBLE);
        expect(safe).not.toMatch(/^[. ]|[. ]$/);
        expect(safe).not.toBe('');
        expect([...safe].length).toBeLessThanOrEqual(101);
      }),
      runs(500),
    );
  });

  it.each([
    ['notes.txt', 'notes.txt'],
    ['../../.ssh/authorized_keys', 'authorized_keys'],
    ['C:\\Windows\\system.ini', 'system.ini'],
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['.bashrc', 'bashrc'],
    ['CON', '_CON'],
    ['aux.txt', '_aux.txt'],
    ['', 'file'],
    ['...', 'file'],
    [`${'x'.repeat(300)}.tar`, `${'x'.repeat(96)}.tar`],
  ])('%j is saved as %j', (name, safe) => {
    expect(safeFileName(name)).toBe(safe);
  });

  it('come with a size', () => {
    expect([0, 1, 1023, 1536, 30_000, 10_485_760].map(readableSize)).toEqual([
      '0 bytes',
      '1 byte',
      '1023 bytes',
      '1.5 KiB',
      '29 KiB',
      '10.0 MiB',
    ]);
  });
});

describe('images', () => {
  const png = (width: number, height: number): Uint8Array => {
    const header = Buffer.alloc(25);
    header.writeUInt32BE(13);
    header.write('IHDR', 4);
    header.writeUInt32BE(width, 8);
    header.writeUInt32BE(height, 12);
    return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), header, deflateSync(Buffer.alloc(9))]);
  };
  const webp = (kind: string, at: number, size: readonly number[]): Uint8Array => {
    const bytes = Buffer.alloc(40);
    bytes.write('RIFF');
    bytes.write(`WEBP${kind}`, 8);
    bytes.set(size, at);
    return bytes;
  };
  const jpeg = (height: number, width: number, before: readonly number[] = []): Uint8Array =>
    Uint8Array.of(
      ...[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, ...before],
      ...[0xff, 0xc2, 0, 11, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0],
    );

  it('are known by their bytes', () => {
    expect(imageKind(png(100, 50))).toBe('image/png');
    expect(imageKind(Buffer.from('GIF89a\x10\0\x10\0', 'latin1'))).toBe('image/gif');
    expect(imageKind(webp('VP8 ', 26, [16, 0, 16, 0]))).toBe('image/webp');
    expect(imageKind(webp('VP8L', 21, [15, 0xc0, 3, 0]))).toBe('image/webp');
    expect(imageKind(webp('VP8X', 24, [15, 0, 0, 15, 0, 0]))).toBe('image/webp');
    expect(imageKind(jpeg(16, 16))).toBe('image/jpeg');
    expect(imageKind(jpeg(16, 16, [0xff, 0xff, 0xc4, 0, 2]))).toBe('image/jpeg');
  });

  it('are nothing else', () => {
    for (const text of [
      '',
      'GIF',
      '<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>',
      '<!doctype html>',
      'BM6',
    ]) {
      expect(imageKind(Buffer.from(text))).toBeUndefined();
    }
  });

  it('that would fill the memory are not shown', () => {
    expect(imageKind(png(5_000, 8_000))).toBe('image/png');
    expect(imageKind(png(100_000, 100_000))).toBeUndefined();
    expect(imageKind(png(0, 100))).toBeUndefined();
    expect(imageKind(jpeg(65_535, 65_535))).toBeUndefined();
    expect(imageKind(webp('VP8X', 24, [255, 255, 255, 255, 255, 255]))).toBeUndefined();
  });

  it('do no harm, whatever comes', () => {
    const starts = [
      png(9, 9),
      jpeg(9, 9),
      webp('VP8X', 24, [9]),
      webp('VP8L', 21, [9]),
      Buffer.from('GIF87a'),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...starts),
        fc.nat(40),
        fc.uint8Array({ maxLength: 60 }),
        (start, cut, rest) => {
          imageKind(Uint8Array.of(...start.subarray(0, cut), ...rest));
        },
      ),
      runs(1000),
    );
  });
});

describe('messages', () => {
  it('of whatever kind are understood or are nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          fc.json(),
          fc
            .record({
              type: fc.constantFrom('name', 'text', 'file', 'cancel', '__proto__', 'x'),
              name: fc.oneof(anything, fc.anything()),
              text: fc.oneof(anything, fc.anything()),
              id: fc.anything(),
              size: fc.anything(),
            })
            .map(message => {
              try {
                return JSON.stringify(message);
              } catch {
                return '';
              }
            }),
        ),
        json => {
          const message = decodeMessage(json);
          if (message !== undefined) expect(['name', 'text', 'file', 'cancel']).toContain(message.type);
        },
      ),
      runs(1000),
    );
  });

  it('that are endless are cut, between characters', () => {
    const message = decodeMessage(encodeText('🦊'.repeat(5_000)));
    expect(message).toEqual({ type: 'text', text: `${'🦊'.repeat(2_000)}…` });
    expect(decodeMessage(encodeText(`x${'🦊'.repeat(5_000)}`))).toEqual({
      type: 'text',
      text: `x${'🦊'.repeat(1_999)}…`,
    });
  });

  it('that are parts of files have one size', () => {
    const id = '00ff'.repeat(8);
    const part = encodePart(id, 7, Uint8Array.of(1, 2, 3));
    expect(decodePart(part.buffer)).toEqual({ id, number: 7, bytes: Uint8Array.of(1, 2, 3) });
    expect(decodePart(new ArrayBuffer(20))).toBeUndefined();
    expect(decodePart(new ArrayBuffer(20 + PART))).toBeDefined();
    expect(decodePart(new ArrayBuffer(21 + PART))).toBeUndefined();
  });

  it('that nobody has seen are counted in the title', () => {
    expect([titleOf('lobby', 0), titleOf('lobby', 3)]).toEqual([
      'lobby · secure-websocket chat',
      '(3) lobby · secure-websocket chat',
    ]);
  });
});
