import type { ChannelPort } from '../link/channel-port.js';

/** Who may want no more messages: the application, its stream, or the queue of events. */
export type FlowHolder = 'application' | 'stream' | 'events';

/** The one owner of `pause` and `resume` of a port: it is paused for as long as anybody holds it. */
export class FlowGate {
  readonly #port: Pick<ChannelPort, 'pause' | 'resume'>;
  readonly #holders = new Set<FlowHolder>();

  constructor(port: Pick<ChannelPort, 'pause' | 'resume'>) {
    this.#port = port;
  }

  /** Whether the port is paused. */
  get isHeld(): boolean {
    return this.#holders.size > 0;
  }

  /** Whether it is paused because of `holder`, among others. */
  isHeldBy(holder: FlowHolder): boolean {
    return this.#holders.has(holder);
  }

  hold(holder: FlowHolder): void {
    const wasHeld = this.isHeld;
    this.#holders.add(holder);
    if (!wasHeld) this.#port.pause();
  }

  release(holder: FlowHolder): void {
    if (this.#holders.delete(holder) && !this.isHeld) this.#port.resume();
  }
}
