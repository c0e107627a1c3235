import type { ThrottledLimit } from '../../core/control.js';
import type { TrafficLease } from './key-traffic.js';
import type { TrafficLimit } from './traffic-limit.js';

/** What a throttle holds back. */
export interface ThrottledConnection {
  pause(): void;
  resume(): void;
}

export interface ThrottleListener {
  /** Each of them once, when it first holds the connection back. */
  exceeded(limit: ThrottledLimit): void;
  /** The connection is read again, or no more. */
  held(isHeld: boolean): void;
}

/** Reads a connection no faster than limits allow: what is too much is not lost, it is read later. */
export class Throttle {
  readonly #connection: ThrottledConnection;
  readonly #traffic: TrafficLimit;
  readonly #lease: TrafficLease | undefined;
  readonly #listener: ThrottleListener;
  readonly #exceeded = new Set<ThrottledLimit>();
  #frames = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isRenewing = false;
  #closed = false;

  constructor(
    connection: ThrottledConnection,
    traffic: TrafficLimit,
    lease: TrafficLease | undefined,
    listener: ThrottleListener,
  ) {
    this.#connection = connection;
    this.#traffic = traffic;
    this.#lease = lease;
    this.#listener = listener;
    if (lease?.ready === false) this.#renew(lease);
  }

  get isHeld(): boolean {
    return this.#timer !== undefined || this.#isRenewing;
  }

  /** One frame of what has come. */
  frame(): void {
    this.#frames += 1;
  }

  /** So many bytes have come, and hold frames that are told afterwards: those are counted with the next bytes. */
  arrived(bytes: number): void {
    const frames = this.#frames;
    this.#frames = 0;
    const exceeded = this.#traffic.spend(frames, bytes, performance.now());
    if (exceeded) {
      this.#tell(exceeded.limit);
      this.#wait(exceeded.wait);
    }
    if (this.#lease?.spend(frames, bytes) === false) this.#renew(this.#lease);
  }

  /** The connection is gone. */
  close(): void {
    if (this.#closed) return;
    if (this.isHeld) this.#listener.held(false);
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lease?.close();
  }

  #wait(delay: number): void {
    if (!this.isHeld) this.#hold();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#release();
    }, delay);
    this.#timer.unref();
  }

  #renew(lease: TrafficLease): void {
    if (this.#isRenewing) return;
    if (!this.isHeld) this.#hold();
    this.#isRenewing = true;
    void lease.renew().then(exceeded => {
      this.#isRenewing = false;
      if (this.#closed) return;
      if (exceeded) this.#tell(exceeded.limit);
      this.#release();
    });
  }

  #hold(): void {
    this.#connection.pause();
    this.#listener.held(true);
  }

  #release(): void {
    if (this.isHeld || this.#closed) return;
    this.#listener.held(false);
    this.#connection.resume();
  }

  #tell(limit: ThrottledLimit): void {
    if (this.#exceeded.has(limit)) return;
    this.#exceeded.add(limit);
    this.#listener.exceeded(limit);
  }
}
