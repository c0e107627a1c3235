import { KeyAccount, type KeyTrafficExceeded, type TrafficLease } from './key-account.js';
import { Meter, type TrafficLimiter } from './meter.js';

export type { KeyTrafficExceeded, TrafficLease, TrafficLimiter };

/** Keys that have left with a debt and are remembered. */
const MAX_DEBTORS = 10_000;

export interface KeyTrafficOptions {
  /** What all connections of one key may send together. Undefined: no limit. */
  readonly framesPerSecond?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  /**
   * Who counts, where several relays have to share the limits: limiters with as many points, for one second. Default:
   * this process, for itself.
   */
  readonly frameLimiter?: TrafficLimiter | undefined;
  readonly byteLimiter?: TrafficLimiter | undefined;
}

/**
 * What all connections of a key may send together, per second.
 *
 * A limiter is asked by promises, and may be far away, so it is not asked for each frame. The connections of one key
 * have an account here, which draws a twentieth of a second's worth in advance, and they spend from it at once. What
 * is not spent lapses after a second. Who finds the account empty waits in line, first come, first served.
 */
export class KeyTraffic {
  readonly #meters: readonly Meter[];
  readonly #accounts = new Map<string, { readonly account: KeyAccount; leases: number }>();
  /** What keys owed when their last connection went: to leave and come back must not be cheaper than to wait. */
  readonly #debtors = new Map<string, { readonly account: KeyAccount; readonly since: number }>();

  private constructor(meters: readonly Meter[]) {
    this.#meters = meters;
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when a limit is no integer of at least 1 */
  static async create(options: KeyTrafficOptions): Promise<KeyTraffic> {
    const { framesPerSecond, bytesPerSecond, frameLimiter, byteLimiter } = options;
    const meters: Meter[] = [];
    if (framesPerSecond !== undefined) {
      meters.push(await Meter.create('key_frames', framesPerSecond, frameLimiter));
    }
    if (bytesPerSecond !== undefined) {
      meters.push(await Meter.create('key_bytes', bytesPerSecond, byteLimiter));
    }
    return new KeyTraffic(meters);
  }

  /** Keys that are remembered, because they have connections or owe something. */
  get keys(): number {
    return this.#accounts.size + this.#debtors.size;
  }

  /** For one connection, which must close it when it ends. */
  lease(publicKey: string): TrafficLease {
    let entry = this.#accounts.get(publicKey);
    if (entry === undefined) {
      entry = { account: this.#accountOf(publicKey), leases: 0 };
      this.#accounts.set(publicKey, entry);
    }
    entry.leases += 1;
    const { account } = entry;
    const lease = account.open();
    let closed = false;
    return {
      get ready() {
        return lease.ready;
      },
      spend: (frames, bytes) => lease.spend(frames, bytes),
      renew: () => lease.renew(),
      close: () => {
        if (closed) return;
        closed = true;
        lease.close();
        entry.leases -= 1;
        if (entry.leases === 0) this.#leave(publicKey, account);
      },
    };
  }

  #accountOf(publicKey: string): KeyAccount {
    const debtor = this.#debtors.get(publicKey);
    if (debtor === undefined) return new KeyAccount(publicKey, this.#meters);
    this.#debtors.delete(publicKey);
    debtor.account.payOff(performance.now() - debtor.since);
    return debtor.account;
  }

  #leave(publicKey: string, account: KeyAccount): void {
    this.#accounts.delete(publicKey);
    if (!account.inDebt) return;
    this.#debtors.set(publicKey, { account, since: performance.now() });
    if (this.#debtors.size <= MAX_DEBTORS) return;
    const [oldest] = this.#debtors.keys();
    if (oldest !== undefined) this.#debtors.delete(oldest);
  }
}
