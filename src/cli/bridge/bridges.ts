import { CloseCode } from '../exchange.js';
import { Bridge, type BridgeOptions } from './bridge.js';
import type { BridgeEnd } from './bridge-end.js';
import type { BridgeReport } from './bridge-report.js';
import { Refusal } from './refusal.js';

/** How long those who are told that we leave may take to answer. Milliseconds. */
const FAREWELL = 2_000;

export interface BridgesOptions extends BridgeOptions {
  /** Connections at a time, with those that are being made. */
  readonly maxConnections: number;
  /** Connections that are being made at a time. */
  readonly maxPending: number;
}

/** All bridges of one command. */
export class Bridges {
  readonly #options: BridgesOptions;
  readonly #report: BridgeReport;
  readonly #bridges = new Set<Bridge>();
  readonly #attempts = new Set<AbortController>();
  #count = 0;
  #isClosed = false;
  #changed: (() => void) | undefined;

  constructor(options: BridgesOptions, report: BridgeReport) {
    this.#options = options;
    this.#report = report;
  }

  /**
   * Makes a connection: `open` is given what aborts it, and has to be done when it resolves or rejects.
   * @throws Refusal (as a rejection) when there is no room, and whatever `open` throws
   */
  async attempt<Result>(open: (attempt: AbortController) => Promise<Result>): Promise<Result> {
    const { maxConnections, maxPending } = this.#options;
    if (this.#isClosed) throw new Refusal(503, 'Going down.');
    if (this.#bridges.size + this.#attempts.size >= maxConnections)
      throw new Refusal(
        503,
        `There are ${maxConnections} connections, and may be no more: see --max-connections.`,
      );
    if (this.#attempts.size >= maxPending)
      throw new Refusal(
        503,
        `${maxPending} connections are being made, and may be no more: see --max-pending.`,
      );
    const attempt = new AbortController();
    this.#attempts.add(attempt);
    try {
      return await open(attempt);
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  /** Joins two connections that are open. `near` is the one that does not come back when it is lost. */
  join(near: BridgeEnd, far: BridgeEnd, peerPublicKey: string | undefined): void {
    const number = ++this.#count;
    const bridge = new Bridge(near, far, this.#options, {
      suspended: error => {
        this.#report.suspended(number, error);
      },
      resumed: () => {
        this.#report.resumed(number);
      },
      ended: end => {
        this.#bridges.delete(bridge);
        this.#report.disconnected(number, end);
        this.#changed?.();
      },
    });
    this.#bridges.add(bridge);
    this.#report.connected(number, peerPublicKey);
    bridge.start();
    if (this.#isClosed) bridge.dismiss(CloseCode.GOING_AWAY, GOING_DOWN);
  }

  /** Closes all with 1001. Resolves when all are gone, or were given time enough. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#report.closing(this.#bridges.size);
    for (const attempt of this.#attempts) attempt.abort(new Refusal(503, 'Going down.'));
    for (const bridge of this.#bridges) bridge.dismiss(CloseCode.GOING_AWAY, GOING_DOWN);
    const timer = setTimeout(() => {
      for (const bridge of this.#bridges) bridge.terminate();
    }, FAREWELL);
    while (this.#bridges.size > 0) {
      await new Promise<void>(resolve => {
        this.#changed = resolve;
      });
    }
    clearTimeout(timer);
  }
}

const GOING_DOWN = 'going down';
