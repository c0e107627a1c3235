import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { RelayObserver } from '../../../../src/relay/relay-observer.js';
import { type EntryAnswer, SpacePolicy } from '../../../../src/relay/spaces/space-policy.js';
import type { CheckedSpaces, SpaceEntry } from '../../../../src/relay/spaces/spaces-options.js';

const ENTRY: SpaceEntry = {
  space: 'room',
  publicKey: 'ab'.repeat(32),
  userId: 'alice',
  deviceId: 'phone',
  ip: '192.0.2.1',
};
/** As many questions may be open at a time. */
const MAX_ASKING = 4_160;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A policy, and what is told of its questions. */
function policyOf(mayEnter: CheckedSpaces['mayEnter'], hook?: CheckedSpaces['hook']) {
  const told: string[] = [];
  const observer: Partial<RelayObserver> = {
    asked: (about, seconds, outcome, error) => {
      expect(seconds).toBeGreaterThanOrEqual(0);
      told.push([about, outcome, error?.message].filter(part => part !== undefined).join(' '));
    },
  };
  const policy = new SpacePolicy({ mayEnter, hook }, () => observer);
  closers.push(() => {
    policy.close();
  });
  return { policy, told };
}

/** Somebody who answers by HTTP, or not at all. */
async function hookAt(answer: (space: string) => string | undefined) {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const said = answer((JSON.parse(Buffer.concat(chunks).toString()) as SpaceEntry).space);
      if (said !== undefined) response.end(said);
    })();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/` };
}

describe('who may enter a space', () => {
  it('is everybody where nobody decides', () => {
    const { policy, told } = policyOf(undefined);
    expect(policy.ask(ENTRY)).toBe(true);
    expect(told).toEqual([]);
  });

  it('is known at once from a function that knows at once', () => {
    const entries: SpaceEntry[] = [];
    const { policy, told } = policyOf(entry => {
      entries.push(entry);
      return entries.length === 1;
    });
    expect([policy.ask(ENTRY), policy.ask(ENTRY)]).toEqual([true, false]);
    expect([entries, told]).toEqual([
      [ENTRY, ENTRY],
      ['space yes', 'space no'],
    ]);
  });

  it('is known later from whatever can be waited for', async () => {
    // Not a Promise of this realm, and of no other.
    const later = (answer: boolean) => ({
      then: (done: (answer: boolean) => void) => {
        done(answer);
      },
    });
    const { policy, told } = policyOf(({ space }) => later(space === 'room') as Promise<boolean>);
    expect(await policy.ask(ENTRY)).toBe(true);
    expect(await policy.ask({ ...ENTRY, space: 'other' })).toBe(false);
    expect(told).toEqual(['space yes', 'space no']);
  });

  it('is not known where the function throws, rejects, or says neither yes nor no', async () => {
    const answers: (() => unknown)[] = [
      () => {
        throw new Error('broken');
      },
      () => Promise.reject(new Error('broken later')),
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- Programs do.
      () => Promise.reject('no error'),
      () => 1,
      () => undefined,
      () => Promise.resolve('yes'),
    ];
    const outcomes: EntryAnswer[] = [];
    const { policy, told } = policyOf((() => answers.shift()?.()) as () => boolean);
    for (let n = answers.length; n > 0; n--) outcomes.push(await policy.ask(ENTRY));
    expect(outcomes).toEqual(Array.from({ length: 6 }, () => 'unavailable'));
    expect(told.slice(0, 3)).toEqual([
      'space unavailable broken',
      'space unavailable broken later',
      'space unavailable no error',
    ]);
    expect(told.slice(3).every(line => line.includes('neither true nor false'))).toBe(true);
  });

  it('is what both say, where an HTTP hook is asked and a function', async () => {
    let calls = 0;
    const hook = await hookAt(space => JSON.stringify({ allow: space === 'room' }));
    const { policy, told } = policyOf(({ userId }) => {
      calls += 1;
      return userId === 'alice';
    }, hook);
    expect(await policy.ask(ENTRY)).toBe(true);
    expect(await policy.ask({ ...ENTRY, userId: 'bob' })).toBe(false);
    expect(calls).toBe(2);
    // Where the first says no, the second is not asked.
    expect(await policy.ask({ ...ENTRY, space: 'closed' })).toBe(false);
    expect(calls).toBe(2);
    expect(told).toEqual(['space yes', 'space yes', 'space yes', 'space no', 'space no']);
  });

  it('is not known where the hook says nothing of use, unless that is to count as yes', async () => {
    const hook = await hookAt(() => 'perhaps');
    const strict = policyOf(() => true, hook);
    expect(await strict.policy.ask(ENTRY)).toBe('unavailable');
    expect(strict.told).toHaveLength(1);
    expect(strict.told[0]).toContain('space unavailable');
    const open = policyOf(() => true, { ...hook, failOpen: true });
    expect(await open.policy.ask(ENTRY)).toBe(true);
    const closed = policyOf(() => false, { ...hook, failOpen: true });
    expect(await closed.policy.ask(ENTRY)).toBe(false);
  });

  it('is not known any more when the relay goes down', async () => {
    let told: () => void = () => undefined;
    const asked = new Promise<void>(resolve => {
      told = resolve;
    });
    const hook = await hookAt(() => {
      told();
      return undefined;
    });
    // Nothing else ends this in time.
    const { policy } = policyOf(undefined, { ...hook, timeout: 600_000 });
    const answer = policy.ask(ENTRY);
    await asked;
    policy.close();
    expect(await answer).toBe('unavailable');
  });
});

describe('questions that wait for an answer', () => {
  it('are bounded: more are not asked, which is told', async () => {
    const answers: ((answer: boolean) => void)[] = [];
    const { policy, told } = policyOf(() => new Promise(resolve => answers.push(resolve)));
    const waiting = Array.from({ length: MAX_ASKING }, async () => policy.ask(ENTRY));
    expect(answers).toHaveLength(MAX_ASKING);
    expect(policy.ask(ENTRY)).toBe('unavailable');
    expect(told).toEqual(['space unavailable Too many clients are being asked about.']);
    expect(answers).toHaveLength(MAX_ASKING);
    answers[0]?.(true);
    expect(await waiting[0]).toBe(true);
    // One has an answer: there is room for one.
    const next = policy.ask(ENTRY);
    expect(next).toBeInstanceOf(Promise);
    expect(policy.ask(ENTRY)).toBe('unavailable');
    for (const answer of answers) answer(false);
    expect(await next).toBe(false);
    expect(await Promise.all(waiting)).toHaveLength(MAX_ASKING);
  });

  it('are bounded where a hook is asked, also by those that it never answers', async () => {
    const { url } = await hookAt(() => undefined);
    const { policy, told } = policyOf(undefined, { url, timeout: 600_000 });
    const waiting = Array.from({ length: MAX_ASKING }, async () => policy.ask(ENTRY));
    const answered = Promise.all(waiting);
    expect(policy.ask(ENTRY)).toBe('unavailable');
    policy.close();
    expect(new Set(await answered)).toEqual(new Set(['unavailable']));
    expect(told).toHaveLength(MAX_ASKING + 1);
    // None of them counts any more.
    expect(policy.ask(ENTRY)).toBeInstanceOf(Promise);
  });
});
