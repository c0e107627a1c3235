import type { Channel } from '../core/channel.js';
import { MAX_RESUMABLE, MAX_RESUMABLE_BYTES, RESUME_WINDOW } from '../core/constants.js';
import { ResumableChannels } from '../core/resumable-channels.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from './clock.js';

/** How long, and how much of, channels are kept whose clients are away. */
export interface ResumptionOptions {
  /**
   * Milliseconds that a channel waits for its client to come back when the client's connection is lost; the socket stays
   * OPEN meanwhile. 0: channels end with the connection. At most 2 147 483 647. Default: 120 000.
   */
  resumeWindow?: number | undefined;
  /** Channels that are kept at a time while their clients are away. Default: 10 000. */
  maxResumable?: number | undefined;
  /** Bytes of messages that are kept for clients that are away, all channels together. Default: 64 MiB. */
  maxResumableBytes?: number | undefined;
}

/** The longest that a timer can run, milliseconds: a longer one would be over at once. */
const MAX_TIMER = 2_147_483_647;

/**
 * The channels of one service that outlive their connections. `SecureWebSocketServer` makes one of its own; a service that
 * calls `ServerSecureWebSocket.accept` makes one, and gives it to every call.
 */
export class Resumption {
  /** @internal */
  readonly channels: ResumableChannels;
  #timer: Timer | undefined;
  #timerAt = Infinity;

  /** @throws TypeError for an option that is not a number, is negative, or is too large */
  constructor(options: ResumptionOptions = {}) {
    const {
      resumeWindow = RESUME_WINDOW,
      maxResumable = MAX_RESUMABLE,
      maxResumableBytes = MAX_RESUMABLE_BYTES,
    } = options;
    check('resumeWindow', resumeWindow, MAX_TIMER);
    check('maxResumable', maxResumable, Number.MAX_VALUE);
    check('maxResumableBytes', maxResumableBytes, Number.MAX_VALUE);
    this.channels = new ResumableChannels({
      // Told to clients as an integer.
      window: Math.ceil(resumeWindow),
      maxChannels: maxResumable,
      maxBytes: maxResumableBytes,
    });
  }

  /**
   * To be called after channels were suspended or have ended.
   *
   * @internal
   */
  watch(): void {
    const { wakeAt } = this.channels;
    if (wakeAt >= this.#timerAt) return;
    stopTimer(this.#timer);
    this.#timerAt = wakeAt;
    this.#timer = startTimer(wakeAt - monotonicNow(), () => {
      this.#timerAt = Infinity;
      this.channels.timeout(monotonicNow());
      this.watch();
    });
  }

  /**
   * A channel whose peer is out of reach was given more to send.
   *
   * @internal
   */
  grew(channel: Channel): void {
    this.channels.grew(channel);
  }

  /** Gives up every channel whose client is away, or goes away from now on: the service ends. */
  close(): void {
    stopTimer(this.#timer);
    this.channels.close();
  }
}

function check(name: string, value: unknown, most: number): void {
  if (typeof value === 'number' && value >= 0 && value <= most) return;
  const limit = most === MAX_TIMER ? `from 0 to ${most}` : 'that is finite and not negative';
  throw new TypeError(`The option "${name}" must be a number ${limit}`);
}
