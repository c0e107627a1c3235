import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/core/bytes.js';
import { parseLocation } from '../../../../src/core/location.js';
import { checkSpaceName, isSpaceName } from '../../../../src/core/space/space-name.js';
import { expectCode } from '../../../support/errors.js';
import { parsesOrRefuses, runs } from '../../../support/fuzz.js';

describe('the name of a space', () => {
  it.each([
    'a',
    'lobby',
    'Lobby 7',
    '日本語',
    'grüße',
    '👩‍💻',
    '...',
    '.a',
    'a?b#c&d=e%20',
    '"\\',
    'x'.repeat(128),
    'ü'.repeat(64),
  ])('may be %j', name => {
    expect(() => {
      checkSpaceName(name);
    }).not.toThrow();
    expect(isSpaceName(name)).toBe(true);
  });

  it.each([
    ['nothing', '', 'empty'],
    ['129 characters', 'x'.repeat(129), '128 bytes'],
    ['129 bytes', `${'ü'.repeat(64)}x`, '128 bytes'],
    ['a million characters', 'x'.repeat(1_000_000), '128 bytes'],
    ['a slash', 'a/b', 'slash'],
    ['NUL', 'a\0', 'control'],
    ['a line feed', 'a\nb', 'control'],
    ['U+001F', '\u001f', 'control'],
    ['DEL', 'a\u007f', 'control'],
    ['half of a surrogate pair', 'a\ud800', 'surrogate'],
    ['the other half', '\udc00a', 'surrogate'],
    ['a decomposed letter', 'gru\u0308ße', 'normal form C'],
    ['the Kelvin sign, which is a K', '\u212a', 'normal form C'],
    ['one dot', '.', 'folder'],
    ['two dots', '..', 'folder'],
  ])('is not %s', (_, name, why) => {
    expect(
      expectCode(() => {
        checkSpaceName(name);
      }, 'INVALID_ARGUMENT').message,
    ).toContain(why);
    expect(isSpaceName(name)).toBe(false);
  });

  it.each([undefined, null, 7, {}, ['lobby'], new String('lobby')])('is not %o, which is no string', name => {
    expectCode(() => {
      checkSpaceName(name as string);
    }, 'INVALID_ARGUMENT');
    expect(isSpaceName(name as string)).toBe(false);
  });

  it('is one that a URL carries unchanged, and has one spelling', () => {
    const names = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 130 }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 130 }),
    );
    fc.assert(
      fc.property(names, name => {
        parsesOrRefuses(() => {
          checkSpaceName(name);
        }, 'INVALID_ARGUMENT');
        if (!isSpaceName(name)) return;
        expect(utf8(name).length).toBeLessThanOrEqual(128);
        expect(name.normalize('NFC')).toBe(name);
        const url = new URL(`wss://relay.example/space/${encodeURIComponent(name)}`);
        if (!/^[0-9a-f]{64}$/i.test(name)) expect(parseLocation(url).space).toBe(name);
      }),
      runs(500),
    );
  });
});
