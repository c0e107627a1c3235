import type { Random } from './random.js';
import type { Timeline } from './timeline.js';

export interface WireOptions {
  /** Milliseconds from one end to the other. */
  readonly latency: number;
  /** Bytes per millisecond. */
  readonly bandwidth: number;
}

/** What a liar does to the frames that it passes on: probabilities. */
export interface Lies {
  drop: number;
  repeat: number;
  hold: number;
  tamper: number;
}

/** One end of a virtual WebSocket. Everything that is told to it is told in events of their own. */
export interface WireEnd {
  receive(frame: Uint8Array): void;
  drained(): void;
  lost(): void;
  /** What notices, after this many milliseconds, that nothing comes any more: a relay's pings, for one. */
  readonly keepalive?: number;
  /** When it can take something: a machine that sleeps takes nothing until it wakes. */
  readonly awakeAt: number;
}

/** A virtual WebSocket: frames in order, with a delay, through a pipe of limited width in either direction. */
export class Wire {
  readonly #timeline: Timeline;
  readonly #options: WireOptions;
  readonly #ends: readonly [WireEnd, WireEnd];
  readonly #busyUntil = [0, 0];
  readonly #arrivesAt = [0, 0];
  readonly #buffered = [0, 0];
  /** Nothing comes through any more, and nobody is told. */
  #stalled = false;
  #closed = false;

  constructor(timeline: Timeline, options: WireOptions, ends: readonly [WireEnd, WireEnd]) {
    this.#timeline = timeline;
    this.#options = options;
    this.#ends = ends;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes that wait at one end. */
  buffered(end: 0 | 1): number {
    return this.#buffered[end] ?? 0;
  }

  send(from: 0 | 1, frame: Uint8Array): void {
    if (this.#closed) return;
    const { latency, bandwidth } = this.#options;
    const timeline = this.#timeline;
    const leaves = Math.max(timeline.now, this.#busyUntil[from] ?? 0) + frame.length / bandwidth;
    this.#busyUntil[from] = leaves;
    this.#buffered[from] = this.buffered(from) + frame.length;
    // A pipe that is cut off takes what is given to it until its buffers are full: here, for ever.
    if (!this.#stalled) {
      timeline.at(leaves, () => {
        this.#buffered[from] = this.buffered(from) - frame.length;
        if (!this.#closed) this.#ends[from].drained();
      });
    }
    this.#arrive(from, leaves + latency, frame);
  }

  /** From now on nothing comes through, and nobody is told. */
  stall(): void {
    if (this.#stalled || this.#closed) return;
    this.#stalled = true;
    for (const end of this.#ends) {
      if (end.keepalive === undefined) continue;
      this.#tell(end, this.#timeline.now + end.keepalive, () => {
        end.lost();
      });
    }
  }

  /** Both ends learn of it, each when it can. */
  cut(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) {
      this.#tell(end, this.#timeline.now + this.#options.latency, () => {
        end.lost();
      });
    }
  }

  /** One end goes away; the other learns of it, unless the wire is stalled. What was sent before still arrives. */
  close(from: 0 | 1): void {
    if (this.#closed) return;
    const other = this.#ends[from === 0 ? 1 : 0];
    if (this.#stalled) {
      this.#closed = true;
      return;
    }
    const at = Math.max(this.#timeline.now + this.#options.latency, this.#arrivesAt[from] ?? 0);
    this.#tell(other, at, () => {
      if (this.#closed) return;
      this.#closed = true;
      other.lost();
    });
  }

  #arrive(from: 0 | 1, at: number, frame: Uint8Array): void {
    const to = this.#ends[from === 0 ? 1 : 0];
    const time = Math.max(at, this.#arrivesAt[from] ?? 0);
    this.#arrivesAt[from] = time;
    this.#tell(to, time, () => {
      if (!this.#closed && !this.#stalled) to.receive(frame);
    });
  }

  #tell(end: WireEnd, at: number, what: () => void): void {
    this.#timeline.at(at, () => {
      if (end.awakeAt > this.#timeline.now) this.#tell(end, end.awakeAt, what);
      else what();
    });
  }
}

/** What becomes of a frame that a liar passes on: the frames that go on, and how much later. */
export function lieAbout(
  frame: Uint8Array,
  lies: Lies,
  random: Random,
): { frame: Uint8Array; later: number }[] {
  if (random.chance(lies.drop)) return [];
  if (random.chance(lies.tamper)) {
    const other = frame.slice();
    const at = random.integer(37, other.length - 1);
    other[at] = (other[at] ?? 0) ^ (1 << random.integer(0, 7));
    return [{ frame: other, later: 0 }];
  }
  if (random.chance(lies.repeat)) {
    return [
      { frame, later: 0 },
      { frame: frame.slice(), later: random.magnitude(1, 20_000) },
    ];
  }
  return [{ frame, later: random.chance(lies.hold) ? random.magnitude(1, 5_000) : 0 }];
}
