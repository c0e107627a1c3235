import { describe, expect, it } from 'vitest';
import { fromUtf8, toHex, utf8 } from '../../../src/core/bytes.js';
import {
  DEVICE_INFORMATION_LIFETIME,
  MAX_MAX_FRAME,
  MAX_REGISTRATION_MESSAGE,
  MIN_MAX_FRAME,
} from '../../../src/core/constants.js';
import { signDeviceInformation } from '../../../src/core/device-information.js';
import { type ErrorCode, SecureWebSocketError } from '../../../src/core/errors.js';
import { registrationFailure } from '../../../src/core/registration.js';
import type { TransportKeys } from '../../../src/core/transport-keys.js';
import { expectCode } from '../../support/errors.js';
import {
  alice,
  client,
  fieldsOf,
  Forger,
  LOCATION,
  mallory,
  MAX_FRAME,
  MONOTONIC,
  NOW,
  relay,
  respond,
  server,
} from '../../support/registration.js';
import { transportMessage } from '../../support/transport-message.js';

const EXPIRED = NOW + DEVICE_INFORMATION_LIFETIME;

/** One message from `from` to `to`, as it arrives. */
function carry(from: TransportKeys, to: TransportKeys, text: string): string | undefined {
  const plaintext = to.open(transportMessage(from, utf8(text)));
  return plaintext && fromUtf8(plaintext);
}

describe('a registration', () => {
  it('proves both keys, and leaves both ends with the same hash and with keys that fit', () => {
    const relaySide = server({ userId: 'relay', deviceId: 'eu-1' });
    const clientSide = client({ userId: 'alice', deviceId: 'laptop' });
    const challenge = clientSide.challenge(relaySide.challenge(), NOW);
    expect(challenge).toMatchObject({ serverKey: relay.publicKeyBytes, maxFrame: MAX_FRAME });
    expect(challenge.device).toMatchObject({ userId: 'relay', deviceId: 'eu-1', addresses: [LOCATION] });

    const registered = relaySide.receive(clientSide.response(NOW), NOW, MONOTONIC);
    expect(registered.publicKey).toEqual(alice.publicKeyBytes);
    expect(registered.device).toMatchObject({ userId: 'alice', deviceId: 'laptop', addresses: [] });

    const success = clientSide.success(relaySide.success(77), MONOTONIC + 1);
    expect(success.connectionId).toBe(77);
    expect(success.handshakeHash).toHaveLength(64);
    expect(success.handshakeHash).toEqual(registered.handshakeHash);
    expect(success.keys.handshakeHash).toEqual(registered.keys.handshakeHash);

    expect(carry(success.keys, registered.keys, 'up')).toBe('up');
    expect(carry(registered.keys, success.keys, 'down')).toBe('down');
    // The client dialled: it is the one that renews the keys.
    expect([success.keys.initiator, registered.keys.initiator]).toEqual([true, false]);
    expect([success.keys.createdAt, registered.keys.createdAt]).toEqual([MONOTONIC + 1, MONOTONIC]);
    expect([success.keys.localIndex, success.keys.remoteIndex]).toEqual([0, 0]);
  });

  it('is four JSON text messages, of which only the challenge shows anything', () => {
    const relaySide = server({ userId: 'relay-name' });
    const clientSide = client({ userId: 'alice-name' });
    const challenge = relaySide.challenge();
    clientSide.challenge(challenge, NOW);
    const response = clientSide.response(NOW);
    relaySide.receive(response, NOW, MONOTONIC);
    const success = relaySide.success(1);
    expect(Object.keys(fieldsOf(challenge))).toEqual(['type', 'version', 'noise']);
    expect(Object.keys(fieldsOf(response))).toEqual(['type', 'noise']);
    expect(Object.keys(fieldsOf(success))).toEqual(['type', 'noise']);
    expect([challenge, response, success].map(message => fieldsOf(message)['type'])).toEqual([
      'CHALLENGE',
      'CHALLENGE_RESPONSE',
      'REGISTER_SUCCESS',
    ]);
    expect(fieldsOf(challenge)['version']).toBe(1);
    for (const message of [response, success]) {
      const seen = Buffer.from(fieldsOf(message)['noise'] as string, 'base64url').toString('latin1');
      expect(seen).not.toContain('alice-name');
      expect(Buffer.from(seen, 'latin1').toString('hex')).not.toContain(alice.publicKey);
    }
  });

  it('keeps within the size that a receiver reads, with the longest names there can be', () => {
    const names = { userId: '\u0001'.repeat(256), deviceId: '\u0001'.repeat(256) };
    const address = `wss://${'x'.repeat(240)}.example`;
    const relaySide = server({ ...names, addresses: [address] });
    const { by, response } = respond(relaySide, client({ ...names, address }));
    expect(response.length).toBeLessThan(MAX_REGISTRATION_MESSAGE);
    expect(relaySide.receive(response, NOW, MONOTONIC).device).toMatchObject(names);
    expect(by.success(relaySide.success(1), MONOTONIC).connectionId).toBe(1);
  });

  it('tells a server that has too much to say, instead of every client', () => {
    const addresses = Array.from({ length: 32 }, (_, i) => `wss://${'x'.repeat(200)}-${i}.example`);
    expectCode(() => server({ addresses }).challenge(), 'INVALID_ARGUMENT');
  });

  it('takes any connection id that fits into an address', () => {
    for (const id of [1, 2 ** 31, 2 ** 32 - 1]) {
      const relaySide = server();
      const { by, response } = respond(relaySide);
      relaySide.receive(response, NOW, MONOTONIC);
      expect(by.success(relaySide.success(id), MONOTONIC).connectionId).toBe(id);
    }
  });

  it('limits the frame size that a server tells to what is sensible', () => {
    const limitOf = (maxFrame: number) => client().challenge(server({ maxFrame }).challenge(), NOW).maxFrame;
    expect(limitOf(MIN_MAX_FRAME)).toBe(MIN_MAX_FRAME);
    expect(limitOf(MAX_MAX_FRAME)).toBe(MAX_MAX_FRAME);
    expect(limitOf(2 ** 53 - 1)).toBe(MAX_MAX_FRAME);
    expectCode(() => limitOf(MIN_MAX_FRAME - 1), 'REGISTRATION_MALFORMED');
  });

  it('works for a server with several addresses, by any of them', () => {
    for (const address of ['wss://a.example', 'ws://127.0.0.1:81']) {
      const relaySide = server({ addresses: ['wss://a.example', 'ws://127.0.0.1:81'] });
      const { response } = respond(relaySide, client({ address }));
      expect(relaySide.receive(response, NOW, MONOTONIC).publicKey).toEqual(alice.publicKeyBytes);
    }
  });

  it('goes forward only', () => {
    expectCode(() => client().response(NOW), 'NOISE_STATE');
    expectCode(() => client().success(server().challenge(), MONOTONIC), 'REGISTRATION_MALFORMED');
    expectCode(() => server().success(1), 'NOISE_STATE');
    const relaySide = server();
    const { by, response } = respond(relaySide);
    expectCode(() => by.challenge(server().challenge(), NOW), 'NOISE_STATE');
    expectCode(() => by.response(NOW), 'NOISE_STATE');
    relaySide.receive(response, NOW, MONOTONIC);
    expectCode(() => relaySide.receive(response, NOW, MONOTONIC), 'NOISE_STATE');
  });

  it('is over once it was wiped', () => {
    const relaySide = server();
    const { response } = respond(relaySide);
    relaySide.wipe();
    expectCode(() => relaySide.receive(response, NOW, MONOTONIC), 'NOISE_STATE');
    const clientSide = client();
    clientSide.wipe();
    expectCode(() => clientSide.challenge(server().challenge(), NOW), 'NOISE_STATE');
  });
});

describe('what a server says, sealed and well-formed, but wrong', () => {
  const otherDevice = (addresses: string[]) => signDeviceInformation(relay, { addresses }, NOW);

  it.each<[string, Record<string, unknown> | Uint8Array, ErrorCode]>([
    ['no JSON', utf8('{'), 'REGISTRATION_MALFORMED'],
    ['bytes that are no UTF-8', Uint8Array.of(0xff), 'REGISTRATION_MALFORMED'],
    ['nothing', new Uint8Array(0), 'REGISTRATION_MALFORMED'],
    ['a list', utf8('[]'), 'DEVICE_INFORMATION_INVALID'],
    ['null', utf8('null'), 'REGISTRATION_MALFORMED'],
    ['no device information', { device: undefined }, 'DEVICE_INFORMATION_INVALID'],
    ['the device information of another', { device: otherDevice([LOCATION]) }, 'DEVICE_INFORMATION_INVALID'],
    ['no frame limit', { maxFrame: undefined }, 'REGISTRATION_MALFORMED'],
    ['a frame limit of 0', { maxFrame: 0 }, 'REGISTRATION_MALFORMED'],
    ['a negative frame limit', { maxFrame: -1 }, 'REGISTRATION_MALFORMED'],
    ['a broken frame limit', { maxFrame: 100_000.5 }, 'REGISTRATION_MALFORMED'],
    ['a frame limit above 2^53', { maxFrame: 2 ** 53 }, 'REGISTRATION_MALFORMED'],
    ['a frame limit that is a string', { maxFrame: '262144' }, 'REGISTRATION_MALFORMED'],
  ])('%s', (_, payload, code) => {
    expectCode(() => client().challenge(new Forger('server').message(payload), NOW), code);
  });

  it('that it answers to none of the address that was dialled', () => {
    const challenge = server({ addresses: ['wss://other.example'] }).challenge();
    const error = expectCode(() => client().challenge(challenge, NOW), 'ADDRESS_NOT_CLAIMED');
    expect(error.message).toContain(LOCATION);
    expect(error.message).toContain('wss://other.example');
    const nothing = server({ addresses: [] }).challenge();
    expectCode(() => client().challenge(nothing, NOW), 'ADDRESS_NOT_CLAIMED');
    // Not even nearly the same one.
    for (const address of [`${LOCATION}/`, `${LOCATION}:443`, LOCATION.toUpperCase(), `${LOCATION}.`]) {
      const nearly = server({ addresses: [address] }).challenge();
      expectCode(() => client().challenge(nearly, NOW), 'ADDRESS_NOT_CLAIMED');
    }
  });

  it('device information that has expired, by both clocks', () => {
    const old = server({ now: NOW - DEVICE_INFORMATION_LIFETIME }).challenge();
    // The server's own clock is slow: it believes it is still valid, and so does the client.
    expect(client().challenge(old, NOW).serverKey).toEqual(relay.publicKeyBytes);
    const forger = new Forger('server', relay);
    const device = signDeviceInformation(relay, { addresses: [LOCATION] }, NOW);
    const stale = forger.message({ device, time: EXPIRED });
    expectCode(() => client().challenge(stale, EXPIRED), 'DEVICE_INFORMATION_EXPIRED');
  });

  it('device information that has expired by one clock only is taken', () => {
    const device = signDeviceInformation(relay, { addresses: [LOCATION] }, NOW);
    for (const [time, now] of [
      [EXPIRED, NOW],
      [NOW, EXPIRED],
      [0, EXPIRED + 1e12],
    ] as const) {
      const challenge = new Forger('server', relay).message({ device, time });
      expect(client().challenge(challenge, now).serverKey).toEqual(relay.publicKeyBytes);
    }
    // A server that does not say what time it has cannot claim to have another one.
    for (const time of [undefined, 'soon', null]) {
      const challenge = new Forger('server', relay).message({ device, time });
      expectCode(() => client().challenge(challenge, EXPIRED), 'DEVICE_INFORMATION_EXPIRED');
    }
  });

  it.each([0, -1, 1.5, 2 ** 32, '7', null, undefined])('a connection id of %s', connectionId => {
    const forger = new Forger('server');
    const clientSide = client();
    clientSide.challenge(forger.message(), NOW);
    forger.read(clientSide.response(NOW));
    const success = forger.success(utf8(JSON.stringify({ connectionId })));
    expectCode(() => clientSide.success(success, MONOTONIC), 'REGISTRATION_MALFORMED');
  });

  it.each(['', 'null', '1', '{'])('a success that seals %j', text => {
    const forger = new Forger('server');
    const clientSide = client();
    clientSide.challenge(forger.message(), NOW);
    forger.read(clientSide.response(NOW));
    expectCode(() => clientSide.success(forger.success(utf8(text)), MONOTONIC), 'REGISTRATION_MALFORMED');
  });
});

describe('what a client says, sealed and well-formed, but wrong', () => {
  function receive(changes: Record<string, unknown> | Uint8Array, now = NOW): unknown {
    const relaySide = server();
    const forger = new Forger('client');
    forger.read(relaySide.challenge());
    return relaySide.receive(forger.message(changes), now, MONOTONIC);
  }

  it('is taken when it is right', () => {
    expect(receive({})).toMatchObject({ publicKey: mallory.publicKeyBytes });
  });

  it.each<[string, Record<string, unknown> | Uint8Array, ErrorCode]>([
    ['no JSON', utf8('{'), 'REGISTRATION_MALFORMED'],
    ['bytes that are no UTF-8', Uint8Array.of(0xff), 'REGISTRATION_MALFORMED'],
    ['nothing', new Uint8Array(0), 'REGISTRATION_MALFORMED'],
    ['null', utf8('null'), 'REGISTRATION_MALFORMED'],
    ['no device information', { device: undefined }, 'DEVICE_INFORMATION_INVALID'],
    [
      'the device information of another',
      { device: signDeviceInformation(alice, { addresses: [] }, NOW) },
      'DEVICE_INFORMATION_INVALID',
    ],
    ['no address', { address: undefined }, 'DIALLED_ELSEWHERE'],
    ['an address that is a number', { address: 1 }, 'DIALLED_ELSEWHERE'],
    ['an address that is a list', { address: [LOCATION] }, 'DIALLED_ELSEWHERE'],
    ['that it dialled another', { address: 'wss://mallory.example' }, 'DIALLED_ELSEWHERE'],
    ['that it dialled nearly this one', { address: `${LOCATION}/` }, 'DIALLED_ELSEWHERE'],
  ])('%s', (_, payload, code) => {
    expectCode(() => receive(payload), code);
  });

  it('repeats what it dialled only in part, and without characters that steer a terminal', () => {
    const address = `wss://x\u001b[2J\n\u202e${'y'.repeat(1_000)}`;
    const error = expectCode(() => receive({ address }), 'DIALLED_ELSEWHERE');
    expect(error.message.length).toBeLessThan(400);
    expect(error.message).not.toMatch(/\p{C}/u);
  });

  it('device information that has expired: by both clocks it is refused, by one it is taken', () => {
    const device = signDeviceInformation(mallory, { addresses: [] }, NOW);
    expectCode(() => receive({ device, time: EXPIRED }, EXPIRED), 'DEVICE_INFORMATION_EXPIRED');
    expect(receive({ device, time: NOW }, EXPIRED)).toBeDefined();
    expect(receive({ device, time: EXPIRED }, NOW)).toBeDefined();
  });
});

describe('REGISTER_FAILURE', () => {
  const failure = (fields: Record<string, unknown>): string =>
    JSON.stringify({ type: 'REGISTER_FAILURE', ...fields });

  it('ends the registration, before and after the response, whatever it says', () => {
    for (const fields of [{}, { reason: 'REFUSED' }, { reason: 1, message: {} }, { noise: 'AAAA' }]) {
      expectCode(() => client().challenge(failure(fields), NOW), 'REGISTRATION_REFUSED');
      const { by } = respond(server());
      // What claims to be sealed has to be.
      const code = 'noise' in fields ? 'DECRYPT_FAILED' : 'REGISTRATION_REFUSED';
      expectCode(() => by.success(failure(fields), MONOTONIC), code);
    }
  });

  it('is a hint: its text is told, but only so much of it, and nothing that steers a terminal', () => {
    const told = expectCode(
      () => client().challenge(failure({ reason: 'REFUSED', message: 'not you' }), NOW),
      'REGISTRATION_REFUSED',
    );
    expect(told.message).toContain('REFUSED');
    expect(told.message).toContain('not you');
    // What was too slow may be tried again.
    expectCode(
      () => client().challenge(failure({ reason: 'TIMEOUT', message: 'too late' }), NOW),
      'REGISTRATION_TIMEOUT',
    );
    const evil = `\u001b[31m\u0000\r\n\u009b\u202e${'x'.repeat(3_000)}`;
    const bounded = expectCode(
      () => client().challenge(failure({ reason: evil, message: evil }), NOW),
      'REGISTRATION_REFUSED',
    );
    expect(bounded.message.length).toBeLessThan(600);
    expect(bounded.message).not.toMatch(/\p{C}/u);
  });

  it('means nothing when it comes from a client', () => {
    expectCode(
      () => server().receive(failure({ reason: 'REFUSED' }), NOW, MONOTONIC),
      'REGISTRATION_MALFORMED',
    );
  });

  it.each<[ErrorCode, string]>([
    ['DECRYPT_FAILED', 'NOT_AUTHENTIC'],
    ['ZERO_SHARED_SECRET', 'NOT_AUTHENTIC'],
    ['REGISTRATION_TIMEOUT', 'TIMEOUT'],
    ['DEVICE_INFORMATION_INVALID', 'DEVICE_INFORMATION_INVALID'],
    ['DEVICE_INFORMATION_EXPIRED', 'DEVICE_INFORMATION_EXPIRED'],
    ['DIALLED_ELSEWHERE', 'DIALLED_ELSEWHERE'],
    ['REGISTRATION_MALFORMED', 'MALFORMED'],
    ['NOISE_MESSAGE_MALFORMED', 'MALFORMED'],
    ['TOO_MANY_CONNECTIONS', 'REFUSED'],
    ['ABORTED', 'REFUSED'],
  ])('names for %s the reason %s', (code, reason) => {
    const message = registrationFailure(new SecureWebSocketError(code, 'why'));
    expect(fieldsOf(message)).toEqual({ type: 'REGISTER_FAILURE', reason, message: 'why' });
  });

  it('tells nothing of errors that are not for others to know', () => {
    for (const error of [new Error('a path on this machine'), 'text', undefined, null]) {
      expect(fieldsOf(registrationFailure(error))).toEqual({
        type: 'REGISTER_FAILURE',
        reason: 'REFUSED',
        message: '',
      });
    }
  });

  it('is read by a client as its server has written it', () => {
    const relaySide = server();
    const { by } = respond(relaySide);
    let caught: unknown;
    try {
      relaySide.receive(respond(server()).response, NOW, MONOTONIC);
    } catch (error) {
      caught = error;
    }
    const error = expectCode(
      () => by.success(registrationFailure(caught), MONOTONIC),
      'REGISTRATION_REFUSED',
    );
    expect(error.message).toContain('NOT_AUTHENTIC');
  });
});

it('two registrations of one client with one server have nothing in common', () => {
  const hashes = [1, 2].map(() => {
    const relaySide = server();
    const { response } = respond(relaySide);
    return toHex(relaySide.receive(response, NOW, MONOTONIC).handshakeHash);
  });
  expect(hashes[0]).not.toBe(hashes[1]);
});
