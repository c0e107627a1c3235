import { describe, expect, it } from 'vitest';
import { HANDSHAKE_BURST, HANDSHAKE_INTERVAL } from '../../../src/core/constants.js';
import { peerAddress } from '../../../src/core/frame.js';
import { HandshakeBudget } from '../../../src/core/handshake-budget.js';

const address = (n: number): Uint8Array => peerAddress(new Uint8Array(32).fill(9), n);

/** How many handshakes `address` gets at one moment. */
function takeAll(budget: HandshakeBudget, now: number, of = address(1)): number {
  let taken = 0;
  while (taken < 10 * HANDSHAKE_BURST && budget.take(of, now)) taken++;
  return taken;
}

describe('HandshakeBudget', () => {
  it('gives a burst, then one an interval', () => {
    const budget = new HandshakeBudget();
    expect(takeAll(budget, 0)).toBe(HANDSHAKE_BURST);
    expect(budget.take(address(1), HANDSHAKE_INTERVAL - 1)).toBe(false);
    expect(takeAll(budget, HANDSHAKE_INTERVAL)).toBe(1);
    expect(takeAll(budget, 11 * HANDSHAKE_INTERVAL)).toBe(10);
  });

  it('saves up no more than a burst', () => {
    const budget = new HandshakeBudget();
    takeAll(budget, 0);
    expect(takeAll(budget, 1e12)).toBe(HANDSHAKE_BURST);
    expect(takeAll(budget, 2e12)).toBe(HANDSHAKE_BURST);
  });

  it('is for each address by itself', () => {
    const budget = new HandshakeBudget();
    expect(takeAll(budget, 0, address(1))).toBe(HANDSHAKE_BURST);
    expect(takeAll(budget, 0, address(2))).toBe(HANDSHAKE_BURST);
  });

  it('takes nothing back when the clock does', () => {
    const budget = new HandshakeBudget();
    expect(budget.take(address(1), 1e9)).toBe(true);
    expect(takeAll(budget, 0)).toBe(HANDSHAKE_BURST - 1);
    expect(takeAll(budget, HANDSHAKE_INTERVAL)).toBe(1);
  });

  it('remembers many addresses, but not all of them: the one unseen for longest is forgotten', () => {
    const budget = new HandshakeBudget();
    takeAll(budget, 0, address(0));
    for (let n = 1; n < 4_096; n++) budget.take(address(n), 0);
    expect(budget.take(address(0), 0)).toBe(false);
    // Now the one seen last; all others go before it.
    for (let n = 1; n < 4_096; n++) budget.take(address(10_000 + n), 0);
    expect(budget.take(address(0), 0)).toBe(false);
    for (let n = 1; n <= 4_096; n++) budget.take(address(20_000 + n), 0);
    expect(takeAll(budget, 0, address(0))).toBe(HANDSHAKE_BURST);
  });
});
