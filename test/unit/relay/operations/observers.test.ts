import { expect, it } from 'vitest';
import type { RelayObserver } from '../../../../src/relay/relay-observer.js';
import { observeAll } from '../../../../src/relay/operations/observers.js';

const client = { publicKey: 'ab'.repeat(32), connectionId: 7, remoteAddress: '192.0.2.1' };
const failure = new Error('nobody answers');

/** Calls every method of an observer once. */
function tellAll(observer: Required<RelayObserver>): void {
  observer.registered(client, 0.1);
  observer.disconnected(client, 1000, 2);
  observer.refused({ remoteAddress: undefined, code: 'KEY_DENIED', message: 'no' });
  observer.limited({ limit: 'frames' });
  observer.asked('reach', 0.2, 'unavailable', failure);
  observer.reloaded('allow', new Error('broken'));
  observer.administered('drain', { why: 'update' });
  observer.state('draining');
}

function recorder(calls: unknown[][], name: string): RelayObserver {
  return new Proxy(
    {},
    {
      get:
        (_target, method) =>
        (...args: unknown[]) =>
          calls.push([name, method, ...args]),
    },
  );
}

it('tells every observer everything, in their order', () => {
  const calls: unknown[][] = [];
  tellAll(observeAll([recorder(calls, 'first'), recorder(calls, 'second')]));
  const expected = [
    ['registered', client, 0.1],
    ['disconnected', client, 1000, 2],
    ['refused', { remoteAddress: undefined, code: 'KEY_DENIED', message: 'no' }],
    ['limited', { limit: 'frames' }],
    ['asked', 'reach', 0.2, 'unavailable', failure],
    ['reloaded', 'allow', new Error('broken')],
    ['administered', 'drain', { why: 'update' }],
    ['state', 'draining'],
  ];
  expect(calls).toEqual(
    expected.flatMap(call => [
      ['first', ...call],
      ['second', ...call],
    ]),
  );
});

it('goes on when one of them throws, or does not care', () => {
  const calls: unknown[][] = [];
  const broken = new Proxy(
    {},
    {
      get: () => () => {
        throw new Error('must not happen');
      },
    },
  );
  tellAll(observeAll([broken, {}, recorder(calls, 'last')]));
  expect(calls).toHaveLength(8);
});
