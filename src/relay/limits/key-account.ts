import { LAPSE, type Meter } from './meter.js';
import { TokenBucket } from './token-bucket.js';

/** What holds the connections of a key back. */
export interface KeyTrafficExceeded {
  readonly limit: 'key_frames' | 'key_bytes';
}

/** One connection's share in what its key may send. */
export interface TrafficLease {
  /** False: the key owes something from before, so `renew` comes before the first thing that is read. */
  readonly ready: boolean;
  /**
   * Counts what has been received, without asking anybody. False: it was counted all the same, but the allowance is used up;
   * pause the connection, and wait for `renew`.
   */
  spend(frames: number, bytes: number): boolean;
  /**
   * Resolves as soon as there is allowance again: with what was exceeded, or undefined when the limiter had only to be asked,
   * and said yes. Never rejects.
   */
  renew(): Promise<KeyTrafficExceeded | undefined>;
  /** The connection is gone. A `renew` that is under way resolves. Safe to call again. */
  close(): void;
}

/** What the connections of one key may spend at the moment, and who of them waits for more. */
export class KeyAccount {
  readonly #key: string;
  readonly #balances: readonly Balance[];
  /** In the order in which they came. */
  readonly #waiting = new Map<Lease, () => void>();
  #isServing = false;
  #stopSleeping: (() => void) | undefined;
  /** How often a limiter has said no, and which one the last time. */
  #refusals = 0;
  #refusedBy: KeyTrafficExceeded | undefined;

  constructor(key: string, meters: readonly Meter[]) {
    this.#key = key;
    this.#balances = meters.map(meter => new Balance(meter));
  }

  get inDebt(): boolean {
    return this.#balances.some(balance => balance.amount < 0);
  }

  get isAwaited(): boolean {
    return this.#waiting.size > 0;
  }

  open(): TrafficLease {
    return new Lease(this, this.#balances);
  }

  /** Nobody has spent anything for `time` milliseconds, in which debts would have been paid. */
  payOff(time: number): void {
    for (const balance of this.#balances) balance.payOff(time);
  }

  /** Resolves when it is the turn of `lease`, and there is enough for it. */
  async wait(lease: Lease): Promise<KeyTrafficExceeded | undefined> {
    const refusals = this.#refusals;
    const served = new Promise<void>(resolve => this.#waiting.set(lease, resolve));
    if (!this.#isServing) void this.#serve();
    await served;
    return this.#refusals === refusals ? undefined : this.#refusedBy;
  }

  /** Sends one away that waits, if it does. */
  leave(lease: Lease): void {
    const resolve = this.#waiting.get(lease);
    this.#waiting.delete(lease);
    resolve?.();
    if (this.#waiting.size === 0) this.#stopSleeping?.();
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    for (;;) {
      this.#serveWhoCan();
      const [first] = this.#waiting.keys();
      const lacking = first?.lacking;
      if (lacking === undefined) break;
      const wait = await lacking.draw(this.#key);
      if (wait === 0 || this.#waiting.size === 0) continue;
      this.#refusals += 1;
      this.#refusedBy = { limit: lacking.limit };
      await this.#sleep(wait);
    }
    this.#isServing = false;
  }

  #serveWhoCan(): void {
    for (const [lease, resolve] of this.#waiting) {
      if (lease.lacking !== undefined) return;
      lease.provide();
      this.#waiting.delete(lease);
      resolve();
    }
  }

  #sleep(time: number): Promise<void> {
    return new Promise(resolve => {
      const stop = () => {
        clearTimeout(timer);
        this.#stopSleeping = undefined;
        resolve();
      };
      const timer = setTimeout(stop, time);
      this.#stopSleeping = stop;
    });
  }
}

/** What is left of one thing that is counted; below 0, what is owed. */
class Balance {
  readonly #meter: Meter;
  readonly #own: TokenBucket;
  #amount = 0;
  #lapsesAt = 0;

  constructor(meter: Meter) {
    this.#meter = meter;
    this.#own = new TokenBucket(meter.rate, meter.rate);
  }

  get limit(): 'key_frames' | 'key_bytes' {
    return this.#meter.limit;
  }

  get piece(): number {
    return this.#meter.piece;
  }

  get amount(): number {
    return this.#amount;
  }

  /** Takes what is asked for, in any case. */
  spend(count: number, now: number): void {
    this.#lapse(now);
    this.#amount -= count;
  }

  has(count: number, now: number): boolean {
    this.#lapse(now);
    return this.#amount >= count;
  }

  /** Gives back what was not needed, unless it has lapsed since. */
  giveBack(count: number, now: number): void {
    if (now < this.#lapsesAt) this.#amount += count;
  }

  payOff(time: number): void {
    if (this.#amount < 0) this.#amount = Math.min(0, this.#amount + (time / 1_000) * this.#meter.rate);
  }

  /** One piece more: 0. Or else how many milliseconds to wait before asking again. */
  async draw(key: string): Promise<number> {
    const wait = await this.#meter.draw(key, this.#own);
    if (wait !== 0) return wait;
    const now = performance.now();
    this.#lapse(now);
    this.#amount += this.#meter.piece;
    this.#lapsesAt = now + LAPSE;
    return 0;
  }

  #lapse(now: number): void {
    if (this.#amount > 0 && now >= this.#lapsesAt) this.#amount = 0;
  }
}

/** One connection's part of a balance. */
class Share {
  readonly balance: Balance;
  /** What this connection was given for what it reads next, so that others cannot spend that before it. */
  provided = 0;
  /** What it spent last: it will need about as much again. */
  last = 1;

  constructor(balance: Balance) {
    this.balance = balance;
  }

  /** At most one piece: there may never be more at once. */
  get need(): number {
    return Math.min(this.last, this.balance.piece);
  }
}

/** See `TrafficLease`. */
class Lease implements TrafficLease {
  readonly #account: KeyAccount;
  /** Of frames and bytes, as far as they are counted. */
  readonly #shares: readonly Share[];
  #providedUntil = 0;
  #renewing: Promise<KeyTrafficExceeded | undefined> | undefined;
  #isClosed = false;

  constructor(account: KeyAccount, balances: readonly Balance[]) {
    this.#account = account;
    this.#shares = balances.map(balance => new Share(balance));
  }

  get ready(): boolean {
    return !this.#account.inDebt;
  }

  /** What there is not enough of for this connection to go on. */
  get lacking(): Balance | undefined {
    const now = performance.now();
    return this.#shares.find(({ balance, need }) => !balance.has(need, now))?.balance;
  }

  spend(frames: number, bytes: number): boolean {
    const now = performance.now();
    let isEnough = true;
    for (const share of this.#shares) {
      const { balance } = share;
      const count = balance.limit === 'key_frames' ? frames : bytes;
      share.last = count;
      const provided = now < this.#providedUntil ? Math.min(count, share.provided) : 0;
      share.provided -= provided;
      if (provided === count) continue;
      balance.spend(count - provided, now);
      // Whoever waits was here before.
      if (balance.amount < 0 || this.#account.isAwaited) isEnough = false;
    }
    return isEnough;
  }

  renew(): Promise<KeyTrafficExceeded | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    return (this.#renewing ??= this.#account.wait(this).finally(() => (this.#renewing = undefined)));
  }

  /** Takes what was lacking. */
  provide(): void {
    const now = performance.now();
    for (const share of this.#shares) {
      const { need } = share;
      share.balance.spend(need, now);
      share.provided = need;
    }
    this.#providedUntil = now + LAPSE;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#account.leave(this);
    const now = performance.now();
    if (now >= this.#providedUntil) return;
    for (const { balance, provided } of this.#shares) balance.giveBack(provided, now);
  }
}
