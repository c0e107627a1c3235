import { createPublicKey, type JsonWebKey } from 'node:crypto';
import type { JWK, JWSHeaderParameters } from 'jose';
import { SecureWebSocketError } from '../../core/errors.js';

/** The algorithms of RFC 7518 and RFC 8037 that sign, and the kinds of key that they need. */
const ALGORITHMS: ReadonlyMap<string, { readonly kty: string; readonly crv?: string }> = new Map(
  Object.entries({
    EdDSA: { kty: 'OKP', crv: 'Ed25519' },
    Ed25519: { kty: 'OKP', crv: 'Ed25519' },
    ES256: { kty: 'EC', crv: 'P-256' },
    ES384: { kty: 'EC', crv: 'P-384' },
    ES512: { kty: 'EC', crv: 'P-521' },
    RS256: { kty: 'RSA' },
    RS384: { kty: 'RSA' },
    RS512: { kty: 'RSA' },
    PS256: { kty: 'RSA' },
    PS384: { kty: 'RSA' },
    PS512: { kty: 'RSA' },
    HS256: { kty: 'oct' },
    HS384: { kty: 'oct' },
    HS512: { kty: 'oct' },
  }),
);
const KINDS: ReadonlySet<string> = new Set([...ALGORITHMS.values()].map(({ kty }) => kty));

/** Keys of one file. */
const MAX_KEYS = 1_024;
/** Keys that one token may be tried with, where it does not say which it means. */
const MAX_CANDIDATES = 16;
/** RFC 7518 section 3.3. */
const MIN_RSA_BITS = 2_048;
/** Parts of a JWK that only the owner of a private key has (RFC 7518 section 6). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'];
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/** @throws SecureWebSocketError `INVALID_ARGUMENT` unless there is one at least, and each is known */
export function checkAlgorithms(algorithms: readonly string[], where: 'file' | 'url'): void {
  // Callers in plain JavaScript, and files of options, bring anything.
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    throw invalid(
      '"admission.jwt.algorithms" is an array of the algorithms that are accepted, such as ["EdDSA"].',
    );
  }
  for (const name of algorithms as readonly unknown[]) {
    const algorithm = typeof name === 'string' ? ALGORITHMS.get(name) : undefined;
    if (algorithm === undefined) {
      const known = [...ALGORITHMS.keys()].join(', ');
      throw invalid(`"admission.jwt.algorithms": ${JSON.stringify(name)} is not one of ${known}.`);
    }
    if (algorithm.kty === 'oct' && where === 'url') {
      throw invalid(
        `"admission.jwt.algorithms": ${String(name)} needs a secret, which a "jwksUrl" cannot keep: use "keyFile".`,
      );
    }
  }
}

/**
 * Keys that tokens may be signed with. Which of them a token is tried with depends on the algorithm first: a public key
 * never serves as the secret of HS256, and a secret never as a public key.
 */
export class VerificationKeys {
  readonly #keys: readonly JWK[];

  private constructor(keys: readonly JWK[]) {
    this.#keys = keys;
  }

  /**
   * Reads a JWK, a JWK Set, or PEM blocks: public keys or certificates.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` saying what is wrong, without the text: it may be a secret
   */
  static parse(name: string, text: string, algorithms: readonly string[]): VerificationKeys {
    try {
      const keys = text.trimStart().startsWith('{') ? fromJson(text) : fromPem(text);
      if (keys.length > MAX_KEYS) throw new Error(`It holds more than ${MAX_KEYS} keys.`);
      for (const [index, key] of keys.entries()) checkKey(key, index + 1);
      if (!algorithms.some(alg => keys.some(key => fits(key, alg, undefined)))) {
        throw new Error(`None of its keys is for ${algorithms.join(', ')}.`);
      }
      return new VerificationKeys(keys);
    } catch (error) {
      throw invalid(`The keys in ${name} cannot be used: ${(error as Error).message}`);
    }
  }

  /** The keys that may have signed a token with this header: 16 at most. */
  candidates({ alg, kid }: JWSHeaderParameters): readonly JWK[] {
    if (alg === undefined) return [];
    return this.#keys.filter(key => fits(key, alg, kid)).slice(0, MAX_CANDIDATES);
  }
}

function fits(key: JWK, alg: string, kid: unknown): boolean {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined || key.kty !== algorithm.kty) return false;
  if (algorithm.crv !== undefined && key.crv !== algorithm.crv) return false;
  if (algorithm.kty === 'oct' && secretBytes(key) < Number(alg.slice(2)) / 8) return false;
  // A key without a name may be meant whatever the token says: PEM has no names.
  if (kid !== undefined && key.kid !== undefined && key.kid !== kid) return false;
  return (
    (key.alg === undefined || key.alg === alg) &&
    (key.use === undefined || key.use === 'sig') &&
    (key.key_ops?.includes('verify') ?? true)
  );
}

function fromJson(text: string): JWK[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('It is not JSON.');
  }
  const set = (value as { keys?: unknown }).keys;
  const keys: unknown = set === undefined ? [value] : set;
  if (!Array.isArray(keys)) throw new Error('"keys" is not an array.');
  return keys as JWK[];
}

function fromPem(text: string): JWK[] {
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (blocks.length === 0) throw new Error('It is neither JSON nor PEM.');
  if (blocks.length > MAX_KEYS) throw new Error(`It holds more than ${MAX_KEYS} keys.`);
  return blocks.map(([block, label], index) => {
    // Of a private key Node would take the public part, and nobody would notice what lies around here.
    if (label?.includes('PRIVATE') !== false) throw new Error(privateKey(index + 1));
    try {
      return createPublicKey(block).export({ format: 'jwk' });
    } catch {
      throw new Error(`Block ${index + 1} is not a public key of a kind that can sign tokens.`);
    }
  });
}

function checkKey(key: unknown, number: number): void {
  if (typeof key !== 'object' || key === null || typeof (key as JWK).kty !== 'string') {
    throw new Error(`Key ${number} is not a JWK: it has no "kty".`);
  }
  const { kty, key_ops: operations } = key as JWK & { kty: string };
  if (operations !== undefined && !Array.isArray(operations)) {
    throw new Error(`Key ${number}: "key_ops" is not an array.`);
  }
  if (kty === 'oct') {
    if (secretBytes(key) < 32) {
      throw new Error(`Key ${number} is a secret of less than 32 bytes, which can be guessed.`);
    }
  } else if (PRIVATE.some(part => part in key)) {
    throw new Error(privateKey(number));
  } else if (KINDS.has(kty)) {
    let bits;
    try {
      bits = createPublicKey({ key: key as JsonWebKey, format: 'jwk' }).asymmetricKeyDetails?.modulusLength;
    } catch {
      throw new Error(`Key ${number} is not a public key.`);
    }
    if (bits !== undefined && bits < MIN_RSA_BITS) {
      throw new Error(`Key ${number} has ${bits} bits: RSA needs ${MIN_RSA_BITS} at least.`);
    }
  }
}

function privateKey(number: number): string {
  return `Key ${number} is private. A relay needs the public key only: take the private one away from here.`;
}

function secretBytes({ k }: JWK): number {
  return typeof k === 'string' && /^[\w-]*$/.test(k) ? Buffer.from(k, 'base64url').length : 0;
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
