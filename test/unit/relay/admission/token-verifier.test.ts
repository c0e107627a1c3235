import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { base64url, SignJWT, UnsecuredJWT, type JWK, type JWTPayload } from 'jose';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AdmissionDecision } from '../../../../src/relay/admission/admission-options.js';
import { TokenVerifier } from '../../../../src/relay/admission/token-verifier.js';
import { expectCode } from '../../../support/errors.js';
import { EventQueue } from '../../../support/event-queue.js';
import { keyOf } from '../../../support/public-keys.js';
import { type Question, QuestionServer } from '../../../support/question-server.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const me = keyOf('me');
const now = () => Math.floor(Date.now() / 1_000);

/** Somebody who signs tokens. */
interface Signer {
  readonly alg: string;
  readonly private: KeyObject | Uint8Array;
  /** What the relay has: the public key, or for HS256 the secret itself. */
  readonly jwk: JWK;
  readonly pem: string;
}

function signer(
  alg: string,
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
): Signer {
  return {
    alg,
    private: privateKey,
    jwk: publicKey.export({ format: 'jwk' }),
    pem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
  };
}

function secret(alg: string, bytes: number): Signer {
  const key = randomBytes(bytes);
  return { alg, private: key, jwk: { kty: 'oct', k: base64url.encode(key) }, pem: '' };
}

let signers: Record<'EdDSA' | 'ES256' | 'RS256' | 'HS256', Signer>;
let stranger: Signer;
beforeAll(() => {
  signers = {
    EdDSA: signer('EdDSA', generateKeyPairSync('ed25519')),
    ES256: signer('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    RS256: signer('RS256', generateKeyPairSync('rsa', { modulusLength: 2_048 })),
    HS256: secret('HS256', 32),
  };
  stranger = signer('EdDSA', generateKeyPairSync('ed25519'));
});

const GOOD = { iss: 'https://login.example', aud: 'relay', sub: 'ada' };

function token(by: Signer, claims: JWTPayload = {}, header: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ ...GOOD, exp: now() + 600, ...claims })
    .setProtectedHeader({ alg: by.alg, ...header })
    .sign(by.private);
}

const OPTIONS = { issuer: GOOD.iss, audience: GOOD.aud };

/** Has no check of the compiler: as options come from a file. */
function verifierWith(options: object, events = new EventQueue<string>()): TokenVerifier {
  const verifier = new TokenVerifier(
    { ...OPTIONS, algorithms: ['EdDSA'], ...options },
    {
      changed: () => events.push('changed'),
      failed: error => events.push(error.message),
    },
  );
  onTestFinished(() => verifier.close());
  return verifier;
}

/** Trusts the keys in a file with this text. */
async function trusting(text: string | object, options: object = {}): Promise<TokenVerifier> {
  const keyFile = path.join(await temporaryFolder(), 'keys');
  await writeFile(keyFile, typeof text === 'string' ? text : JSON.stringify(text));
  const verifier = verifierWith({ keyFile, ...options });
  await verifier.start();
  return verifier;
}

const code = (decision: AdmissionDecision) => ('refused' in decision ? decision.refused : 'admitted');

describe('TokenVerifier', () => {
  describe.each(['EdDSA', 'ES256', 'RS256', 'HS256'] as const)('with %s', alg => {
    it('admits who shows a token, and nobody with one of another key', async () => {
      const verifier = await trusting(signers[alg].jwk, { algorithms: [alg], clockTolerance: 2_000 });
      const exp = now() + 600;
      expect(await verifier.verify(await token(signers[alg], { exp }), me)).toEqual({
        expiresAt: exp * 1_000 + 2_000,
        userId: 'ada',
      });
      const other = alg === 'HS256' ? secret(alg, 32) : signer(alg, samePair(alg));
      expect(await verifier.verify(await token(other), me)).toEqual({
        refused: 'TOKEN_INVALID',
        message: 'The token is not signed with a key that this relay trusts.',
      });
    });

    it('refuses a token that was altered', async () => {
      const verifier = await trusting(signers[alg].jwk, { algorithms: [alg] });
      const [header, , signature] = (await token(signers[alg])).split('.');
      const claims = base64url.encode(JSON.stringify({ ...GOOD, exp: now() + 600, sub: 'root' }));
      expect(code(await verifier.verify(`${header}.${claims}.${signature}`, me))).toBe('TOKEN_INVALID');
    });
  });

  it('takes PEM, several keys, and keys of several kinds in one file', async () => {
    const verifier = await trusting(`${signers.ES256.pem}\n# and\n${stranger.pem}${signers.EdDSA.pem}`, {
      algorithms: ['EdDSA', 'ES256'],
    });
    for (const by of [signers.ES256, stranger, signers.EdDSA]) {
      expect(code(await verifier.verify(await token(by, {}, { kid: 'whatever' }), me))).toBe('admitted');
    }
    expect(code(await verifier.verify(await token(signers.RS256), me))).toBe('TOKEN_INVALID');
  });

  it('goes by the name of the key, where both say one', async () => {
    const verifier = await trusting({
      keys: [
        { ...signers.EdDSA.jwk, kid: 'one' },
        { ...stranger.jwk, kid: 'two' },
      ],
    });
    expect(code(await verifier.verify(await token(stranger, {}, { kid: 'two' }), me))).toBe('admitted');
    expect(code(await verifier.verify(await token(stranger), me))).toBe('admitted');
    expect(code(await verifier.verify(await token(stranger, {}, { kid: 'one' }), me))).toBe('TOKEN_INVALID');
    expect(code(await verifier.verify(await token(stranger, {}, { kid: 'three' }), me))).toBe(
      'TOKEN_INVALID',
    );
  });

  it('uses a key for nothing but what it is for', async () => {
    const keys = (extra: object) => ({ keys: [{ ...signers.EdDSA.jwk, ...extra }, stranger.jwk] });
    for (const extra of [{ use: 'enc' }, { key_ops: ['sign'] }, { alg: 'Ed25519' }]) {
      const verifier = await trusting(keys(extra));
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('TOKEN_INVALID');
      expect(code(await verifier.verify(await token(stranger), me))).toBe('admitted');
    }
    const verifier = await trusting(keys({ use: 'sig', key_ops: ['verify'], alg: 'EdDSA' }));
    expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('admitted');
  });

  it.each<[string, string, string, () => string | undefined | Promise<string>]>([
    ['no token', 'TOKEN_REQUIRED', 'token', () => undefined],
    ['an empty token', 'TOKEN_REQUIRED', 'token', () => ''],
    ['no JWT', 'TOKEN_INVALID', 'JSON Web Token', () => 'open-sesame'],
    ['an endless token', 'TOKEN_INVALID', '16384', () => 'x'.repeat(16_385)],
    ['another issuer', 'TOKEN_INVALID', '"iss"', () => token(signers.EdDSA, { iss: 'https://evil.example' })],
    ['no issuer', 'TOKEN_INVALID', 'no "iss"', () => token(signers.EdDSA, { iss: undefined as never })],
    ['another audience', 'TOKEN_INVALID', '"aud"', () => token(signers.EdDSA, { aud: ['evil'] })],
    ['no audience', 'TOKEN_INVALID', 'no "aud"', () => token(signers.EdDSA, { aud: undefined as never })],
    ['no end', 'TOKEN_INVALID', 'no "exp"', () => token(signers.EdDSA, { exp: undefined as never })],
    ['an end that is none', 'TOKEN_INVALID', '"exp"', () => token(signers.EdDSA, { exp: 'evil' as never })],
    ['an end beyond time', 'TOKEN_INVALID', '"exp"', () => token(signers.EdDSA, { exp: 1e300 })],
    ['expired', 'TOKEN_EXPIRED', '"exp"', () => token(signers.EdDSA, { exp: now() - 60 })],
    [
      'not valid yet',
      'TOKEN_INVALID',
      'not valid yet ("nbf")',
      () => token(signers.EdDSA, { nbf: now() + 60 }),
    ],
    ['a user that is none', 'TOKEN_INVALID', '"sub"', () => token(signers.EdDSA, { sub: ['evil'] as never })],
    ['not signed', 'TOKEN_INVALID', '"alg"', () => new UnsecuredJWT({ ...GOOD, exp: now() + 60 }).encode()],
    ['an algorithm not named', 'TOKEN_INVALID', '"alg"', () => token(signers.ES256)],
    ['what must be understood', 'TOKEN_INVALID', 'JSON Web Token', async () => critical(signers.EdDSA)],
  ])('refuses: %s', async (_, expected, message, make) => {
    const verifier = await trusting({ keys: [signers.EdDSA.jwk, signers.ES256.jwk] });
    const decision = await verifier.verify(await make(), me);
    expect(decision).toEqual({ refused: expected, message: expect.stringContaining(message) as string });
    expect((decision as { message: string }).message).not.toMatch(/evil|sesame/);
  });

  it('refuses a token that is signed with the public key as if that were a secret', async () => {
    const { RS256, EdDSA, HS256 } = signers;
    const pem = await trusting(RS256.pem, { algorithms: ['RS256'] });
    const both = await trusting(
      { keys: [RS256.jwk, EdDSA.jwk, HS256.jwk] },
      { algorithms: ['RS256', 'EdDSA', 'HS256'] },
    );
    const guesses = [RS256.pem, RS256.pem.trim(), JSON.stringify(RS256.jwk), RS256.jwk.n!, EdDSA.jwk.x!];
    const secrets = [...guesses.map(text => Buffer.from(text)), Buffer.from(EdDSA.jwk.x!, 'base64url')];
    for (const confused of secrets) {
      const forged = await token({ ...HS256, private: confused });
      expect(code(await pem.verify(forged, me))).toBe('TOKEN_INVALID');
      expect(code(await both.verify(forged, me))).toBe('TOKEN_INVALID');
    }
    expect(code(await both.verify(await token(HS256), me))).toBe('admitted');
  });

  it('takes clocks that differ a little', async () => {
    const verifier = await trusting(signers.EdDSA.jwk, { clockTolerance: 60_000 });
    expect(code(await verifier.verify(await token(signers.EdDSA, { exp: now() - 30 }), me))).toBe('admitted');
    expect(code(await verifier.verify(await token(signers.EdDSA, { nbf: now() + 30 }), me))).toBe('admitted');
    expect(code(await verifier.verify(await token(signers.EdDSA, { exp: now() - 90 }), me))).toBe(
      'TOKEN_EXPIRED',
    );
  });

  it('takes several issuers and audiences', async () => {
    const verifier = await trusting(signers.EdDSA.jwk, { issuer: ['x', 'y'], audience: ['u', 'v'] });
    const tried = async (claims: JWTPayload) =>
      code(await verifier.verify(await token(signers.EdDSA, claims), me));
    expect(await tried({ iss: 'y', aud: ['w', 'v'] })).toBe('admitted');
    expect(await tried({ iss: 'z', aud: 'u' })).toBe('TOKEN_INVALID');
    expect(await tried({ iss: 'x', aud: 'w' })).toBe('TOKEN_INVALID');
  });

  it('binds a token to the key of one client', async () => {
    const verifier = await trusting(signers.EdDSA.jwk, { keyClaim: 'swk' });
    const tried = async (claims: JWTPayload) => await verifier.verify(await token(signers.EdDSA, claims), me);
    expect(code(await tried({ swk: me }))).toBe('admitted');
    expect(await tried({ swk: keyOf('another') })).toEqual({
      refused: 'TOKEN_NOT_YOURS',
      message: 'The token is for another key ("swk").',
    });
    expect(await tried({})).toEqual({ refused: 'TOKEN_INVALID', message: 'The token has no "swk".' });
    expect(code(await tried({ swk: [me] }))).toBe('TOKEN_INVALID');
  });

  it('does not take what every object has for a claim', async () => {
    const verifier = await trusting(signers.EdDSA.jwk, { keyClaim: 'constructor' });
    expect(await verifier.verify(await token(signers.EdDSA), me)).toMatchObject({
      message: 'The token has no "constructor".',
    });
  });

  it('takes the user and the peers from the claims that are named', async () => {
    const verifier = await trusting(signers.EdDSA.jwk, { userClaim: 'email', peersClaim: 'peers' });
    const tried = async (claims: JWTPayload) => await verifier.verify(await token(signers.EdDSA, claims), me);
    const peers = [keyOf('a'), keyOf('b')];
    expect(await tried({ email: 'ada@example.com', peers })).toMatchObject({
      userId: 'ada@example.com',
      peers,
    });
    expect(await tried({ peers: [] })).toEqual({ expiresAt: expect.any(Number) as number, peers: [] });
    expect(await tried({})).toMatchObject({ message: 'The token has no "peers".' });
    expect(await tried({ peers: ['evil'] })).toMatchObject({
      message: 'The token has a "peers" that makes no sense.',
    });
    expect(await tried({ peers, email: 7 })).toMatchObject({
      message: 'The token has a "email" that makes no sense.',
    });
  });

  it('refuses any other text', async () => {
    const verifier = await trusting(signers.EdDSA.jwk);
    const good = await token(signers.EdDSA);
    const altered = fc
      .tuple(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 1 }))
      // The last character of a signature holds bits that mean nothing.
      .filter(([at, text]) => at < good.length - 1 && good[at] !== text)
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1));
    const part = fc.oneof(
      fc.string(),
      fc.jsonValue().map(value => base64url.encode(JSON.stringify(value))),
    );
    const parts = fc.tuple(part, part, part).map(three => three.join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(altered, parts, fc.string({ minLength: 1 })), async text => {
        expect(code(await verifier.verify(text, me))).toBe('TOKEN_INVALID');
      }),
    );
  });

  describe('its keys', () => {
    it.each([
      ['nothing', '', 'neither JSON nor PEM'],
      ['broken JSON', '{"kty": "open-sesame', 'not JSON'],
      ['no key', { keys: [] }, 'None of its keys is for EdDSA.'],
      ['a key of another kind', () => signers.RS256.jwk, 'None of its keys is for EdDSA.'],
      ['no JWK', { keys: ['open-sesame'] }, 'Key 1 is not a JWK'],
      ['a key without sense', { kty: 'OKP', crv: 'Ed25519', x: 'sesame' }, 'Key 1 is not a public key'],
      ['a private JWK', () => ({ ...signers.EdDSA.jwk, d: 'sesame' }), 'Key 1 is private'],
      [
        'a private PEM',
        () =>
          signers.EdDSA.pem +
          String((stranger.private as KeyObject).export({ type: 'pkcs8', format: 'pem' })),
        'Key 2 is private',
      ],
      ['a short secret', { kty: 'oct', k: base64url.encode('sesame') }, 'less than 32 bytes'],
      [
        'short RSA',
        () => generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' }),
        '1024 bits',
      ],
    ] as const)('are refused: %s', async (_, text, message) => {
      const error: unknown = await trusting(typeof text === 'function' ? text() : text).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(message) as string,
      });
      expect((error as Error).message).not.toContain('sesame');
    });

    it('are refused when the file is missing', async () => {
      const keyFile = path.join(await temporaryFolder(), 'keys');
      await expect(verifierWith({ keyFile }).start()).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(keyFile) as string,
      });
    });

    it('need 48 bytes for HS384', async () => {
      const short = secret('HS384', 47);
      await expect(trusting(short.jwk, { algorithms: ['HS384'] })).rejects.toThrow(
        'None of its keys is for HS384.',
      );
      const long = secret('HS384', 48);
      const verifier = await trusting(long.jwk, { algorithms: ['HS384'] });
      expect(code(await verifier.verify(await token(long), me))).toBe('admitted');
    });

    it('are read again when the file changes, and a bad file changes nothing', async () => {
      const folder = await temporaryFolder();
      const keyFile = path.join(folder, 'keys');
      await writeFile(keyFile, signers.EdDSA.pem);
      const events = new EventQueue<string>();
      const verifier = verifierWith({ keyFile }, events);
      await verifier.start();
      const tried = async (by: Signer) => code(await verifier.verify(await token(by), me));

      await writeFile(keyFile, 'rubbish');
      await verifier.reload();
      expect(await events.next()).toContain('neither JSON nor PEM');
      expect(await tried(signers.EdDSA)).toBe('admitted');

      // And without being told.
      await writeFile(path.join(folder, 'new'), JSON.stringify(stranger.jwk));
      await rename(path.join(folder, 'new'), keyFile);
      expect(await events.next()).toBe('changed');
      expect(await tried(signers.EdDSA)).toBe('TOKEN_INVALID');
      expect(await tried(stranger)).toBe('admitted');
    });
  });

  describe('with a URL', () => {
    async function remote(
      handler?: (question: import('../../../support/question-server.js').Question) => void,
    ) {
      const server = await QuestionServer.start(
        handler ??
          (question => question.answer({ keys: [{ ...signers.EdDSA.jwk, kid: 'one' }, signers.ES256.jwk] })),
      );
      const events = new EventQueue<string>();
      const verifier = verifierWith({ jwksUrl: server.url, algorithms: ['EdDSA', 'ES256'] }, events);
      await verifier.start();
      return { server, verifier, events };
    }

    it('asks when it needs to, and once', async () => {
      const { server, verifier } = await remote();
      expect(server.count).toBe(0);
      const tokens = [token(signers.EdDSA, {}, { kid: 'one' }), token(signers.ES256), token(signers.EdDSA)];
      for (const each of await Promise.all(tokens))
        expect(code(await verifier.verify(each, me))).toBe('admitted');
      expect(server.count).toBe(1);
    });

    it('is not made to ask by tokens with unknown keys', async () => {
      const { server, verifier } = await remote();
      for (const kid of ['x', 'y', 'z']) {
        expect(code(await verifier.verify(await token(stranger, {}, { kid }), me))).toBe('TOKEN_INVALID');
      }
      expect(server.count).toBe(1);
    });

    it('tries all that a token may mean', async () => {
      const { verifier } = await remote(question =>
        question.answer({ keys: [signers.EdDSA.jwk, stranger.jwk] }),
      );
      expect(code(await verifier.verify(await token(stranger), me))).toBe('admitted');
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('admitted');
      const other = signer('EdDSA', generateKeyPairSync('ed25519'));
      expect(code(await verifier.verify(await token(other), me))).toBe('TOKEN_INVALID');
    });

    it('takes no secret from there', async () => {
      const { verifier } = await remote(question => question.answer({ keys: [signers.HS256.jwk] }));
      expect(code(await verifier.verify(await token(signers.HS256), me))).toBe('TOKEN_INVALID');
    });

    it.each([
      ['an error', 'status 500', 'Sorry', 500],
      ['a redirect', 'status 302', '', 302],
      ['no JSON', 'not a JWK Set', 'Sorry', 200],
      ['no set', 'not a JWK Set', { keys: {} }, 200],
      ['too much', 'larger than 1048576 bytes', ' '.repeat(1_048_577), 200],
    ])('lets nobody in when the answer is %s, and says so once', async (_, message, body, status) => {
      vi.useFakeTimers({ toFake: ['performance'] });
      onTestFinished(() => void vi.useRealTimers());
      const { server, verifier, events } = await remote(question =>
        question.answer(body, status, { location: '/' }),
      );
      for (let i = 0; i < 2; i++) {
        expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('ADMISSION_UNAVAILABLE');
      }
      expect(await events.next()).toContain(message);
      expect(events.pending).toEqual([]);
      // Whoever has failed just now is left in peace.
      expect(server.count).toBe(1);
      vi.advanceTimersByTime(1_000);
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('ADMISSION_UNAVAILABLE');
      expect(server.count).toBe(2);
      expect(events.pending).toEqual([]);
    });

    it('lets nobody in when nobody is there, and goes on when somebody is', async () => {
      const { server, verifier, events } = await remote();
      const { port } = server;
      await server.stop();
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('ADMISSION_UNAVAILABLE');
      expect(await events.next()).toContain('ECONNREFUSED');
      await verifier.reload();
      expect(await events.next()).toContain('ECONNREFUSED');
      await server.listen(port);
      await verifier.reload();
      expect(await events.next()).toBe('changed');
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('admitted');
      expect(server.count).toBe(1);
      await verifier.reload();
      expect(server.count).toBe(2);
      expect(events.pending).toEqual([]);
    });

    it('has new keys when it is told to reload', async () => {
      const { server, verifier, events } = await remote();
      expect(code(await verifier.verify(await token(stranger), me))).toBe('TOKEN_INVALID');
      server.handler = question => question.answer({ keys: [stranger.jwk] });
      await verifier.reload();
      expect(events.pending).toEqual([]);
      expect(code(await verifier.verify(await token(stranger), me))).toBe('admitted');
      expect(code(await verifier.verify(await token(signers.EdDSA), me))).toBe('TOKEN_INVALID');
    });

    it('gives up what it asks when it is closed', async () => {
      const server = await QuestionServer.start();
      const events = new EventQueue<string>();
      const verifier = verifierWith({ jwksUrl: server.url }, events);
      await verifier.start();
      const verified = verifier.verify(await token(signers.EdDSA), me);
      await server.questions.next();
      verifier.close();
      expect(code(await verified)).toBe('ADMISSION_UNAVAILABLE');
      expect(events.pending).toEqual([]);
    });
  });

  it.each([
    ['no keys', { keyFile: undefined }, 'keyFile'],
    ['two places for keys', { jwksUrl: 'https://login.example/keys' }, 'keyFile'],
    ['no issuer', { issuer: undefined }, 'issuer'],
    ['an empty list of issuers', { issuer: [] }, 'issuer'],
    ['no audience', { audience: '' }, 'audience'],
    ['no algorithms', { algorithms: [] }, 'algorithms'],
    ['none', { algorithms: ['EdDSA', 'none'] }, '"none" is not one of EdDSA'],
    ['an unknown algorithm', { algorithms: ['constructor'] }, 'algorithms'],
    ['an empty claim', { keyClaim: '' }, 'keyClaim'],
    ['a strange tolerance', { clockTolerance: -1 }, 'clockTolerance'],
    ['http', { keyFile: undefined, jwksUrl: 'http://login.example/keys' }, 'https:'],
    ['no URL', { keyFile: undefined, jwksUrl: 'keys' }, 'jwksUrl'],
    ['a password', { keyFile: undefined, jwksUrl: 'https://me:sesame@login.example/' }, 'jwksUrl'],
    [
      'secrets from a URL',
      { keyFile: undefined, jwksUrl: 'https://login.example/keys', algorithms: ['HS256'] },
      'HS256',
    ],
  ])('refuses options: %s', (_, options, message) => {
    const error = expectCode(() => verifierWith({ keyFile: 'keys', ...options }), 'INVALID_ARGUMENT');
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('sesame');
  });
});

function samePair(alg: 'EdDSA' | 'ES256' | 'RS256'): { publicKey: KeyObject; privateKey: KeyObject } {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('rsa', { modulusLength: 2_048 });
}

/** A token whose header says that something must be understood, which is not. */
function critical(by: Signer): Promise<string> {
  return new SignJWT({ ...GOOD, exp: now() + 600 })
    .setProtectedHeader({ alg: by.alg, crit: ['evil'], evil: true })
    .sign(by.private, { crit: { evil: true } });
}
