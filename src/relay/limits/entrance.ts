import { addressGroup } from '../../link/address-group.js';
import { Places, TOO_MANY_UNREGISTERED } from '../../link/places.js';
import type { LimitName } from '../relay-observer.js';
import { Occupancy } from '../../link/occupancy.js';
import { TokenBucket } from './token-bucket.js';

export interface EntranceLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  /** Per second; twice as many at once. */
  readonly acceptRate: number;
  readonly maxUnregistered: number;
  readonly maxUnregisteredPerIp: number;
}

/** Why an upgrade is not accepted, and the HTTP status that says so. */
export interface TurnedAway {
  readonly status: 429 | 503;
  readonly limit: LimitName;
  readonly message: string;
}

/** The places of one connection. A relay has very many of them: closures would take more memory. */
export class Admittance {
  readonly #gone: () => void;
  readonly #leaveIp: () => void;
  /** Until the client has proven its key. */
  #leaveUnregistered: (() => void) | undefined;
  #isInside = true;

  /** `gone` is called once. */
  constructor(gone: () => void, leaveIp: () => void, leaveUnregistered: () => void) {
    this.#gone = gone;
    this.#leaveIp = leaveIp;
    this.#leaveUnregistered = leaveUnregistered;
  }

  /** The client has proven its key. */
  registered(): void {
    this.#leaveUnregistered?.();
    this.#leaveUnregistered = undefined;
  }

  /** The connection is gone. Safe to call again. */
  leave(): void {
    if (!this.#isInside) return;
    this.#isInside = false;
    this.registered();
    this.#leaveIp();
    this.#gone();
  }
}

/** Counts connections from their upgrade on, and says when there are too many: before anything is known of who is there. */
export class Entrance {
  readonly #limits: EntranceLimits;
  readonly #rate: TokenBucket;
  readonly #unregistered: Places;
  readonly #byIp: Occupancy;
  #connections = 0;
  readonly #gone = (): void => {
    this.#connections -= 1;
  };

  constructor(limits: EntranceLimits) {
    this.#limits = limits;
    this.#rate = new TokenBucket(limits.acceptRate, 2 * limits.acceptRate);
    this.#unregistered = new Places(limits.maxUnregistered, limits.maxUnregisteredPerIp);
    this.#byIp = new Occupancy(limits.maxConnectionsPerIp);
  }

  /** Connections whose client has not proven its key. */
  get unregistered(): number {
    return this.#unregistered.count;
  }

  /** Takes the places of one connection from `ip`, or says why there are none. Without an IP address only those in all count. */
  enter(ip: string | undefined): Admittance | TurnedAway {
    if (this.#connections >= this.#limits.maxConnections) {
      return away(503, 'connections', 'The relay has as many connections as it takes.');
    }
    const leaveIp = ip === undefined ? nothing : this.#byIp.enter(addressGroup(ip));
    if (leaveIp === undefined) {
      return away(
        429,
        'connections_per_ip',
        'There are as many connections from this address as the relay takes.',
      );
    }
    const place = this.#unregistered.enter(ip);
    if (typeof place === 'string') {
      leaveIp();
      return place === 'TOO_MANY'
        ? away(503, 'unregistered', TOO_MANY_UNREGISTERED[place])
        : away(429, 'unregistered_per_ip', TOO_MANY_UNREGISTERED[place]);
    }
    // Last: who is turned away for another reason has not used it up.
    if (!this.#rate.take(1, performance.now())) {
      place();
      leaveIp();
      return away(503, 'accept_rate', 'Too many connections are being made. Try again later.');
    }
    this.#connections += 1;
    return new Admittance(this.#gone, leaveIp, place);
  }
}

function away(status: TurnedAway['status'], limit: LimitName, message: string): TurnedAway {
  return { status, limit, message };
}

function nothing(): void {
  // Nothing was taken.
}
