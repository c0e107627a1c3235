import { expect, it } from 'vitest';
import { allOf } from '../../../src/relay/problems.js';

const fails = (message: string): Promise<never> => Promise.reject(new Error(message));

it('waits for all, and tells one problem as it is', async () => {
  await allOf([Promise.resolve(1), undefined]);
  const problem = new Error('one');
  await expect(allOf([Promise.resolve(), Promise.reject(problem)])).rejects.toBe(problem);
});

it('tells several together, also those that were together before', async () => {
  const error: unknown = await allOf([fails('a'), allOf([fails('b'), fails('c')]), Promise.resolve()]).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: 'a\nb\nc' });
  expect(((error as Error).cause as Error[]).map(({ message }) => message)).toEqual(['a', 'b', 'c']);
});

it('does not take a cause of another kind apart', async () => {
  const error = new Error('one', { cause: ['two'] });
  await expect(allOf([Promise.reject(error)])).rejects.toBe(error);
});
