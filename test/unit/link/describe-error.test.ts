import { describe, expect, it } from 'vitest';
import { describeError } from '../../../src/core/describe-error.js';

describe('describeError', () => {
  it.each([
    ['the message of an error', new Error('no route'), 'no route'],
    ['all messages of several errors', new AggregateError([new Error('a'), new Error('b')]), 'a; b'],
    ['the message of several errors where they have one', new AggregateError([new Error('a')], 'all'), 'all'],
    ['the name of an error without message', new RangeError(''), 'RangeError'],
    ['anything else as it is', 'text', 'text'],
    ['nothing', undefined, 'undefined'],
  ])('gives %s', (_, error, text) => {
    expect(describeError(error)).toBe(text);
  });
});
