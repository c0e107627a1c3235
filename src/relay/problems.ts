import { SecureWebSocketError } from '../core/errors.js';

/**
 * Waits for all of them, and rejects with what went wrong: the error, if it is one; else a SecureWebSocketError
 * `INVALID_ARGUMENT` whose message names all, and whose `cause` is the array of them.
 */
export async function allOf(tasks: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  const outcomes = await Promise.allSettled(tasks.filter(task => task !== undefined));
  const problems = outcomes.flatMap(outcome =>
    outcome.status === 'rejected' ? problemsOf(outcome.reason) : [],
  );
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw first;
  const message = problems.map(problem => problem.message).join('\n');
  throw new SecureWebSocketError('INVALID_ARGUMENT', message, { cause: problems });
}

/** Those that an error of `allOf` stands for. */
function problemsOf(reason: unknown): Error[] {
  const error = reason instanceof Error ? reason : new Error(String(reason));
  const { cause } = error;
  return Array.isArray(cause) && cause.every(each => each instanceof Error) ? cause : [error];
}
