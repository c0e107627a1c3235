import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_REGISTRATION_MESSAGE } from '../../../src/core/constants.js';
import { signDeviceInformation } from '../../../src/core/device-information.js';
import type { ErrorCode } from '../../../src/core/errors.js';
import { utf8 } from '../../../src/core/bytes.js';
import { expectCode } from '../../support/errors.js';
import { parsesOrRefuses, runs, SLOW, tamperings } from '../../support/fuzz.js';
import {
  alice,
  client,
  fieldsOf,
  Forger,
  LOCATION,
  mallory,
  MONOTONIC,
  noiseOf,
  NOW,
  relay,
  respond,
  server,
  withNoise,
} from '../../support/registration.js';

const NOT_AUTHENTIC: ErrorCode[] = ['DECRYPT_FAILED', 'NOISE_MESSAGE_MALFORMED', 'ZERO_SHARED_SECRET'];
const CHALLENGE_CODES: ErrorCode[] = [
  'REGISTRATION_MALFORMED',
  'REGISTRATION_REFUSED',
  'VERSION_MISMATCH',
  'NOISE_MESSAGE_MALFORMED',
  'DEVICE_INFORMATION_INVALID',
  'DEVICE_INFORMATION_EXPIRED',
  'ADDRESS_NOT_CLAIMED',
];

describe('malformed messages', SLOW, () => {
  const challenge = server().challenge();
  const replaced = (changes: Record<string, unknown>): string =>
    JSON.stringify({ ...fieldsOf(challenge), ...changes });

  it.each<[string, string, ErrorCode]>([
    ['version 2', replaced({ version: 2 }), 'VERSION_MISMATCH'],
    ['version 0', replaced({ version: 0 }), 'VERSION_MISMATCH'],
    ['version "1"', replaced({ version: '1' }), 'VERSION_MISMATCH'],
    ['no version', replaced({ version: undefined }), 'VERSION_MISMATCH'],
    ['no type', replaced({ type: undefined }), 'REGISTRATION_MALFORMED'],
    ['another type', replaced({ type: 'CHALLENGE_RESPONSE' }), 'REGISTRATION_MALFORMED'],
    ['a type in lower case', replaced({ type: 'challenge' }), 'REGISTRATION_MALFORMED'],
    ['no Noise message', replaced({ noise: undefined }), 'REGISTRATION_MALFORMED'],
    ['a Noise message that is a number', replaced({ noise: 1 }), 'REGISTRATION_MALFORMED'],
    ['base64', replaced({ noise: 'ab+/' }), 'REGISTRATION_MALFORMED'],
    ['base64url with padding', replaced({ noise: 'AA==' }), 'REGISTRATION_MALFORMED'],
    ['base64url with loose bits', replaced({ noise: 'AB' }), 'REGISTRATION_MALFORMED'],
    ['base64url with a space', replaced({ noise: 'AA AA' }), 'REGISTRATION_MALFORMED'],
    ['an empty Noise message', replaced({ noise: '' }), 'NOISE_MESSAGE_MALFORMED'],
    ['a Noise message of one key', replaced({ noise: 'A'.repeat(43) }), 'NOISE_MESSAGE_MALFORMED'],
    ['nothing', '', 'REGISTRATION_MALFORMED'],
    ['no JSON', '{"type":"CHALLENGE"', 'REGISTRATION_MALFORMED'],
    ['null', 'null', 'REGISTRATION_MALFORMED'],
    ['a list', '["CHALLENGE"]', 'REGISTRATION_MALFORMED'],
    ['a string', '"CHALLENGE"', 'REGISTRATION_MALFORMED'],
    ['a deep one', '['.repeat(4_000) + ']'.repeat(4_000), 'REGISTRATION_MALFORMED'],
  ])('%s', (_, message, code) => {
    expectCode(() => client().challenge(message, NOW), code);
    // The server has no use for any of them either.
    const relaySide = server();
    relaySide.challenge();
    parsesOrRefuses(
      () => relaySide.receive(message, NOW, MONOTONIC),
      'REGISTRATION_MALFORMED',
      ...NOT_AUTHENTIC,
    );
    const { by } = respond(server());
    expectCode(() => by.success(message, MONOTONIC), 'REGISTRATION_MALFORMED', 'DECRYPT_FAILED');
  });

  it('are not even parsed when they are too large', () => {
    const fits = challenge + ' '.repeat(MAX_REGISTRATION_MESSAGE - challenge.length);
    expect(client().challenge(fits, NOW).serverKey).toEqual(relay.publicKeyBytes);
    expectCode(() => client().challenge(`${fits} `, NOW), 'REGISTRATION_MALFORMED');

    const relaySide = server();
    const { by, response } = respond(relaySide);
    const padded = response + ' '.repeat(MAX_REGISTRATION_MESSAGE + 1 - response.length);
    expectCode(() => relaySide.receive(padded, NOW, MONOTONIC), 'REGISTRATION_MALFORMED');
    relaySide.receive(response, NOW, MONOTONIC);
    const success = relaySide.success(1);
    expectCode(
      () => by.success(success + ' '.repeat(MAX_REGISTRATION_MESSAGE), MONOTONIC),
      'REGISTRATION_MALFORMED',
    );
    expect(by.success(success, MONOTONIC).connectionId).toBe(1);
  });

  it('whatever they are, have a code', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ type: fc.constantFrom('CHALLENGE', 'REGISTER_FAILURE'), noise: fc.string() })
        .map(v => JSON.stringify(v)),
      tamperings.map(tamper => Buffer.from(tamper(utf8(challenge))).toString()),
    );
    fc.assert(
      fc.property(texts, text => {
        const clientSide = client();
        parsesOrRefuses(() => clientSide.challenge(text, NOW), ...CHALLENGE_CODES);
        const relaySide = server();
        relaySide.challenge();
        expectCode(() => relaySide.receive(text, NOW, MONOTONIC), 'REGISTRATION_MALFORMED', ...NOT_AUTHENTIC);
      }),
      runs(200),
    );
  });
});

describe('a flipped bit', SLOW, () => {
  /** `original` with the given bit of its Noise message flipped. */
  const flip = (original: string, at: number): string =>
    withNoise(
      original,
      noiseOf(original).map((byte, i) => (i === at ? byte ^ (1 << (at % 8)) : byte)),
    );

  it('anywhere in CHALLENGE is noticed by the client, or by the server that gets its response', () => {
    let seenByClient = 0;
    let seenByServer = 0;
    const { length } = noiseOf(server().challenge());
    for (let at = 0; at < length; at++) {
      const relaySide = server();
      const clientSide = client();
      const changed = flip(relaySide.challenge(), at);
      if (!parsesOrRefuses(() => clientSide.challenge(changed, NOW), ...CHALLENGE_CODES)) {
        seenByClient++;
        continue;
      }
      const response = clientSide.response(NOW);
      expectCode(() => relaySide.receive(response, NOW, MONOTONIC), ...NOT_AUTHENTIC);
      seenByServer++;
    }
    // The ephemeral key, for one, can be checked by the server only.
    expect(seenByServer).toBeGreaterThanOrEqual(32);
    expect(seenByClient).toBeGreaterThan(seenByServer);
  });

  it('anywhere in CHALLENGE_RESPONSE is noticed by the server', () => {
    const { length } = noiseOf(respond(server()).response);
    for (let at = 0; at < length; at++) {
      const relaySide = server();
      const { response } = respond(relaySide);
      const changed = flip(response, at);
      expectCode(() => relaySide.receive(changed, NOW, MONOTONIC), ...NOT_AUTHENTIC);
    }
  });

  it('anywhere in REGISTER_SUCCESS is noticed by the client', () => {
    const relaySide = server();
    const { by, response } = respond(relaySide);
    relaySide.receive(response, NOW, MONOTONIC);
    const success = relaySide.success(1);
    for (let at = 0; at < noiseOf(success).length; at++) {
      expectCode(() => by.success(flip(success, at), MONOTONIC), 'DECRYPT_FAILED');
    }
    expect(by.success(success, MONOTONIC).connectionId).toBe(1);
  });

  it('or any other tampering with the sealed messages is noticed', () => {
    fc.assert(
      fc.property(tamperings, fc.boolean(), (tamper, inResponse) => {
        const relaySide = server();
        const { by, response } = respond(relaySide);
        const changedResponse = withNoise(response, tamper(noiseOf(response)));
        if (inResponse && changedResponse !== response) {
          expectCode(() => relaySide.receive(changedResponse, NOW, MONOTONIC), ...NOT_AUTHENTIC);
          return;
        }
        relaySide.receive(response, NOW, MONOTONIC);
        const success = relaySide.success(1);
        const changed = withNoise(success, tamper(noiseOf(success)));
        if (changed !== success) expectCode(() => by.success(changed, MONOTONIC), 'DECRYPT_FAILED');
      }),
      runs(100),
    );
  });
});

describe('a man in the middle', () => {
  it('who is dialled, and relays everything to a real server: the server does not claim his address', () => {
    const clientSide = client({ address: 'wss://mallory.example' });
    expectCode(() => clientSide.challenge(server().challenge(), NOW), 'ADDRESS_NOT_CLAIMED');
  });

  it('who makes a careless client go on: the server asks where it dialled', () => {
    const relaySide = server();
    const careless = new Forger('client', alice);
    careless.read(relaySide.challenge());
    const response = careless.message({ address: 'wss://mallory.example' });
    expectCode(() => relaySide.receive(response, NOW, MONOTONIC), 'DIALLED_ELSEWHERE');
  });

  it("who shows another server's challenge cannot read the response, nor answer it", () => {
    // Recorded from the real server, of whose secrets he has none.
    const real = server();
    const clientSide = client();
    clientSide.challenge(real.challenge(), NOW);
    const response = clientSide.response(NOW);
    expect(Buffer.from(noiseOf(response)).toString('latin1')).not.toContain(alice.publicKey);

    const earlier = server();
    const once = respond(earlier);
    earlier.receive(once.response, NOW, MONOTONIC);
    const replayedSuccess = earlier.success(1);
    expectCode(() => clientSide.success(replayedSuccess, MONOTONIC), 'DECRYPT_FAILED');
  });

  it("who makes a fresh challenge in another server's name cannot finish", () => {
    const key = { publicKey: relay.publicKeyBytes, secretKey: mallory.keyPair.secretKey };
    const impostor = new Forger('server', relay, key);
    const device = signDeviceInformation(relay, { addresses: [LOCATION] }, NOW);
    const clientSide = client();
    // So far it looks right: nothing in a challenge proves its key.
    const challenge = clientSide.challenge(impostor.message({ device }), NOW);
    expect(challenge.serverKey).toEqual(relay.publicKeyBytes);
    const response = clientSide.response(NOW);
    expectCode(() => impostor.read(response), 'DECRYPT_FAILED');
    const guess = JSON.stringify({ type: 'REGISTER_SUCCESS', noise: 'A'.repeat(60) });
    expectCode(() => clientSide.success(guess, MONOTONIC), 'DECRYPT_FAILED');
  });

  it('who uses a key of his own is known by it before the client has said anything', () => {
    const challenge = client().challenge(server({ identity: mallory }).challenge(), NOW);
    expect(challenge.serverKey).toEqual(mallory.publicKeyBytes);
  });

  it("who signs with his own key what is another's: the signature is not of the box key", () => {
    const device = signDeviceInformation(relay, { addresses: [LOCATION] }, NOW);
    const message = new Forger('server', mallory).message({ device });
    expectCode(() => client().challenge(message, NOW), 'DEVICE_INFORMATION_INVALID');
  });

  it('who replays a response to a fresh challenge', () => {
    const earlier = server();
    const { response } = respond(earlier);
    earlier.receive(response, NOW, MONOTONIC);
    const fresh = server();
    fresh.challenge();
    expectCode(() => fresh.receive(response, NOW, MONOTONIC), 'DECRYPT_FAILED');
  });

  it('who gives a client the challenge meant for another gets two responses, of which one counts', () => {
    const relaySide = server();
    const challenge = relaySide.challenge();
    const responses = [client(), client({ identity: mallory })].map(side => {
      side.challenge(challenge, NOW);
      return side.response(NOW);
    });
    expect(relaySide.receive(responses[0]!, NOW, MONOTONIC).publicKey).toEqual(alice.publicKeyBytes);
    expectCode(() => relaySide.receive(responses[1]!, NOW, MONOTONIC), 'NOISE_STATE');
  });

  it("who sends a client's response on to another server", () => {
    const clientSide = client();
    clientSide.challenge(server().challenge(), NOW);
    const response = clientSide.response(NOW);
    const other = server({ identity: mallory });
    other.challenge();
    expectCode(() => other.receive(response, NOW, MONOTONIC), 'DECRYPT_FAILED');
  });

  it('who reflects messages back to where they came from', () => {
    const relaySide = server();
    const challenge = relaySide.challenge();
    expectCode(() => relaySide.receive(challenge, NOW, MONOTONIC), 'REGISTRATION_MALFORMED');
    const reflected = JSON.stringify({ ...fieldsOf(challenge), type: 'CHALLENGE_RESPONSE' });
    expectCode(() => relaySide.receive(reflected, NOW, MONOTONIC), ...NOT_AUTHENTIC);

    const { by, response } = respond(server());
    const asSuccess = JSON.stringify({ ...fieldsOf(response), type: 'REGISTER_SUCCESS' });
    expectCode(() => by.success(asSuccess, MONOTONIC), 'DECRYPT_FAILED');
  });

  it('who lets a failed registration go on: it stays failed', () => {
    const relaySide = server();
    const { response } = respond(relaySide);
    const noise = noiseOf(response);
    noise[40]! ^= 1;
    expectCode(() => relaySide.receive(withNoise(response, noise), NOW, MONOTONIC), 'DECRYPT_FAILED');
    expectCode(() => relaySide.receive(response, NOW, MONOTONIC), 'NOISE_STATE');
    expectCode(() => relaySide.success(1), 'NOISE_STATE');
  });
});
