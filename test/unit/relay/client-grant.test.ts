import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { MAX_TOKEN_LENGTH } from '../../../src/core/constants.js';
import type { Control } from '../../../src/core/control.js';
import { decodeFrame, encodeControl } from '../../../src/core/frame.js';
import type {
  AdmissionDecision,
  AdmissionRequest,
  Admitted,
} from '../../../src/relay/admission/admission-options.js';
import { ClientGrant } from '../../../src/relay/admission/client-grant.js';
import { bytes, runs, tamperings } from '../../support/fuzz.js';
import { transportKeys } from '../../support/transport-keys.js';
import { transportMessage } from '../../support/transport-message.js';

const START = 1_750_000_000_000;
const REQUEST: AdmissionRequest = {
  publicKey: 'aa'.repeat(32),
  ip: '192.0.2.1',
  address: 'wss://relay.example',
  userId: 'alice',
  deviceId: 'laptop',
  token: 'the first token',
};

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A grant until `expiresIn` from now, whose owner decides when a test says so. */
function setUp(admitted: Admitted = { expiresAt: START + 60_000, userId: 'alice' }) {
  const requests: AdmissionRequest[] = [];
  const decisions: ((decision: AdmissionDecision) => void)[] = [];
  const sent: Control[] = [];
  const renewed: Admitted[] = [];
  const violations: string[] = [];
  const ends: number[] = [];
  const clientKeys = transportKeys(true);
  const keys = transportKeys(false);
  const grant = new ClientGrant(REQUEST, admitted, keys, {
    decide: request => {
      requests.push(request);
      return new Promise(resolve => decisions.push(resolve));
    },
    send: control => sent.push(control),
    renewed: each => renewed.push(each),
    expired: () => ends.push(Date.now() - START),
    violated: message => violations.push(message),
  });
  return {
    grant,
    requests,
    sent,
    renewed,
    violations,
    ends,
    keys,
    clientKeys,
    seal: (token: string): Uint8Array => transportMessage(clientKeys, utf8(token)),
    decide: async (decision: AdmissionDecision): Promise<void> => {
      decisions.shift()?.(decision);
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

describe('what a client is let in for', () => {
  it('ends when it expires', () => {
    const { ends } = setUp();
    vi.advanceTimersByTime(59_999);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual([60_000]);
    vi.advanceTimersByTime(1e9);
    expect(ends).toEqual([60_000]);
  });

  it('ends at once where it has expired already', () => {
    const { ends } = setUp({ expiresAt: START - 5 });
    vi.advanceTimersByTime(0);
    expect(ends).toEqual([0]);
  });

  it('does not end before its time when that is further away than timers can wait', () => {
    const days = 60 * 86_400_000;
    const { ends } = setUp({ expiresAt: START + days });
    vi.advanceTimersByTime(days - 1);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual([days]);
  });

  it('ends with its connection: nobody is told then, and the keys are wiped', () => {
    const { grant, ends, keys } = setUp();
    grant.close();
    vi.advanceTimersByTime(1e9);
    expect(ends).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
    expect(() => transportMessage(keys, new Uint8Array(1))).toThrow();
  });

  it('keeps no process alive', () => {
    vi.useRealTimers();
    const spy = vi.spyOn(globalThis, 'setTimeout');
    const { grant } = setUp({ expiresAt: Date.now() + 60_000 });
    expect((spy.mock.results.at(-1)?.value as NodeJS.Timeout).hasRef()).toBe(false);
    grant.close();
    spy.mockRestore();
  });
});

describe('a fresh token', () => {
  it('is judged as the first one was, and takes its place', async () => {
    const { grant, requests, sent, renewed, ends, seal, decide } = setUp();
    vi.advanceTimersByTime(50_000);
    grant.receive(seal('a fresh token'));
    expect(requests).toEqual([{ ...REQUEST, token: 'a fresh token' }]);
    expect(sent).toEqual([]);
    const admitted = { expiresAt: START + 110_000, userId: 'alice', peers: ['bb'.repeat(32)] };
    await decide(admitted);
    expect(renewed).toEqual([admitted]);
    expect(sent).toEqual([{ type: 'TOKEN_ACCEPTED', expiresIn: 60_000 }]);
    vi.advanceTimersByTime(59_999);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual([110_000]);
  });

  it('may be good for ever', async () => {
    const { grant, sent, ends, seal, decide } = setUp();
    grant.receive(seal('fresh'));
    await decide({ userId: 'alice' });
    expect(sent).toEqual([{ type: 'TOKEN_ACCEPTED' }]);
    vi.advanceTimersByTime(1e9);
    expect(ends).toEqual([]);
  });

  it('may be good for less than the one before', async () => {
    const { grant, sent, ends, seal, decide } = setUp();
    grant.receive(seal('fresh'));
    await decide({ userId: 'alice', expiresAt: START - 1 });
    expect(sent).toEqual([{ type: 'TOKEN_ACCEPTED', expiresIn: 0 }]);
    vi.advanceTimersByTime(0);
    expect(ends).toEqual([0]);
  });

  it('that is refused changes nothing, and the client hears why, in so many words', async () => {
    const { grant, sent, renewed, ends, seal, decide } = setUp();
    grant.receive(seal('bad'));
    await decide({ refused: 'TOKEN_INVALID', message: 'y'.repeat(5_000) });
    expect(sent).toEqual([{ type: 'TOKEN_REFUSED', reason: 'TOKEN_INVALID', message: 'y'.repeat(200) }]);
    expect(renewed).toEqual([]);
    vi.advanceTimersByTime(60_000);
    expect(ends).toEqual([60_000]);
  });

  it('that names another user is refused', async () => {
    for (const [before, after] of [
      ['alice', 'mallory'],
      ['alice', undefined],
      [undefined, 'alice'],
    ]) {
      const { grant, sent, renewed, seal, decide } = setUp({ expiresAt: START + 60_000, userId: before });
      grant.receive(seal('whose?'));
      await decide({ expiresAt: START + 1e6, userId: after });
      expect(sent).toMatchObject([{ type: 'TOKEN_REFUSED', reason: 'TOKEN_NOT_YOURS' }]);
      expect(renewed).toEqual([]);
    }
  });

  it('has to wait until the one before was judged', async () => {
    const { grant, requests, sent, renewed, violations, seal, decide } = setUp();
    grant.receive(seal('one'));
    grant.receive(seal('two'));
    expect(requests.map(({ token }) => token)).toEqual(['one']);
    expect(sent).toMatchObject([{ type: 'TOKEN_REFUSED', reason: 'ADMISSION_UNAVAILABLE' }]);
    await decide({ expiresAt: START + 1e6, userId: 'alice' });
    expect(renewed).toHaveLength(1);
    grant.receive(seal('three'));
    expect(requests.map(({ token }) => token)).toEqual(['one', 'three']);
    await decide({ refused: 'TOKEN_EXPIRED', message: '' });
    grant.receive(seal('four'));
    expect(requests).toHaveLength(3);
    expect(violations).toEqual([]);
  });

  it('that is judged when the connection is gone means nothing', async () => {
    for (const decision of [
      { expiresAt: START + 1e6, userId: 'alice' },
      { refused: 'TOKEN_INVALID', message: '' } as const,
    ]) {
      const { grant, sent, renewed, seal, decide } = setUp();
      grant.receive(seal('fresh'));
      grant.close();
      await decide(decision);
      expect([sent, renewed]).toEqual([[], []]);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it('may be as long as the first, and empty', () => {
    const { grant, requests, violations, seal } = setUp();
    const longest = '語'.repeat(MAX_TOKEN_LENGTH);
    grant.receive(seal(longest));
    expect(requests[0]?.token).toBe(longest);
    const other = setUp();
    other.grant.receive(other.seal(''));
    expect(other.requests[0]?.token).toBe('');
    expect([...violations, ...other.violations]).toEqual([]);
  });

  it('keeps nothing of the first', async () => {
    const { grant, requests, seal, decide } = setUp();
    grant.receive(seal('fresh'));
    await decide({ refused: 'TOKEN_INVALID', message: '' });
    expect(JSON.stringify(requests)).not.toContain('the first token');
  });
});

describe('what is no token', () => {
  it.each<[string, (scene: ReturnType<typeof setUp>) => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['less than any message', ({ seal }) => seal('').subarray(0, 28)],
    ['another kind of body', ({ seal }) => seal('x').fill(1, 0, 1)],
    ['what was sealed with other keys', () => transportMessage(transportKeys(false), utf8('x'))],
    ['too long a token', ({ seal }) => seal('x'.repeat(MAX_TOKEN_LENGTH + 1))],
    ['no UTF-8', ({ clientKeys }) => transportMessage(clientKeys, Uint8Array.of(0xff))],
  ])('%s ends the connection', (_, make) => {
    const scene = setUp();
    scene.grant.receive(make(scene));
    expect(scene.violations).toHaveLength(1);
    expect(scene.requests).toEqual([]);
    expect(scene.sent).toEqual([]);
  });

  it('one that was shown before ends the connection: nobody can show it for another', async () => {
    const { grant, seal, requests, violations, decide } = setUp();
    const sealed = seal('fresh');
    grant.receive(sealed.slice());
    await decide({ expiresAt: START + 1e6, userId: 'alice' });
    grant.receive(sealed.slice());
    expect(violations).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });

  it('nothing that was changed is taken for one, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), tamperings, bytes(80), (token, tamper, garbage) => {
        const scene = setUp();
        const sealed = scene.seal(token);
        const changed = tamper(sealed.slice());
        // The receiver index is not sealed, and means nothing here.
        fc.pre(Buffer.compare(changed.subarray(5), sealed.subarray(5)) !== 0 || changed[0] !== sealed[0]);
        scene.grant.receive(changed);
        scene.grant.receive(garbage);
        expect(scene.requests).toEqual([]);
        expect(scene.violations).toHaveLength(2);
        scene.grant.close();
      }),
      runs(100),
    );
  });
});

it('whatever is said of a token can be read by its client', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 400 }), async message => {
      const { grant, sent, seal, decide } = setUp();
      grant.receive(seal('bad'));
      await decide({ refused: 'ADMISSION_REFUSED', message });
      const [control] = sent;
      if (!control) throw new Error('nothing was said');
      expect(decodeFrame(encodeControl(control))).toMatchObject({ control: { reason: 'ADMISSION_REFUSED' } });
      grant.close();
    }),
    { ...runs(100), examples: [['\u0000'.repeat(300)], ['\ud800'.repeat(300)], ['語'.repeat(300)]] },
  );
});
