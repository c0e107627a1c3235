import type { AdmissionErrorCode } from '../../core/errors.js';

/** A client that has proven its key and asks to be let in. */
export interface AdmissionRequest {
  /** 64 hex digits. */
  readonly publicKey: string;
  /** The IP address that it comes from, where that is known. */
  readonly ip: string | undefined;
  /** The location that it dialled, `wss://relay.example`. */
  readonly address: string;
  /** What it says of itself, signed by its key: '' where it says nothing. */
  readonly userId: string;
  readonly deviceId: string;
  /** What it has to show. A secret: part of no log. */
  readonly token: string | undefined;
}

/** What an admitted client is admitted for. */
export interface Admitted {
  /** The connection ends then, unless a fresh token was shown before: milliseconds since 1970. Default: never. */
  readonly expiresAt?: number | undefined;
  /** Who the client is, in the words of whoever admitted it (`sub` of a token). */
  readonly userId?: string | undefined;
  /** The only keys that it may reach, 64 hex digits each. Default: all that the rules allow. */
  readonly peers?: readonly string[] | undefined;
}

/** Why a client is not let in. Each is a code of `SecureWebSocketError` at the client. */
export type AdmissionRefusalCode = AdmissionErrorCode | 'TOO_MANY_CONNECTIONS';

/** A client that is not let in, and what it is told: one sentence, without secrets. */
export interface AdmissionRefusal {
  readonly refused: AdmissionRefusalCode;
  readonly message: string;
}

export type AdmissionDecision = Admitted | AdmissionRefusal;

/** Public keys: an array of 64 hex digits each, or a file that is read again whenever it changes. */
export type KeyList = readonly string[] | { readonly file: string };

/** Tokens that are accepted: JSON Web Tokens (RFC 7519). */
export interface JwtOptions {
  /** Keys that sign tokens: a file with a JWK, a JWK Set (RFC 7517) or PEM public keys, read again when it changes. */
  readonly keyFile?: string | undefined;
  /**
   * The same as a URL of a JWK Set, asked for when it is needed and kept for ten minutes: `https:`, or `http:` at this
   * machine. Exactly one of `keyFile` and `jwksUrl` must be given.
   */
  readonly jwksUrl?: string | undefined;
  /** `iss` must be one of these. */
  readonly issuer: string | readonly string[];
  /** `aud` must hold one of these. */
  readonly audience: string | readonly string[];
  /** The algorithms that are accepted, such as `EdDSA` or `ES256`. `none` is refused. */
  readonly algorithms: readonly string[];
  /**
   * The claim that holds the public key which the token is for, 64 hex digits. With it only that client may use the
   * token, and a token without the claim is refused. Default: any client that has a token may use it.
   */
  readonly keyClaim?: string | undefined;
  /** The claim that says who the user is. Default: `sub`. */
  readonly userClaim?: string | undefined;
  /**
   * The claim that lists the public keys which the client may reach. With it a token without the claim is refused.
   * Default: none, it may reach all.
   */
  readonly peersClaim?: string | undefined;
  /** How far clocks may be apart, milliseconds: a token is good for so much longer than it says. Default 5 s. */
  readonly clockTolerance?: number | undefined;
}

/** Somebody who is asked by HTTP: `POST` with a JSON body, answered with 200 and JSON. */
export interface HookOptions {
  /** `https:`, or `http:`. */
  readonly url: string;
  /** Milliseconds. Default 3 s. */
  readonly timeout?: number | undefined;
  /** When it cannot be asked: let in all the same. Default: false, nobody is let in. */
  readonly failOpen?: boolean | undefined;
  /** Sent as `Authorization: Bearer …`, so that the hook knows who asks. A secret. */
  readonly secret?: string | undefined;
}

/** What a function may answer: true, false, what the client is admitted for, or a sentence for one that is not. */
export type AdmissionAnswer = boolean | Admitted | { readonly refuse: string };

/** Who is let in. All that is given must agree; they are asked in this order. */
export interface AdmissionOptions {
  /** Nobody whose key is here. */
  readonly deny?: KeyList | undefined;
  /** Nobody whose key is not here. */
  readonly allow?: KeyList | undefined;
  readonly jwt?: JwtOptions | undefined;
  readonly hook?: HookOptions | undefined;
  /** Whatever it throws counts as `ADMISSION_UNAVAILABLE`. */
  readonly decide?: ((request: AdmissionRequest) => AdmissionAnswer | Promise<AdmissionAnswer>) | undefined;
}

/** "May `from` reach `to`?" Both are public keys, 64 hex digits. */
export interface ReachRequest {
  readonly from: string;
  readonly to: string;
}

/** Rules, one per line: `allow <key|*> <key|*>` or `deny <key|*> <key|*>`; the first that fits counts, none: refused. */
export interface ReachOptions {
  /** A file of rules, read again when it changes. */
  readonly rules?: { readonly file: string } | readonly string[] | undefined;
  readonly hook?: HookOptions | undefined;
  readonly decide?: ((request: ReachRequest) => boolean | Promise<boolean>) | undefined;
  /** A decision is kept so long, milliseconds. Default 60 s. */
  readonly cacheTime?: number | undefined;
  /** So many decisions are kept. Default 100,000. */
  readonly cacheSize?: number | undefined;
}
