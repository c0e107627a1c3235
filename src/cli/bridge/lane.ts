import type { BridgeEnd, ConnectionEnd } from './bridge-end.js';

/** While more than this waits at an end in reach, bytes, nothing more is taken for it. */
export const HIGH_WATER = 1_048_576;
/** The same of messages of which none was handed on: the shortest take memory, too. */
export const MAX_WAITING = 65_536;
/** Somebody who reads nothing of what is left of a connection for so long is not waited for. Milliseconds. */
export const LINGER = 60_000;
/** RFC 6455 section 7.1.5. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/**
 * One direction of a bridge: messages from one end to the other, no faster than that takes them, and the end of the
 * connection behind them.
 */
export class Lane {
  readonly #from: BridgeEnd;
  readonly #to: BridgeEnd;
  readonly #maxBuffered: number;
  readonly #overflow: () => void;
  /** Messages since some were handed on. */
  #waiting = 0;
  #holds = false;
  #isAway = false;
  #isOver = false;
  #end: ConnectionEnd | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param maxBuffered Bytes that may wait for `to` while it is out of reach. In reach no more than that, and no more than
   *   1 MiB. A message that began before the limit was reached is taken.
   * @param overflow More than `maxBuffered` waits, and `from` cannot be slowed down.
   */
  constructor(from: BridgeEnd, to: BridgeEnd, maxBuffered: number, overflow: () => void) {
    this.#from = from;
    this.#to = to;
    this.#maxBuffered = maxBuffered;
    this.#overflow = overflow;
  }

  message(data: Uint8Array, isText: boolean): void {
    if (this.#isOver || this.#end !== undefined) return;
    this.#waiting++;
    this.#to.send(data, isText);
    this.#check();
  }

  /** `to` has handed something to the network. */
  progress(): void {
    this.#waiting = 0;
    this.#check();
    this.#finish();
  }

  /** `to` is out of reach. */
  suspend(): void {
    this.#isAway = true;
    this.#check();
    // How long its end may take is known to `to` itself.
    this.#finish();
  }

  resume(): void {
    this.#isAway = false;
    this.#check();
  }

  /** `from` has ended: so does `to`, behind what it was given. */
  ended(end: ConnectionEnd): void {
    this.#end = end;
    this.#finish();
  }

  /** Nothing more gets to `to`. What `from` says is read and dropped, so that its end is heard. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#release();
  }

  get #limit(): number {
    return this.#isAway ? this.#maxBuffered : Math.min(HIGH_WATER, this.#maxBuffered);
  }

  #check(): void {
    if (this.#isOver || this.#end !== undefined) return;
    const { bufferedAmount } = this.#to;
    if (!this.#from.isPausable) {
      if (bufferedAmount > this.#maxBuffered) this.#overflow();
    } else if (bufferedAmount > this.#limit || this.#waiting > MAX_WAITING) {
      this.#hold();
    } else if (bufferedAmount <= this.#limit / 2) {
      this.#release();
    }
  }

  #hold(): void {
    if (this.#holds) return;
    this.#holds = true;
    this.#from.pause();
  }

  #release(): void {
    if (!this.#holds) return;
    this.#holds = false;
    this.#from.resume();
  }

  #finish(): void {
    const end = this.#end;
    if (this.#isOver || end === undefined) return;
    clearTimeout(this.#timer);
    // The time for the closing handshake begins when it does: not while much is waiting.
    if (!this.#isAway && this.#to.bufferedAmount > 0) {
      this.#timer = setTimeout(() => {
        this.#to.terminate();
      }, LINGER);
      return;
    }
    this.#isOver = true;
    const { code, reason, error } = end;
    if (code === ABNORMAL) this.#to.abort(error);
    else this.#to.close(code === NO_STATUS ? undefined : code, reason);
  }
}
