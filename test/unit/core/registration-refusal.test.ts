import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toBase64Url, utf8 } from '../../../src/core/bytes.js';
import { MAX_REGISTRATION_MESSAGE } from '../../../src/core/constants.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import type { RegistrationClient, RegistrationServer } from '../../../src/core/registration.js';
import { expectCode } from '../../support/errors.js';
import { runs, tamperings } from '../../support/fuzz.js';
import {
  client,
  fieldsOf,
  Forger,
  MONOTONIC,
  noiseOf,
  NOW,
  respond,
  server,
  withNoise,
} from '../../support/registration.js';

/** Whatever a server may say of admission. */
const TOLD: readonly ErrorCode[] = [
  'KEY_NOT_ALLOWED',
  'KEY_DENIED',
  'TOKEN_REQUIRED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_NOT_YOURS',
  'ADMISSION_REFUSED',
  'ADMISSION_UNAVAILABLE',
  'TOO_MANY_CONNECTIONS',
  'RESTARTING',
  'REGISTRATION_TIMEOUT',
];

/** A client that has proven its key to a server that has not yet answered. */
function proven(): { relaySide: RegistrationServer; by: RegistrationClient } {
  const relaySide = server();
  const { by, response } = respond(relaySide);
  relaySide.receive(response, NOW, MONOTONIC);
  return { relaySide, by };
}

/** What a client makes of a refusal with this error. */
function refused(error: unknown, ...codes: ErrorCode[]): SecureWebSocketError {
  const { relaySide, by } = proven();
  return expectCode(() => by.success(relaySide.failure(error), MONOTONIC), ...codes);
}

describe('a refusal of a client that has proven its key', () => {
  it.each(TOLD)('is sealed, and says %s and why', code => {
    const { relaySide, by } = proven();
    const message = relaySide.failure(new SecureWebSocketError(code, 'for a reason'));
    expect(Object.keys(fieldsOf(message))).toEqual(['type', 'noise']);
    expect(fieldsOf(message)['type']).toBe('REGISTER_FAILURE');
    expect(Buffer.from(noiseOf(message)).toString('latin1')).not.toContain(code);
    const error = expectCode(() => by.success(message, MONOTONIC), code);
    expect(error.message).toContain('for a reason');
  });

  it.each<ErrorCode>(['ABORTED', 'INVALID_ARGUMENT', 'PEER_GONE', 'REPLACED', 'SERVER_KEY_CHANGED'])(
    'for %s is just a refusal: servers say nothing else of clients',
    code => {
      const error = refused(new SecureWebSocketError(code, 'for a reason'), 'REGISTRATION_REFUSED');
      expect(error.message).toContain('REFUSED');
      expect(error.message).toContain('for a reason');
    },
  );

  it('tells nothing of errors that are not for others to know', () => {
    for (const error of [new Error('a path on this machine'), 'a path', undefined, null]) {
      expect(refused(error, 'REGISTRATION_REFUSED').message).not.toContain('path');
    }
  });

  it('is bounded at both ends, and steers no terminal', () => {
    const evil = `\u001b[31m\u0000\r\n\u202e${'\u0001'.repeat(9_000)}`;
    const { relaySide, by } = proven();
    const message = relaySide.failure(new SecureWebSocketError('KEY_DENIED', evil));
    expect(message.length).toBeLessThan(MAX_REGISTRATION_MESSAGE);
    const error = expectCode(() => by.success(message, MONOTONIC), 'KEY_DENIED');
    expect(error.message.length).toBeLessThan(600);
    expect(error.message).not.toMatch(/\p{C}/u);
    // A server need not cut it.
    const forger = new Forger('server');
    const other = client();
    other.challenge(forger.message(), NOW);
    forger.read(other.response(NOW));
    const success = forger.success(
      utf8(JSON.stringify({ reason: 'KEY_DENIED', message: 'y'.repeat(4_000) })),
    );
    const failure = JSON.stringify({ ...fieldsOf(success), type: 'REGISTER_FAILURE' });
    const told = expectCode(() => other.success(failure, MONOTONIC), 'KEY_DENIED');
    expect(told.message).toMatch(/y{300}/);
    expect(told.message).not.toMatch(/y{301}/);
  });

  it.each([
    {},
    { reason: 1 },
    { reason: ['KEY_DENIED'] },
    { reason: 'constructor' },
    { reason: 'REPLACED' },
    [],
  ])('that seals %j is just a refusal', payload => {
    const forger = new Forger('server');
    const by = client();
    by.challenge(forger.message(), NOW);
    forger.read(by.response(NOW));
    const sealed = forger.success(utf8(JSON.stringify(payload)));
    const failure = JSON.stringify({ ...fieldsOf(sealed), type: 'REGISTER_FAILURE' });
    expectCode(() => by.success(failure, MONOTONIC), 'REGISTRATION_REFUSED');
  });

  it('is not believed when somebody else has written it', () => {
    for (const reason of TOLD) {
      const { by } = proven();
      const hint = JSON.stringify({ type: 'REGISTER_FAILURE', reason, message: 'says nobody' });
      expectCode(() => by.success(hint, MONOTONIC), 'REGISTRATION_REFUSED');
      // Nor before the response, when nothing can be sealed.
      expectCode(() => client().challenge(hint, NOW), 'REGISTRATION_REFUSED');
      const sealed = JSON.stringify({ ...fieldsOf(hint), noise: toBase64Url(new Uint8Array(60)) });
      expectCode(() => client().challenge(sealed, NOW), 'REGISTRATION_REFUSED');
      expectCode(() => proven().by.success(sealed, MONOTONIC), 'DECRYPT_FAILED');
    }
  });

  it('is not believed when anything was changed', () => {
    fc.assert(
      fc.property(tamperings, fc.boolean(), (tamper, isFailure) => {
        const { relaySide, by } = proven();
        const message = isFailure
          ? relaySide.failure(new SecureWebSocketError('KEY_DENIED', 'why'))
          : relaySide.success(7, 60_000);
        const noise = noiseOf(message);
        const changed = tamper(noise.slice());
        fc.pre(Buffer.compare(changed, noise) !== 0);
        expectCode(() => by.success(withNoise(message, changed), MONOTONIC), 'DECRYPT_FAILED');
      }),
      runs(60),
    );
  });

  it('cannot be made of a success, or the other way round, but as a refusal', () => {
    const one = proven();
    const success = { ...fieldsOf(one.relaySide.success(7)), type: 'REGISTER_FAILURE' };
    expectCode(() => one.by.success(JSON.stringify(success), MONOTONIC), 'REGISTRATION_REFUSED');
    const other = proven();
    const failure = other.relaySide.failure(new SecureWebSocketError('KEY_DENIED', 'why'));
    const pretended = JSON.stringify({ ...fieldsOf(failure), type: 'REGISTER_SUCCESS' });
    expectCode(() => other.by.success(pretended, MONOTONIC), 'REGISTRATION_MALFORMED');
  });

  it('of one client is of no use with another', () => {
    const [one, other] = [proven(), proven()];
    const failure = one.relaySide.failure(new SecureWebSocketError('KEY_DENIED', 'why'));
    expectCode(() => other.by.success(failure, MONOTONIC), 'DECRYPT_FAILED');
  });

  it('cannot be said by a client', () => {
    const relaySide = server();
    const { response } = respond(relaySide);
    const pretended = JSON.stringify({ ...fieldsOf(response), type: 'REGISTER_FAILURE' });
    expectCode(() => relaySide.receive(pretended, NOW, MONOTONIC), 'REGISTRATION_MALFORMED');
  });
});

describe('a refusal of somebody who has proven nothing', () => {
  it('is in the clear, and a hint', () => {
    const relaySide = server();
    relaySide.challenge();
    const message = relaySide.failure(new SecureWebSocketError('REGISTRATION_TIMEOUT', 'too late'));
    expect(fieldsOf(message)).toEqual({ type: 'REGISTER_FAILURE', reason: 'TIMEOUT', message: 'too late' });
  });
});

describe('how long a client is admitted for', () => {
  it('is told with the success', () => {
    for (const expiresIn of [undefined, 0, 0.5, 60_000, 1e15]) {
      const { relaySide, by } = proven();
      expect(by.success(relaySide.success(7, expiresIn), MONOTONIC)).toMatchObject({
        connectionId: 7,
        expiresIn,
      });
    }
  });

  it.each(['-1', '"60000"', 'null', '1e400', '[]', 'true'])('is not %s', text => {
    const forger = new Forger('server');
    const by = client();
    by.challenge(forger.message(), NOW);
    forger.read(by.response(NOW));
    const success = forger.success(utf8(`{"connectionId":7,"expiresIn":${text}}`));
    expectCode(() => by.success(success, MONOTONIC), 'REGISTRATION_MALFORMED');
  });
});
