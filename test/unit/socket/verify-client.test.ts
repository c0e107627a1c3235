import { describe, expect, it, vi } from 'vitest';
import { verifyClient, type VerifyClient } from '../../../src/socket/verify-client.js';

const information = { origin: 'https://a.example', secure: true, req: { url: '/' } };

/** What is answered, and what has failed, after everything that was begun is over. */
async function ask(
  verify: VerifyClient<{ url: string }>,
): Promise<{ answers: unknown[][]; failures: unknown[] }> {
  const answers: unknown[][] = [];
  const failures: unknown[] = [];
  verifyClient(
    verify,
    information,
    (...args) => answers.push(args),
    error => failures.push(error),
  );
  await new Promise(setImmediate);
  return { answers, failures };
}

describe('verifyClient', () => {
  it('gives the information, and answers at once', () => {
    const seen: unknown[] = [];
    const answer = vi.fn();
    verifyClient(one => seen.push(one) === 1, information, answer, vi.fn());
    expect(seen).toEqual([information]);
    expect(answer).toHaveBeenCalledExactlyOnceWith(true);
  });

  it('takes a boolean, and a promise of one for what it resolves to', async () => {
    expect((await ask(() => false)).answers).toEqual([[false]]);
    expect((await ask(() => Promise.resolve(true))).answers).toEqual([[true]]);
    expect((await ask(() => Promise.resolve(false))).answers).toEqual([[false]]);
  });

  it('takes one answer by callback from a function of two arguments', async () => {
    const { answers } = await ask((_information, callback) => {
      callback(false, 403, 'No', { 'x-why': 'test' });
      callback(true);
    });
    expect(answers).toEqual([[false, 403, 'No', { 'x-why': 'test' }]]);
    // What such a function returns says nothing.
    expect((await ask((_information, _callback) => true)).answers).toEqual([]);
  });

  it('tells what is thrown or rejected, and answers nothing', async () => {
    const error = new Error('of the application');
    const thrower = (): never => {
      throw error;
    };
    expect(await ask(thrower)).toEqual({ answers: [], failures: [error] });
    expect(await ask(() => Promise.reject(error))).toEqual({ answers: [], failures: [error] });
    expect(await ask((_information, _callback) => thrower())).toEqual({ answers: [], failures: [error] });
  });
});
