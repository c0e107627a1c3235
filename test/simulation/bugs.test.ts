// The simulation is worth what it finds: each of these bugs must be found in a few hundred seeds.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Inbox } from '../../src/core/inbox.js';
import { CipherState } from '../../src/core/noise/cipher-state.js';
import { Reliability } from '../../src/core/reliability.js';
import { simulate } from './simulate.js';
import { SimulationError } from './world.js';

const SEEDS = 400;

afterEach(() => {
  vi.restoreAllMocks();
});

/** What the simulation says of the first seed in which it finds something. */
function found(): string {
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      simulate(seed);
    } catch (error) {
      if (error instanceof SimulationError) return error.message;
      throw error;
    }
  }
  return 'nothing';
}

describe('the simulation finds', () => {
  it('nothing where there is no bug', () => {
    expect(found()).toBe('nothing');
  });

  it('records that are taken twice', () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const accept = Reliability.prototype.accept;
    vi.spyOn(Reliability.prototype, 'accept').mockImplementation(function (this: Reliability, ...args) {
      const [sequenced, sequence] = args;
      return (sequenced && sequence < this.expected) || accept.apply(this, args);
    });
    expect(found()).not.toBe('nothing');
  });

  it('records that are sent again and taken out of order', () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const accept = Reliability.prototype.accept;
    vi.spyOn(Reliability.prototype, 'accept').mockImplementation(function (this: Reliability, ...args) {
      return accept.apply(this, args) || args[0];
    });
    expect(found()).toMatch(/another message than number|which was never sent/);
  });

  it('credit that is never returned', () => {
    vi.spyOn(Inbox.prototype, 'owesCredit', 'get').mockReturnValue(false);
    expect(found()).toMatch(/has not come to an end|has not ended well/);
  });

  it('messages that are acknowledged and not delivered', () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const { discard, resume } = Inbox.prototype;
    vi.spyOn(Inbox.prototype, 'resume').mockImplementation(function (this: Inbox) {
      discard.call(this);
      return resume.call(this);
    });
    expect(found()).toMatch(/acknowledged, \d+ delivered|another message than number|got \d+ of \d+/);
  });

  it('what was lost and is never sent again', () => {
    vi.spyOn(Reliability.prototype, 'rewind').mockImplementation(() => undefined);
    expect(found()).toMatch(/has not come to an end|has not ended well/);
  });

  it('a counter that is used twice with one key', () => {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this`
    const encryptInto = CipherState.prototype.encryptInto;
    vi.spyOn(CipherState.prototype, 'encryptInto').mockImplementation(function (this: CipherState, ...args) {
      if (this.n === 3) this.setNonce(2);
      encryptInto.apply(this, args);
    });
    expect(found()).toContain('a nonce was used twice');
  });
});
