/**
 * Where the 32-byte seed of one identity is kept between runs. Pluggable: a keychain, a hardware token, a secrets
 * manager need only these two methods.
 */
export interface KeyStore {
  /** The seed, or undefined when none has been kept yet. Rejects when there is one that cannot be used. */
  load(): Promise<Uint8Array | undefined>;
  /**
   * Keeps `seed` unless one is kept already, and resolves to the one that is kept: two tabs or processes that start
   * at the same time end with the same identity.
   */
  create(seed: Uint8Array): Promise<Uint8Array>;
}
