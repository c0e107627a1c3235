import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableMessage } from '../../../src/cli/printable.js';

describe('printable', () => {
  it('shows what a terminal would obey', () => {
    expect(printable('\u001b[2J\u0007\u009b1m\r\n\u007f\u0000')).toBe(
      String.raw`\x1b[2J\x07\x9b1m\r\n\x7f\x00`,
    );
    expect(printable('safe\u202etxt.exe\u2066')).toBe(String.raw`safe\u202etxt.exe\u2066`);
  });

  it('leaves the rest', () => {
    expect(printable('tab\there, größer, 😀, "…"')).toBe('tab\there, größer, 😀, "…"');
  });

  it('leaves no control and no second line', () => {
    const units = fc.nat({ max: 0x2fff }).map(code => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.string({ unit: units }), text => {
        expect(printable(text)).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
      }),
    );
  });
});

describe('printableMessage', () => {
  it('keeps lines, but lets none of them look like one of ours', () => {
    expect(printableMessage('one\ntwo\r\n6f0c1a2b: three')).toBe('one\n  two\n  6f0c1a2b: three');
    expect(printableMessage('a\rb')).toBe(String.raw`a\rb`);
  });
});
