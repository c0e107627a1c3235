import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecureWebSocketError } from '../../../../src/core/errors.js';
import { KeySet } from '../../../../src/relay/admission/key-set.js';
import { anyKey, keyOf } from '../../../support/public-keys.js';

const a = keyOf('a');
const b = keyOf('b');

describe('KeySet', () => {
  it('takes one key per line, comments and blank lines', async () => {
    const text = `# friends\r\n\r\n${a}\r\n   ${b}  # her laptop\n${b}`;
    const keys = await KeySet.parse('list', text);
    expect(keys.size).toBe(2);
    expect(keys.has(a)).toBe(true);
    expect(keys.has(b)).toBe(true);
    expect(keys.has(keyOf('c'))).toBe(false);
  });

  it('takes an array', async () => {
    const keys = await KeySet.parse('"allow"', [a, b]);
    expect([a, b, keyOf('c')].map(key => keys.has(key))).toEqual([true, true, false]);
  });

  it.each([
    ['short', 'abc', 'An address is 64 hex characters, got 3 characters.'],
    ['uppercase', a.toUpperCase(), 'uppercase; write it in lowercase'],
    ['no hex', `${a.slice(1)}g`, 'The character at position 63 of the address is not a hex digit.'],
    ['not canonical', 'f'.repeat(64), 'not canonical'],
    ['of low order', '0'.repeat(64), 'low order'],
    ['two on a line', `${a} ${b}`, 'An address is 64 hex characters'],
  ])('says where a line is, and what is wrong with it: %s', async (_, line, message) => {
    const error: unknown = await KeySet.parse('/etc/allow', `${a}\n# and\n\n${line}\n${b}`).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('/etc/allow, line 4: ') as string,
    });
    expect((error as Error).message).toContain(message);
  });

  it('says which entry of an array is wrong', async () => {
    await expect(KeySet.parse('"allow"', [a, 7 as never])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"allow", entry 2: It is not a string.',
    });
  });

  it('lets others run while it reads a long list', async () => {
    let turns = 0;
    let ended = false;
    const count = () => {
      turns += 1;
      if (!ended) setImmediate(count);
    };
    setImmediate(count);
    const keys = await KeySet.parse('list', Array.from({ length: 20_000 }, (_, i) => keyOf(i)).join('\n'));
    ended = true;
    expect(keys.size).toBe(20_000);
    expect(turns).toBeGreaterThan(5);
  });

  it('has what was written, whatever else is in the text', async () => {
    const noise = fc.constantFrom('', ' ', '\t', '# x', `#${a}`, '\r');
    const line = fc.tuple(anyKey(), noise).map(([key, after]) => ({ key, line: `${key}${after}` }));
    await fc.assert(
      fc.asyncProperty(fc.array(line), anyKey(), async (lines, other) => {
        const keys = await KeySet.parse('list', lines.map(each => each.line).join('\n'));
        for (const { key } of lines) expect(keys.has(key)).toBe(true);
        const there = lines.some(({ key }) => key === other);
        expect(keys.has(other)).toBe(there);
        expect(keys.size).toBe(new Set(lines.map(({ key }) => key)).size);
      }),
    );
  });

  it('refuses any other text with INVALID_ARGUMENT', async () => {
    const altered = fc
      .tuple(anyKey(), fc.nat(63), fc.string({ minLength: 1, maxLength: 2 }))
      .map(([key, at, text]) => key.slice(0, at) + text + key.slice(at + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), altered), async text => {
        const error: unknown = await KeySet.parse('list', text).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) {
          for (const line of text.split('\n')) {
            const rest = line.split('#')[0]!.trim();
            if (rest !== '') expect(rest).toMatch(/^[0-9a-f]{64}$/);
          }
        } else {
          expect(error).toBeInstanceOf(SecureWebSocketError);
          expect((error as SecureWebSocketError).code).toBe('INVALID_ARGUMENT');
        }
      }),
    );
  });
});
