import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ReachOptions } from '../../../../src/relay/admission/admission-options.js';
import { ReachPolicy } from '../../../../src/relay/admission/reach-policy.js';
import { expectCode } from '../../../support/errors.js';
import { EventQueue } from '../../../support/event-queue.js';
import { keyOf } from '../../../support/public-keys.js';
import { QuestionServer } from '../../../support/question-server.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const a = keyOf('a');
const b = keyOf('b');
const c = keyOf('c');

/** Has no check of the compiler: as options come from a file. */
function make(options: object) {
  const events = new EventQueue<string>();
  const asked: [string, string][] = [];
  const policy = new ReachPolicy(
    options,
    {
      reloaded: (what, error) => events.push(error ? `${what}: ${error.message}` : what),
      asked: (about, seconds, outcome, error) => {
        expect(about).toBe('reach');
        expect(seconds).toBeGreaterThanOrEqual(0);
        asked.push([outcome, error?.message ?? '']);
      },
    },
    () => events.push('changed'),
  );
  onTestFinished(() => policy.close());
  return { policy, events, asked };
}

async function started(options: object) {
  const made = make(options);
  await made.policy.start();
  return made;
}

/** A function that decides when the test does. */
function decider() {
  const asked: { from: string; to: string; answer: (allowed: boolean) => void; fail: () => void }[] = [];
  const decide: ReachOptions['decide'] = ({ from, to }) =>
    new Promise((answer, reject) => {
      asked.push({ from, to, answer, fail: () => reject(new Error('No idea.')) });
    });
  return { asked, decide };
}

function stopClock() {
  vi.useFakeTimers({ toFake: ['performance'] });
}

describe('ReachPolicy', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets everybody reach everybody where nothing is said', async () => {
    const { policy } = await started({});
    expect(policy.may(a, b)).toBe(true);
  });

  it('goes by rules, at once', async () => {
    const { policy } = await started({ rules: [`deny * ${c}`, 'allow * *'] });
    expect(policy.may(a, b)).toBe(true);
    expect(policy.may(a, c)).toBe(false);
  });

  it('follows the file of its rules, and keeps what it has when that goes bad', async () => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'rules');
    await writeFile(file, 'allow * *');
    const { policy, events } = await started({ rules: { file } });
    expect(policy.may(a, b)).toBe(true);

    await writeFile(path.join(folder, 'new'), 'deny * *');
    await rename(path.join(folder, 'new'), file);
    expect(await events.take(2)).toEqual(['reach', 'changed']);
    expect(policy.may(a, b)).toBe(false);

    await writeFile(file, 'allow * *\nallow all');
    await policy.reload();
    expect(await events.next()).toMatch(/^reach: .*rules, line 2: /);
    expect(policy.may(a, b)).toBe(false);

    await writeFile(file, `allow ${a} *`);
    await policy.reload();
    expect(await events.take(2)).toEqual(['reach', 'changed']);
    expect(policy.may(a, b)).toBe(true);
    expect(policy.may(b, a)).toBe(false);
  });

  it.each([
    ['rules that are none', { rules: 'allow * *' }, 'reach.rules'],
    ['a hook without a URL', { hook: {} }, 'reach.hook.url'],
    ['a function that is none', { decide: 'yes' }, 'reach.decide'],
    ['no room', { cacheSize: 0 }, 'reach.cacheSize'],
    ['no time', { cacheTime: -1 }, 'reach.cacheTime'],
    ['half a millisecond', { cacheTime: 0.5 }, 'reach.cacheTime'],
  ])('refuses %s', (_, options, message) => {
    expect(expectCode(() => make(options), 'INVALID_ARGUMENT').message).toContain(message);
  });

  it('refuses to start with rules that cannot be', async () => {
    await expect(make({ rules: ['allow'] }).policy.start()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('"reach.rules", entry 1: ') as string,
    });
    const file = path.join(await temporaryFolder(), 'rules');
    await expect(make({ rules: { file } }).policy.start()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('asks a hook, and remembers what it says of these two in this order', async () => {
    const server = await QuestionServer.start();
    const { policy, asked } = await started({ hook: { url: server.url, secret: 'sesame' } });
    for (const [from, to, allow] of [
      [a, b, true],
      [b, a, false],
    ] as const) {
      const answer = policy.may(from, to);
      const question = await server.questions.next();
      expect(JSON.parse(question.body)).toEqual({ from, to });
      expect(question.headers.authorization).toBe('Bearer sesame');
      question.answer({ allow });
      expect(await answer).toBe(allow);
      expect(policy.may(from, to)).toBe(allow);
    }
    expect(server.count).toBe(2);
    expect(asked).toEqual([
      ['yes', ''],
      ['no', ''],
    ]);
  });

  it('asks once about what many want to know', async () => {
    const { asked, decide } = decider();
    const { policy } = await started({ decide });
    const answers = [b, b, c, b].map(async to => await policy.may(a, to));
    expect(asked.map(({ to }) => to)).toEqual([b, c]);
    asked[0]!.answer(true);
    asked[1]!.answer(false);
    expect(await Promise.all(answers)).toEqual([true, true, false, true]);
  });

  it.each([
    ['rules say no', { rules: ['deny * *'] }, false, 0, 0],
    ['the hook says no', { rules: ['allow * *'] }, false, 1, 0],
    ['all say yes', { rules: ['allow * *'] }, true, 1, 1],
  ])('needs all to agree: %s', async (_, rules, expected, hooks, calls) => {
    const server = await QuestionServer.start(question => question.answer({ allow: expected }));
    const decide = vi.fn(() => true);
    const { policy } = await started({ ...rules, hook: { url: server.url }, decide });
    expect(await policy.may(a, b)).toBe(expected);
    expect(server.count).toBe(hooks);
    expect(decide).toHaveBeenCalledTimes(calls);
  });

  it('needs the function to agree, too', async () => {
    const server = await QuestionServer.start(question => question.answer({ allow: true }));
    const { policy } = await started({ hook: { url: server.url }, decide: () => false });
    expect(await policy.may(a, b)).toBe(false);
  });

  it.each([false, true])('says what it is told to without a hook: failOpen %s', async failOpen => {
    stopClock();
    const server = await QuestionServer.start(question => question.answer('', 500));
    const { policy, asked } = await started({ hook: { url: server.url, failOpen } });
    expect(await policy.may(a, b)).toBe(failOpen);
    expect(policy.may(a, b)).toBe(failOpen);
    expect(asked).toEqual([['unavailable', 'The answer has the status 500.']]);
    // That holds for no longer than a second, and then it is not used once more.
    vi.advanceTimersByTime(999);
    expect(policy.may(a, b)).toBe(failOpen);
    server.handler = question => question.answer({ allow: !failOpen });
    vi.advanceTimersByTime(1);
    expect(await policy.may(a, b)).toBe(!failOpen);
    vi.advanceTimersByTime(30_000);
    expect(policy.may(a, b)).toBe(!failOpen);
    expect(server.count).toBe(2);
  });

  it('does not keep for long what the function said without the hook', async () => {
    stopClock();
    const server = await QuestionServer.start(question => question.answer('', 500));
    const { policy } = await started({ hook: { url: server.url, failOpen: true }, decide: () => true });
    expect(await policy.may(a, b)).toBe(true);
    server.handler = question => question.answer({ allow: false });
    vi.advanceTimersByTime(1_000);
    expect(await policy.may(a, b)).toBe(false);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('x');
      },
    ],
    ['rejects', () => Promise.reject(new Error('x'))],
    ['answers neither yes nor no', () => 'yes'],
  ])('says no when the function %s, whatever a hook may', async (_, decide) => {
    const server = await QuestionServer.start(question => question.answer('', 500));
    const { policy, asked } = await started({ hook: { url: server.url, failOpen: true }, decide });
    expect(await policy.may(a, b)).toBe(false);
    expect(asked.map(([outcome]) => outcome)).toEqual(['unavailable', 'unavailable']);
  });

  it('uses what has expired while it asks again, for as long again and no longer', async () => {
    stopClock();
    const { asked, decide } = decider();
    const { policy } = await started({ decide, cacheTime: 1_000 });
    const first = policy.may(a, b);
    asked[0]!.answer(true);
    expect(await first).toBe(true);

    vi.advanceTimersByTime(999);
    expect(policy.may(a, b)).toBe(true);
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(policy.may(a, b)).toBe(true);
    expect(policy.may(a, b)).toBe(true);
    expect(asked).toHaveLength(2);
    asked[1]!.answer(false);
    await vi.waitFor(() => expect(policy.may(a, b)).toBe(false));
    expect(asked).toHaveLength(2);

    // Nobody asked for twice the time: what was decided then says nothing about now.
    vi.advanceTimersByTime(2_000);
    const last = policy.may(a, b);
    expect(last).toBeInstanceOf(Promise);
    asked[2]!.answer(true);
    expect(await last).toBe(true);
  });

  it('forgets what was used longest ago when it knows too much', async () => {
    const decide = vi.fn(() => true);
    const { policy } = await started({ decide, cacheSize: 2 });
    await policy.may(a, b);
    await policy.may(a, c);
    expect(policy.may(a, b)).toBe(true);
    await policy.may(b, c);
    expect(policy.may(a, b)).toBe(true);
    expect(policy.may(b, c)).toBe(true);
    expect(policy.may(a, c)).toBeInstanceOf(Promise);
    expect(decide).toHaveBeenCalledTimes(4);
  });

  it('keeps nothing when it is told so', async () => {
    const decide = vi.fn(() => true);
    const { policy } = await started({ decide, cacheTime: 0 });
    for (let i = 1; i <= 3; i++) {
      expect(await policy.may(a, b)).toBe(true);
      expect(decide).toHaveBeenCalledTimes(i);
    }
  });

  it('does not ask about more pairs at a time than it can bear', async () => {
    const { asked: questions, decide } = decider();
    const { policy, asked } = await started({ decide });
    const answers = Array.from({ length: 4_160 }, (_, i) => policy.may(a, keyOf(i)));
    expect(policy.may(a, b)).toBe(false);
    expect(questions).toHaveLength(4_160);
    expect(asked).toEqual([['unavailable', 'Too many pairs are being asked about.']]);
    // Who waits for a pair that is being asked about may wait.
    expect(policy.may(a, keyOf(0))).toBe(answers[0]);
    for (const { answer } of questions) answer(true);
    for (const answer of answers) expect(await answer).toBe(true);
    const late = policy.may(a, b);
    questions.at(-1)!.answer(true);
    expect(await late).toBe(true);
  });

  it('forgets what it was told when it is reloaded, and what it is just being told', async () => {
    const { asked, decide } = decider();
    const { policy, events } = await started({ decide });
    const known = policy.may(a, b);
    asked[0]!.answer(true);
    await known;
    const waiting = policy.may(a, c);
    await policy.reload();
    expect(await events.next()).toBe('changed');
    asked[1]!.answer(true);
    expect(await waiting).toBe(true);
    for (const to of [b, c]) {
      const again = policy.may(a, to);
      expect(again).toBeInstanceOf(Promise);
      asked.at(-1)!.answer(false);
      expect(await again).toBe(false);
      expect(policy.may(a, to)).toBe(false);
    }
  });

  it('goes by the rules as they are when the answer comes', async () => {
    const file = path.join(await temporaryFolder(), 'rules');
    await writeFile(file, 'allow * *');
    const { asked, decide } = decider();
    const { policy, events } = await started({ rules: { file }, decide });
    const answer = policy.may(a, b);
    await writeFile(file, 'deny * *');
    const reloaded = policy.reload();
    expect(await events.next()).toBe('reach');
    asked[0]!.answer(true);
    expect(await answer).toBe(false);
    await reloaded;
  });

  it('says no to those who wait for a hook when it is closed', async () => {
    const server = await QuestionServer.start();
    const { policy } = await started({ hook: { url: server.url, timeout: 20_000 } });
    const answer = policy.may(a, b);
    await server.questions.next();
    policy.close();
    expect(await answer).toBe(false);
  });

  it('never says what was decided more than twice its time ago, and never forgets in time', async () => {
    stopClock();
    const TIME = 1_000;
    const step = fc.record({
      wait: fc.constantFrom(0, 1, 500, 999, 1_000, 1_001, 2_500),
      to: fc.integer({ min: 0, max: 2 }),
      turn: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
        let allowed = true;
        /** By peer: what was answered, and when. */
        const told = new Map<number, { allowed: boolean; at: number }>();
        const { policy } = await started({
          cacheTime: TIME,
          decide: ({ to }: { to: string }) => {
            told.set(
              [0, 1, 2].findIndex(each => keyOf(each) === to),
              { allowed, at: performance.now() },
            );
            return allowed;
          },
        });
        for (const { wait, to, turn } of steps) {
          vi.advanceTimersByTime(wait);
          if (turn) allowed = !allowed;
          const before = told.get(to);
          const age = before === undefined ? Infinity : performance.now() - before.at;
          const answer = policy.may(a, keyOf(to));
          if (age < 2 * TIME) expect(answer).toBe(before!.allowed);
          else expect(await answer).toBe(allowed);
          expect(told.get(to)!.at).toBe(age < TIME ? before!.at : performance.now());
          // What is asked again in the background comes in.
          await new Promise(resolve => setImmediate(resolve));
        }
        policy.close();
      }),
    );
  });
});
