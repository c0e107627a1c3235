import { describe, expect, it } from 'vitest';
import { MAX_REGISTRATION_MESSAGE, MAX_TOKEN_LENGTH } from '../../../src/core/constants.js';
import {
  type RegisteredClient,
  RegistrationClient,
  registrationFailure,
  type RegistrationWishes,
} from '../../../src/core/registration.js';
import { expectCode } from '../../support/errors.js';
import { alice, Forger, LOCATION, MONOTONIC, noiseOf, NOW, server } from '../../support/registration.js';

const TOKEN = 'correct horse battery staple';

interface Names {
  userId?: string;
  deviceId?: string;
  address?: string;
}

function client(wishes?: RegistrationWishes, names: Names = {}): RegistrationClient {
  const { address = LOCATION, ...rest } = names;
  return new RegistrationClient({ identity: alice, now: NOW, ...rest }, address, wishes);
}

/** CHALLENGE_RESPONSE of a client with these wishes, and what the server makes of it. */
function register(
  wishes?: RegistrationWishes,
  names: Names = {},
): { response: string; registered: RegisteredClient } {
  const relaySide = server({ addresses: [names.address ?? LOCATION] });
  const clientSide = client(wishes, names);
  clientSide.challenge(relaySide.challenge(), NOW);
  const response = clientSide.response(NOW);
  return { response, registered: relaySide.receive(response, NOW, MONOTONIC) };
}

/** What a server makes of a well-formed, authentic response with these members. */
function receive(changes: Record<string, unknown>): RegisteredClient {
  const relaySide = server();
  const forger = new Forger('client');
  forger.read(relaySide.challenge());
  return relaySide.receive(forger.message(changes), NOW, MONOTONIC);
}

/** The sealed payload of a response, as the server finds it. */
function payloadOf(wishes?: RegistrationWishes): Record<string, unknown> {
  const forger = new Forger('server');
  const clientSide = client(wishes);
  clientSide.challenge(forger.message(), NOW);
  return forger.read(clientSide.response(NOW));
}

describe('a wish for a connection id', () => {
  it.each([1, 77, 2 ** 31, 2 ** 32 - 1])('of %i reaches the server', connectionId => {
    const { registered } = register({ connectionId });
    expect(registered.wantedConnectionId).toBe(connectionId);
    expect(registered).not.toHaveProperty('token');
  });

  it('is a wish: the client takes what the server gives', () => {
    const relaySide = server();
    const clientSide = client({ connectionId: 7 });
    clientSide.challenge(relaySide.challenge(), NOW);
    relaySide.receive(clientSide.response(NOW), NOW, MONOTONIC);
    expect(clientSide.success(relaySide.success(8), MONOTONIC).connectionId).toBe(8);
  });

  it.each([0, -1, 1.5, 2 ** 32, NaN, Infinity])(
    'of %s is not even dialled with, nor is it read',
    connectionId => {
      expectCode(() => client({ connectionId }), 'INVALID_ARGUMENT');
      expectCode(() => receive({ connectionId }), 'REGISTRATION_MALFORMED');
    },
  );

  it.each(['7', null, true, [7], { id: 7 }, ''])('of %j is malformed', connectionId => {
    expectCode(() => receive({ connectionId }), 'REGISTRATION_MALFORMED');
    expectCode(() => client({ connectionId } as unknown as RegistrationWishes), 'INVALID_ARGUMENT');
  });
});

describe('a token', () => {
  it.each([
    ['', 'none at all'],
    [TOKEN, 'text'],
    ['zażółć 語 🔑', 'what is not ASCII'],
    ['"\\\u0000\u2028\ud800', 'what JSON has to escape'],
    ['x'.repeat(MAX_TOKEN_LENGTH), 'the longest'],
  ])('reaches the server: %#', token => {
    const { registered } = register({ token });
    expect(registered.token).toBe(token);
    expect(registered).not.toHaveProperty('wantedConnectionId');
  });

  it('is shown to nobody on the way', () => {
    const { response } = register({ token: TOKEN, connectionId: 1 });
    expect(Buffer.from(noiseOf(response)).toString('latin1')).not.toContain(TOKEN);
    expect(response).not.toContain(Buffer.from(TOKEN).toString('base64url').slice(2, -2));
  });

  it('that is too long is refused before anything is said, without repeating it', () => {
    const token = TOKEN + 'x'.repeat(MAX_TOKEN_LENGTH + 1 - TOKEN.length);
    const error = expectCode(() => client({ token }), 'INVALID_ARGUMENT');
    expect(error.message).not.toContain('horse');
    expect(error.message).toContain('4096');
    // A server that would read such a message does not take it either.
    expectCode(() => receive({ token }), 'REGISTRATION_MALFORMED');
  });

  it.each([7, null, false, ['secret'], { token: 'secret' }])('of %j is malformed', token => {
    const error = expectCode(() => receive({ token }), 'REGISTRATION_MALFORMED');
    expect(registrationFailure(error)).not.toContain('secret');
    expectCode(() => client({ token } as unknown as RegistrationWishes), 'INVALID_ARGUMENT');
  });

  it('is in no error of a registration that fails for another reason', () => {
    for (const changes of [
      { address: 'wss://mallory.example' },
      { device: undefined },
      { connectionId: 0 },
      { time: undefined },
    ]) {
      let failure = '';
      try {
        receive({ token: TOKEN, ...changes });
      } catch (error) {
        failure = registrationFailure(error) + String(error) + String((error as Error).stack);
      }
      expect(failure).not.toContain(TOKEN);
    }
  });

  it('fits into what a server reads, framing included, with the longest names and location in ASCII', () => {
    const name = 'n'.repeat(256);
    const address = `wss://${'h'.repeat(250)}`;
    const wishes = { token: '~'.repeat(MAX_TOKEN_LENGTH), connectionId: 2 ** 32 - 1 };
    const { response, registered } = register(wishes, { userId: name, deviceId: name, address });
    expect(response.length).toBeLessThanOrEqual(MAX_REGISTRATION_MESSAGE - 8);
    expect(registered).toMatchObject({
      token: wishes.token,
      wantedConnectionId: wishes.connectionId,
      device: { userId: name, deviceId: name },
    });
  });

  it('that does not is refused by the client, in whose hands it is, and never sent', () => {
    // Within the limit of characters, each of which takes three bytes.
    const clientSide = client({ token: '語'.repeat(MAX_TOKEN_LENGTH) });
    clientSide.challenge(server().challenge(), NOW);
    const error = expectCode(() => clientSide.response(NOW), 'INVALID_ARGUMENT');
    expect(error.message).not.toContain('語');
  });

  it('leaves room for the framing: the largest message that is made is the largest that may be', () => {
    // Bytes of a token, one at a time, up to the first that is refused.
    const lengthWith = (extra: number): number | undefined => {
      const clientSide = client({ token: '語'.repeat(1_800) + 'x'.repeat(extra) });
      clientSide.challenge(server().challenge(), NOW);
      try {
        return clientSide.response(NOW).length;
      } catch {
        return undefined;
      }
    };
    let largest = 0;
    let extra = 0;
    for (let length = lengthWith(0); length !== undefined; length = lengthWith(++extra)) largest = length;
    expect(extra).toBeGreaterThan(0);
    expect(extra).toBeLessThan(MAX_TOKEN_LENGTH - 1_800);
    // base64url goes in steps of one or two characters.
    expect(largest).toBeGreaterThan(MAX_REGISTRATION_MESSAGE - 8 - 3);
    expect(largest).toBeLessThanOrEqual(MAX_REGISTRATION_MESSAGE - 8);
  });
});

describe('without wishes', () => {
  it.each([undefined, {}, { connectionId: undefined, token: undefined }])(
    '%j: nothing is said of any',
    wishes => {
      expect(Object.keys(payloadOf(wishes))).toEqual(['device', 'time', 'address']);
      const { registered } = register(wishes);
      expect(registered).not.toHaveProperty('wantedConnectionId');
      expect(registered).not.toHaveProperty('token');
    },
  );

  it('and with them, it is these members that say so', () => {
    expect(payloadOf({ connectionId: 9, token: TOKEN })).toMatchObject({ connectionId: 9, token: TOKEN });
  });

  it('what else a client says is ignored', () => {
    expect(receive({ connectionID: 0, tokens: 7 })).not.toHaveProperty('token');
  });
});
