import { toHex } from '../bytes.js';
import type { Crypto } from '../crypto.js';
import { SecureWebSocketError } from '../errors.js';
import { decodeJoin, isJoinAuthentic, type JoinRecord, type SpacePlace } from './join-record.js';
import { entryDigest } from './roster.js';

/** So many are remembered, of all spaces together. */
const MAX_REMEMBERED_JOINS = 4_096;

/** By where, and what. The oldest comes first. */
const remembered = new Map<string, AuthenticJoin>();

/**
 * A join record whose signature is right. It is so for ever, and many ends in one process see the same ones: it is read
 * and checked once for all of them, and kept once. Nobody changes its bytes.
 */
export class AuthenticJoin {
  /** Member id, 32 lowercase hex characters. */
  readonly id: string;
  /** Box key, 64 lowercase hex characters. */
  readonly publicKey: string;
  readonly #crypto: Crypto;
  #number: number | undefined;
  #digest: Uint8Array = new Uint8Array(0);

  constructor(
    crypto: Crypto,
    readonly record: JoinRecord,
  ) {
    this.#crypto = crypto;
    this.id = toHex(record.memberId);
    this.publicKey = toHex(record.boxKey);
  }

  /** What stands for it in the hash of the roster, under this number at the relay: the same for all who see it. */
  digest(number: number): Uint8Array {
    if (this.#number !== number) {
      this.#digest = entryDigest(this.#crypto, number, this.record.bytes);
      this.#number = number;
    }
    return this.#digest;
  }
}

/** Reads and checks the join records of one space. */
export class AuthenticJoins {
  readonly #crypto: Crypto;
  readonly #place: SpacePlace;
  readonly #prefix: string;

  constructor(crypto: Crypto, place: SpacePlace) {
    this.#crypto = crypto;
    this.#place = place;
    // No name holds a zero, so that no two places and records make the same.
    this.#prefix = `${toHex(place.relayKey)}${place.name}\0`;
  }

  /**
   * `bytes` are copied when they are kept.
   * @throws SecureWebSocketError `FRAME_MALFORMED`; `ROSTER_MISMATCH` when the signature is wrong
   */
  read(bytes: Uint8Array): AuthenticJoin {
    const name = this.#prefix + String.fromCharCode(...bytes);
    const known = remembered.get(name);
    if (known) return known;
    const record = decodeJoin(bytes);
    if (!isJoinAuthentic(this.#crypto, this.#place, record)) {
      throw new SecureWebSocketError(
        'ROSTER_MISMATCH',
        'The relay names a member of the space that has not signed its joining: it lies, or is broken.',
      );
    }
    const join = new AuthenticJoin(this.#crypto, record);
    remembered.set(name, join);
    if (remembered.size > MAX_REMEMBERED_JOINS) {
      for (const oldest of remembered.keys()) {
        remembered.delete(oldest);
        break;
      }
    }
    return join;
  }
}
