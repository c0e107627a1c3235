import { describeError } from '../../core/describe-error.js';

/** Milliseconds that a function of the application has to decide: then whoever waits for it has gone. */
const TIMEOUT = 10_000;

/**
 * Asks a function of the application, which may throw, and may never answer.
 * @throws Error when it did, or has not answered within 10 s
 */
export async function askFunction<Answer>(decide: () => Answer | Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`"decide" did not answer within ${TIMEOUT} ms.`)), TIMEOUT);
    timer.unref();
  });
  try {
    return await Promise.race([(async () => decide())(), late]);
  } catch (error) {
    throw error instanceof Error ? error : new Error(describeError(error));
  } finally {
    clearTimeout(timer);
  }
}
