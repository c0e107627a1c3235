import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandError } from '../../../src/cli/exit-code.js';
import { splitLines } from '../../../src/cli/lines.js';

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function split(
  chunks: AsyncIterable<Uint8Array>,
  limit = 1_000,
): Promise<{ lines: string[]; repairs: number }> {
  const lines: string[] = [];
  let repairs = 0;
  for await (const line of splitLines(chunks, limit, () => (repairs += 1)))
    lines.push(Buffer.from(line).toString());
  return { lines, repairs };
}

describe('splitLines', () => {
  it.each([
    [[], []],
    [[''], []],
    [['\n'], ['']],
    [['a\nb\n'], ['a', 'b']],
    [['a\n\nb'], ['a', '', 'b']],
    [['a\r\nb\r\n'], ['a', 'b']],
    [
      ['a', 'b\r', '\nc'],
      ['ab', 'c'],
    ],
    [['a\rb\n'], ['a\rb']],
  ])('%j becomes %j', async (chunks, lines) => {
    expect(await split(chunksOf(...chunks))).toEqual({ lines, repairs: 0 });
  });

  it('does not depend on how the bytes came', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', 'ü', '😀'), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 5 }), async (whole, size) => {
        const bytes = Buffer.from(whole);
        const parts: Uint8Array[] = [];
        for (let i = 0; i < bytes.length; i += size) parts.push(bytes.subarray(i, i + size));
        const expected = whole.split('\n');
        if (expected.at(-1) === '') expected.pop();
        expect(await split(chunksOf(...parts))).toEqual({ lines: expected, repairs: 0 });
      }),
    );
  });

  it('makes UTF-8 of what is none, and says so', async () => {
    const chunks = chunksOf(Buffer.from([0x61, 0xff, 0x62, 0x0a, 0x63, 0x0a, 0xc3]));
    expect(await split(chunks)).toEqual({ lines: ['a\ufffdb', 'c', '\ufffd'], repairs: 2 });
  });

  it('keeps no line that is too long, whether it ends or not', async () => {
    expect((await split(chunksOf('a'.repeat(10), '\n', 'b\n'), 10)).lines).toHaveLength(2);
    const many = Array.from({ length: 10 }, () => ['aaaa', 'aa\n']).flat();
    expect((await split(chunksOf(...many), 10)).lines).toHaveLength(10);
    await expect(split(chunksOf('a'.repeat(6), 'a'.repeat(5)), 10)).rejects.toThrow(CommandError);
    let given = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        given += 1;
        yield Buffer.from('aaaa');
      }
    }
    await expect(split(endless(), 10)).rejects.toMatchObject({
      hint: expect.stringContaining('--binary') as string,
    });
    expect(given).toBe(3);
  });
});
