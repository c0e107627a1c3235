import { parseAddress } from '../core/address.js';
import { SecureWebSocketError } from '../core/errors.js';

/**
 * Answers one question before a link is used: may this key be the server at this location?
 * `location` is `wss://host[:port]`, `publicKey` the hex X25519 key that the server shows and is about to prove.
 */
export interface TrustStore {
  check(location: string, publicKey: string): boolean | Promise<boolean>;
}

/** A pin: the hex public key that the server must have, or several of which it must have one. */
export type ServerKey = string | readonly string[];

/**
 * Trust on first use, for the life of the page or process: the first key seen at a location is the only one accepted
 * there from then on. It notices a server that changes under a running application, not one that was false from the start.
 */
export class FirstUseTrustStore implements TrustStore {
  readonly #known = new Map<string, string>();

  check(location: string, publicKey: string): boolean {
    const known = this.#known.get(location);
    if (known !== undefined) return known === publicKey;
    this.#known.set(location, publicKey);
    return true;
  }

  /** Forgets a location, so that the next key seen there is accepted. */
  forget(location: string): void {
    this.#known.delete(location);
  }
}

/** What is asked when the application gives neither a pin nor a trust store. */
export const firstUse = new FirstUseTrustStore();

/**
 * The pin as a list of addresses.
 * @throws SecureWebSocketError `INVALID_ARGUMENT` when one is no canonical address
 */
export function parseServerKey(serverKey: ServerKey): readonly string[] {
  const keys = typeof serverKey === 'string' ? [serverKey] : [...serverKey];
  for (const key of keys) {
    try {
      parseAddress(key);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'not an address';
      throw new SecureWebSocketError('INVALID_ARGUMENT', `"serverKey" is no public key: ${why}`, { cause });
    }
  }
  return keys;
}

/** @throws SecureWebSocketError `SERVER_KEY_MISMATCH`, `SERVER_KEY_CHANGED` */
export async function checkServerKey(
  trust: { serverKey?: ServerKey | undefined; trustStore?: TrustStore | undefined },
  location: string,
  publicKey: string,
): Promise<void> {
  const { serverKey, trustStore } = trust;
  if (serverKey !== undefined) {
    if (parseServerKey(serverKey).includes(publicKey)) return;
    throw new SecureWebSocketError(
      'SERVER_KEY_MISMATCH',
      `The server at ${location} has the key ${publicKey}, which is not the one given as "serverKey".`,
    );
  }
  if (trustStore) {
    if (await trustStore.check(location, publicKey)) return;
    throw new SecureWebSocketError(
      'SERVER_KEY_MISMATCH',
      `The server at ${location} has the key ${publicKey}, which the trust store does not accept.`,
    );
  }
  if (firstUse.check(location, publicKey)) return;
  throw new SecureWebSocketError(
    'SERVER_KEY_CHANGED',
    `The server at ${location} has another key (${publicKey}) than when it was first used in this page or process. ` +
      'If that is right, start afresh or give the key as "serverKey"; if it is not, somebody may stand in the middle.',
  );
}
