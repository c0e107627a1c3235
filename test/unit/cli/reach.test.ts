import { expect, it } from 'vitest';
import { ReachReport } from '../../../src/cli/reach.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';

function scene() {
  const told: string[] = [];
  const report = new ReachReport({ status: text => told.push(text) });
  const reconnecting = (message: string, delay = 400, attempt = 1): void => {
    const error = new SecureWebSocketError('LINK_LOST', message);
    report.reconnecting('Lost the relay', { attempt, delay, error });
  };
  return { report, reconnecting, told };
}

it('says what was lost, why, and when it is tried again', () => {
  const { report, reconnecting, told } = scene();
  reconnecting('It died.');
  reconnecting('Nobody is there.', 12_345, 2);
  report.back('It is back.');
  // Attempts may go on to be counted: to the user it was lost anew.
  reconnecting('It died.', 40, 3);
  expect(told).toEqual([
    'Lost the relay: It died. Trying again in 0.4 s.',
    'Nobody is there. Trying again in 12 s.',
    'It is back.',
    'Lost the relay: It died. Trying again in 0.0 s.',
  ]);
});

it('repeats itself less and less often, unless there is something new', () => {
  const { report, reconnecting, told } = scene();
  for (let attempt = 1; attempt <= 1_000; attempt++) reconnecting('Nobody is there.', attempt * 1_000);
  expect(told).toHaveLength(10);
  expect(told.slice(0, 4)).toEqual([
    'Lost the relay: Nobody is there. Trying again in 1.0 s.',
    'Nobody is there. Trying again in 2.0 s.',
    'Nobody is there. Trying again in 4.0 s.',
    'Nobody is there. Trying again in 8.0 s.',
  ]);
  reconnecting('It does not know us.');
  expect(told).toHaveLength(11);
  report.back();
  expect(told).toHaveLength(11);
});
