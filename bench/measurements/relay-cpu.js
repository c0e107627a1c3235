// @ts-check
/**
 * Microseconds of CPU time that the relay took meanwhile.
 *
 * @template T
 * @param {import('../party.js').Party} relay
 * @param {() => Promise<T>} act
 * @returns {Promise<[result: T, microseconds: number]>}
 */
export async function withRelayCpu(relay, act) {
  const before = await relay.ask('cpu');
  const result = await act();
  return [result, (await relay.ask('cpu')) - before];
}
