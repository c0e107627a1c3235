import type { CryptoKey, JWK, JWTPayload, ProtectedHeaderParameters } from 'jose';
import { SecureWebSocketError } from '../../core/errors.js';
import { WatchedFile } from '../watched-file.js';
import type {
  AdmissionDecision,
  AdmissionRefusal,
  AdmissionRefusalCode,
  Admitted,
  JwtOptions,
} from './admission-options.js';
import { checkPeers, checkUserId } from './hook-answer.js';
import { KeysUnavailable, RemoteKeys } from './remote-keys.js';
import { checkAlgorithms, VerificationKeys } from './verification-keys.js';

/** Characters of the longest token. */
const MAX_TOKEN = 16_384;
/** How far clocks may be apart, milliseconds, unless the options say otherwise. */
const DEFAULT_CLOCK_TOLERANCE = 5_000;
/** More than this is no difference between clocks. */
const MAX_CLOCK_TOLERANCE = 3_600_000;
/** The last moment that `Date` knows, seconds since 1970. */
const MAX_TIME = 8.64e12;

/** Who is told of the keys of a {@link TokenVerifier}. Must not throw. */
export interface TokenVerifierListener {
  /** There are new keys, or they can be had again. */
  changed(): void;
  /** The keys cannot be read, or not be had. Those from before are still in use. */
  failed(error: Error): void;
}

/** Admits who shows a JSON Web Token (RFC 7519) that was signed by one of the keys, and is meant for this relay. */
export class TokenVerifier {
  readonly #options: JwtOptions;
  readonly #listener: TokenVerifierListener;
  readonly #issuers: readonly string[];
  readonly #audiences: readonly string[];
  readonly #tolerance: number;
  readonly #file: WatchedFile | undefined;
  readonly #remote: RemoteKeys | undefined;
  #local: VerificationKeys | undefined;
  #jose: typeof import('jose') | undefined;

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` */
  constructor(options: JwtOptions, listener: TokenVerifierListener) {
    const { keyFile, jwksUrl, clockTolerance = DEFAULT_CLOCK_TOLERANCE } = options;
    if ((keyFile === undefined) === (jwksUrl === undefined)) {
      throw invalid('"admission.jwt" needs exactly one of "keyFile" and "jwksUrl".');
    }
    this.#issuers = names('issuer', options.issuer);
    this.#audiences = names('audience', options.audience);
    checkAlgorithms(options.algorithms, keyFile === undefined ? 'url' : 'file');
    for (const claim of ['keyClaim', 'userClaim', 'peersClaim'] as const) {
      if (options[claim] !== undefined) names(claim, options[claim]);
    }
    if (!Number.isFinite(clockTolerance) || clockTolerance < 0 || clockTolerance > MAX_CLOCK_TOLERANCE) {
      throw invalid(`"admission.jwt.clockTolerance" is from 0 to ${MAX_CLOCK_TOLERANCE}, milliseconds.`);
    }
    this.#options = options;
    this.#listener = listener;
    this.#tolerance = clockTolerance;
    if (jwksUrl !== undefined) {
      this.#remote = new RemoteKeys(checkUrl(jwksUrl), listener);
    } else if (keyFile !== undefined) {
      names('keyFile', keyFile);
      this.#file = new WatchedFile(keyFile, {
        changed: text => this.#changed(text),
        failed: error => listener.failed(error),
      });
    }
  }

  /**
   * Reads the file of keys. A URL is asked when the first token comes.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when the file holds no keys that can be used
   */
  async start(): Promise<void> {
    this.#jose = await import('jose');
    await this.#remote?.start();
    if (this.#file !== undefined) {
      this.#local = VerificationKeys.parse(
        this.#file.path,
        await this.#file.open(),
        this.#options.algorithms,
      );
    }
  }

  /**
   * Whether `token` lets the client with `publicKey` (64 hex digits) in, and what for. Never rejects; what it says of a
   * token names claims, but never holds what is in them.
   */
  async verify(token: string | undefined, publicKey: string): Promise<AdmissionDecision> {
    if (token === undefined || token === '') {
      return refuse('TOKEN_REQUIRED', 'This relay lets in only who shows a token.');
    }
    if (token.length > MAX_TOKEN) return invalidToken(`is longer than ${MAX_TOKEN} characters`);
    try {
      const payload = await this.#verified(token);
      return 'refused' in payload ? payload : this.#admit(payload.claims, publicKey);
    } catch (error) {
      return this.#refusal(error);
    }
  }

  /** Why the keys cannot be had, if they cannot. */
  get failure(): Error | undefined {
    return this.#remote?.failure;
  }

  /** Reads the keys again, now. Resolves when they are in use, or the listener has been told why not. */
  async reload(): Promise<void> {
    await this.#file?.reload();
    try {
      await this.#remote?.reload();
    } catch {
      // The listener knows.
    }
  }

  close(): void {
    this.#file?.close();
    this.#remote?.close();
  }

  #changed(text: string): void {
    if (this.#file === undefined) return;
    try {
      this.#local = VerificationKeys.parse(this.#file.path, text, this.#options.algorithms);
    } catch (error) {
      this.#listener.failed(error as Error);
      return;
    }
    this.#listener.changed();
  }

  /** The claims, once signature, issuer, audience and time are right. */
  async #verified(token: string): Promise<{ claims: JWTPayload } | AdmissionRefusal> {
    if (this.#jose === undefined) throw new KeysUnavailable('Not started.');
    const { decodeProtectedHeader, errors, jwtVerify } = this.#jose;
    let header: ProtectedHeaderParameters;
    try {
      header = decodeProtectedHeader(token);
    } catch {
      return invalidToken('is not a JSON Web Token');
    }
    const { alg, kid } = header;
    // Before any key is looked for: what a token says of its own algorithm decides nothing.
    if (typeof alg !== 'string' || !this.#options.algorithms.includes(alg)) {
      return invalidToken('is signed with an algorithm ("alg") that this relay does not accept');
    }
    for (const key of await this.#candidates(alg, typeof kid === 'string' ? kid : undefined)) {
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [alg],
          issuer: [...this.#issuers],
          audience: [...this.#audiences],
          requiredClaims: ['exp'],
          clockTolerance: this.#tolerance / 1_000,
        });
        return { claims: payload };
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    return invalidToken('is not signed with a key that this relay trusts');
  }

  async #candidates(alg: string, kid: string | undefined): Promise<readonly (JWK | CryptoKey)[]> {
    const header = { alg, ...(kid !== undefined && { kid }) };
    return this.#local?.candidates(header) ?? (await this.#remote?.candidates(header)) ?? [];
  }

  #refusal(error: unknown): AdmissionRefusal {
    const errors = this.#jose?.errors;
    if (errors === undefined || error instanceof KeysUnavailable) {
      return refuse(
        'ADMISSION_UNAVAILABLE',
        'The keys that tokens are checked with cannot be had: try later.',
      );
    }
    if (error instanceof errors.JWTExpired) return refuse('TOKEN_EXPIRED', 'The token has expired ("exp").');
    if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error.claim, error.reason);
    return invalidToken('is not a JSON Web Token');
  }

  #admit(claims: JWTPayload, publicKey: string): AdmissionDecision {
    const { keyClaim, userClaim, peersClaim } = this.#options;
    if (keyClaim !== undefined) {
      const key = own(claims, keyClaim);
      if (typeof key !== 'string') return claimRefusal(keyClaim, key === undefined ? 'missing' : 'invalid');
      if (key !== publicKey) {
        return refuse('TOKEN_NOT_YOURS', `The token is for another key (${JSON.stringify(keyClaim)}).`);
      }
    }
    const { exp } = claims;
    if (exp === undefined || !(exp >= 0 && exp <= MAX_TIME)) return claimRefusal('exp', 'invalid');

    const user = own(claims, userClaim ?? 'sub');
    const peers = peersClaim === undefined ? undefined : own(claims, peersClaim);
    // Whoever names the claim relies on it: without it a token would reach more than with it.
    if (peersClaim !== undefined && peers === undefined) return claimRefusal(peersClaim, 'missing');
    let claim = userClaim ?? 'sub';
    try {
      const userId = user === undefined ? undefined : checkUserId(user);
      claim = peersClaim ?? claim;
      return {
        // As long as the token would be accepted: otherwise the connection would end at once near the end.
        expiresAt: exp * 1_000 + this.#tolerance,
        ...(userId !== undefined && { userId }),
        ...(peers !== undefined && { peers: checkPeers(peers) }),
      } satisfies Admitted;
    } catch {
      return claimRefusal(claim, 'invalid');
    }
  }
}

/** A claim of that name, and nothing that every object has. */
function own(claims: JWTPayload, claim: string): unknown {
  return Object.hasOwn(claims, claim) ? claims[claim] : undefined;
}

function claimRefusal(claim: string, reason: string): AdmissionRefusal {
  const name = JSON.stringify(claim);
  if (reason === 'missing') return invalidToken(`has no ${name}`);
  if (reason === 'invalid') return invalidToken(`has a ${name} that makes no sense`);
  if (claim === 'nbf') return invalidToken(`is not valid yet (${name})`);
  return invalidToken(`has a ${name} that this relay does not accept`);
}

function invalidToken(what: string): AdmissionRefusal {
  return refuse('TOKEN_INVALID', `The token ${what}.`);
}

function refuse(refused: AdmissionRefusalCode, message: string): AdmissionRefusal {
  return { refused, message };
}

/** One string or several, none of them empty. */
function names(name: string, value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every(item => typeof item === 'string' && item !== '')) {
    throw invalid(`"admission.jwt.${name}" must be a string that is not empty.`);
  }
  return list as readonly string[];
}

function checkUrl(text: string): URL {
  // Callers in plain JavaScript, and files of options, bring anything.
  const url = typeof (text as unknown) === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  const local = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol !== 'https:' && !(local && url.protocol === 'http:')) {
    throw invalid(
      '"admission.jwt.jwksUrl" is a URL that begins with "https:". With "http:", which only this machine may have, whoever ' +
        'stands in between could sign tokens.',
    );
  }
  if (url.username !== '' || url.password !== '')
    throw invalid('"admission.jwt.jwksUrl" must not hold a password.');
  return url;
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
