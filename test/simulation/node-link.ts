import type { Channel } from '../../src/core/channel.js';
import type { Endpoint, EndpointEvent } from '../../src/core/endpoint.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import type { SimulatedProcess } from './simulated-process.js';
import type { Wire, WireEnd } from './wire.js';

/** As in src/link/link.ts. */
const HIGH_WATER = 1_048_576;

/** An endpoint on a wire: what src/link/link.ts is on a socket. */
export class NodeLink implements WireEnd {
  readonly process: SimulatedProcess;
  readonly endpoint: Endpoint;
  readonly side: 0 | 1;
  /** Writes the address into frames that go out, where there is no router. */
  readonly #stamp: (frame: Uint8Array) => void;
  readonly #closed: (link: NodeLink) => void;
  #wire: Wire | undefined;
  #isLost = false;
  #isPumping = false;
  #timerAt = Infinity;
  /** Where records of the peer are to seem to come from, where there is no router. */
  source: Uint8Array | undefined;

  constructor(
    process: SimulatedProcess,
    endpoint: Endpoint,
    side: 0 | 1,
    stamp: (frame: Uint8Array) => void,
    closed: (link: NodeLink) => void,
  ) {
    this.process = process;
    this.endpoint = endpoint;
    this.side = side;
    this.#stamp = stamp;
    this.#closed = closed;
  }

  get awakeAt(): number {
    return this.process.awakeAt;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  get wire(): Wire | undefined {
    return this.#wire;
  }

  start(wire: Wire): void {
    this.#wire = wire;
    this.pump();
  }

  receive(frame: Uint8Array): void {
    if (this.#isLost || !this.process.isAlive) return;
    if (this.source) frame.set(this.source, 1);
    try {
      this.endpoint.receive(frame, this.process.world.now);
    } catch (error) {
      this.process.world.wrong(`an honest router sent a frame that could not be read: ${String(error)}`);
    }
    this.pump();
  }

  drained(): void {
    if (this.process.isAlive) this.pump();
  }

  lost(): void {
    this.#end('The connection was lost.');
  }

  /** Seals, sends and tells all there is. */
  pump(): void {
    if (this.#isPumping || this.#isLost || !this.#wire) return;
    this.#isPumping = true;
    const wire = this.#wire;
    const { now } = this.process.world;
    do {
      const room = HIGH_WATER - wire.buffered(this.side);
      if (room > 0) this.endpoint.flush(room, now);
      for (const frame of this.endpoint.takeFrames()) {
        this.#stamp(frame);
        wire.send(this.side, frame);
      }
      this.#dispatch();
    } while (!this.#isEnded() && this.endpoint.hasOutput && wire.buffered(this.side) < HIGH_WATER);
    this.#isPumping = false;
    this.#watch();
  }

  /** The process is gone, and says nothing any more. */
  abandon(): void {
    this.#isLost = true;
  }

  /** Nothing needs it any more. */
  close(): void {
    if (this.#isLost) return;
    this.#wire?.close(this.side);
    this.#end('Nobody uses this connection any more.');
  }

  #isEnded(): boolean {
    return this.#isLost;
  }

  #end(why: string): void {
    if (this.#isLost || !this.process.isAlive) return;
    this.#isLost = true;
    this.endpoint.fail(new SecureWebSocketError('LINK_LOST', why), this.process.world.now);
    this.#dispatch();
    this.#closed(this);
  }

  #dispatch(): void {
    for (let events = this.endpoint.takeEvents(); events.length > 0; events = this.endpoint.takeEvents()) {
      for (const event of events) this.#tell(event);
    }
  }

  #tell(event: EndpointEvent): void {
    // Its router says nothing of links, and has no spaces.
    if (event.type === 'refused' || event.type === 'control' || event.type === 'space') return;
    if (event.type === 'dead') {
      this.process.world.trace(`${this.process.name} finds a link dead`);
      this.#wire?.close(this.side);
      this.#end('dead');
      return;
    }
    if (event.type === 'incoming') this.process.incoming(this, event.channel, event.open);
    else this.process.happened(this, event);
  }

  /** What the owner of a channel does after it has given it something. */
  changed(channel: Channel): void {
    this.endpoint.wake(channel);
    const { timeline } = this.process.world;
    timeline.at(timeline.now, () => {
      if (this.#isLost) this.#dispatch();
      else this.pump();
    });
  }

  #watch(): void {
    const { wakeAt } = this.endpoint;
    if (this.#isLost || wakeAt >= this.#timerAt) return;
    this.#timerAt = wakeAt;
    this.#sleepUntil(wakeAt);
  }

  #sleepUntil(at: number): void {
    const { timeline } = this.process.world;
    timeline.at(at, () => {
      if (this.#isLost || !this.process.isAlive || this.#timerAt !== at) return;
      if (this.awakeAt > timeline.now) {
        this.#timerAt = this.awakeAt;
        this.#sleepUntil(this.awakeAt);
        return;
      }
      this.#timerAt = Infinity;
      this.endpoint.timeout(timeline.now);
      this.pump();
      this.#watch();
    });
  }
}
