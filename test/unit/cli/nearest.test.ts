import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/cli/nearest.js';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['relay', 'relay', 0],
    ['relay', 'rely', 1],
    ['relay', 'relays', 1],
    ['relay', 'reley', 1],
    ['relay', 'realy', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
    ['ca', 'abc', 3],
  ])('of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  it('is symmetric, and zero for equal strings only', () => {
    const word = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(editDistance(b, a)).toBe(distance);
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('does not go on for ever', () => {
    expect(editDistance('a'.repeat(1e6), 'b'.repeat(1e6))).toBe(64);
  });
});

describe('nearest', () => {
  const names = ['identity', 'binary', 'relay', 'once', 'port'];

  it.each([
    ['identiy', 'identity'],
    ['indentity', 'identity'],
    ['ident', 'identity'],
    ['binray', 'binary'],
    ['rely', 'relay'],
    ['onse', 'once'],
    ['prot', 'port'],
    ['ont', undefined],
    ['colour', undefined],
    ['', undefined],
    ['x', undefined],
  ])('of %j is %j', (given, expected) => {
    expect(nearest(given, names)).toBe(expected);
  });

  it('prefers the nearer', () => {
    expect(nearest('sever', ['never', 'server-key', 'server'])).toBe('never');
    expect(nearest('serve', ['never', 'server'])).toBe('server');
  });
});
