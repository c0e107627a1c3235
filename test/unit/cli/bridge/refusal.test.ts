import { describe, expect, it } from 'vitest';
import { Refusal, refusalOf } from '../../../../src/cli/bridge/refusal.js';
import { ChannelRefusal } from '../../../../src/core/channel-refusal.js';
import { SecureWebSocketError } from '../../../../src/core/errors.js';

describe('what a client is refused with', () => {
  it.each([
    ['PEER_NOT_HERE', 404],
    ['PEER_NOT_ALLOWED', 403],
    ['KEY_NOT_ALLOWED', 403],
    ['TOKEN_EXPIRED', 403],
    ['ADMISSION_UNAVAILABLE', 503],
    ['NON_CANONICAL_ADDRESS', 400],
    ['SESSION_TIMEOUT', 504],
    ['LINK_FAILED', 502],
    ['SERVER_KEY_MISMATCH', 502],
  ] as const)('%s: %d', (code, status) => {
    expect(refusalOf(new SecureWebSocketError(code, 'Why.'))).toMatchObject({
      status,
      message: `${code}: Why.`,
    });
  });

  it.each([
    [404, 404],
    [418, 418],
    [599, 599],
    [200, 502],
    [302, 502],
    [0, 502],
    [1e9, 502],
  ])('the far side with %d: %d', (given, status) => {
    expect(refusalOf(new ChannelRefusal(given, 'why'))).toMatchObject({ status, message: 'why' });
  });

  it('without words of the far side: those of the status', () => {
    expect(refusalOf(new ChannelRefusal(404, '')).message).toBe('Not Found');
  });

  it('anything else: 502', () => {
    expect(refusalOf(new Error('why'))).toMatchObject({ status: 502, message: 'why' });
    const refusal = new Refusal(401, 'no');
    expect(refusalOf(refusal)).toBe(refusal);
  });

  it('nothing in it steers a terminal or breaks a header', () => {
    const { message } = refusalOf(new ChannelRefusal(404, `a\r\nb\u001b[31m${'x'.repeat(1_000)}`));
    expect(message).toMatch(/^[\x20-\x7e]{1,200}$/);
  });
});
