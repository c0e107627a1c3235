import { CloseCode } from '../exchange.js';
import type { BridgeEnd, ConnectionEnd, EndListener } from './bridge-end.js';
import { Lane } from './lane.js';
import { PingRelay } from './ping-relay.js';

/** A peer that owes a pong for so long may be out of reach before anybody knows. Milliseconds. */
const PONG_PATIENCE = 5_000;

export interface BridgeOptions {
  /** Bytes that may wait for a far end that is out of reach. */
  readonly maxBuffered: number;
  /** Whether pings of the near end are answered from here while nobody else can, as the far end may come back. */
  readonly answersPings: boolean;
}

/** Who is told what becomes of a bridge. */
export interface BridgeWatcher {
  /** The far end is out of reach, and may come back. */
  suspended(error: Error): void;
  resumed(): void;
  /** Both ends are gone. `end`: that of the one which ended first. */
  ended(end: ConnectionEnd): void;
}

/**
 * Joins two connections, a near one and one that may have to be reached anew: what is said at one end, a close included,
 * is said at the other, and a reader that is slow slows down whoever writes.
 */
export class Bridge {
  readonly #near: BridgeEnd;
  readonly #far: BridgeEnd;
  readonly #outward: Lane;
  readonly #inward: Lane;
  /** Those of the near end, and those of the far one. */
  readonly #nearPings: PingRelay;
  readonly #farPings: PingRelay;
  readonly #watcher: BridgeWatcher;
  #firstEnd: ConnectionEnd | undefined;

  constructor(near: BridgeEnd, far: BridgeEnd, options: BridgeOptions, watcher: BridgeWatcher) {
    this.#near = near;
    this.#far = far;
    this.#watcher = watcher;
    const overflow = (slow: BridgeEnd, other: BridgeEnd) => (): void => {
      slow.close(CloseCode.TRY_AGAIN_LATER, 'too slow: too much waits to be read');
      other.close(CloseCode.NORMAL, '');
      this.#stop();
    };
    this.#outward = new Lane(near, far, options.maxBuffered, overflow(far, near));
    this.#inward = new Lane(far, near, options.maxBuffered, overflow(near, far));
    this.#nearPings = new PingRelay(pingRoute(near, far), options.answersPings ? PONG_PATIENCE : undefined);
    this.#farPings = new PingRelay(pingRoute(far, near), undefined);
  }

  start(): void {
    this.#near.start({
      ...this.#listener(this.#outward, this.#inward, this.#nearPings, this.#farPings),
      // A connection without reconnection.
      suspended: () => undefined,
      resumed: () => undefined,
    });
    this.#far.start({
      ...this.#listener(this.#inward, this.#outward, this.#farPings, this.#nearPings),
      suspended: error => {
        this.#nearPings.suspend();
        this.#outward.suspend();
        this.#watcher.suspended(error);
      },
      resumed: () => {
        this.#nearPings.resume();
        this.#outward.resume();
        this.#watcher.resumed();
      },
    });
  }

  /** Closes both ends with the same words. */
  dismiss(code: number, reason: string): void {
    this.#stop();
    this.#near.close(code, reason);
    this.#far.close(code, reason);
  }

  terminate(): void {
    this.#stop();
    this.#near.terminate();
    this.#far.terminate();
  }

  #listener(
    lane: Lane,
    back: Lane,
    pings: PingRelay,
    backPings: PingRelay,
  ): Omit<EndListener, 'suspended' | 'resumed'> {
    return {
      message: (data, isText) => {
        lane.message(data, isText);
      },
      ping: data => {
        pings.ping(data);
      },
      pong: data => {
        backPings.pong(data);
      },
      progress: () => {
        back.progress();
      },
      closed: end => {
        pings.stop();
        backPings.stop();
        if (this.#firstEnd === undefined) {
          this.#firstEnd = end;
          lane.ended(end);
          back.stop();
        } else {
          lane.stop();
          back.stop();
          this.#watcher.ended(this.#firstEnd);
        }
      },
    };
  }

  #stop(): void {
    this.#nearPings.stop();
    this.#farPings.stop();
    this.#outward.stop();
    this.#inward.stop();
  }
}

function pingRoute(asking: BridgeEnd, asked: BridgeEnd): ConstructorParameters<typeof PingRelay>[0] {
  return {
    ask: data => {
      asked.ping(data);
    },
    answer: data => {
      asking.pong(data);
    },
  };
}
