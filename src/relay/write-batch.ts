/** Something that holds writes back until a batch ends. */
export interface HeldWrites {
  endOfTurn(): void;
}

/**
 * Connections that hold writes back, so that what goes to one of them together goes in one write: each write is a call
 * of the operating system, and often a packet.
 *
 * While one connection at a time has something to say, what came of it leaves as soon as it has been read: nobody waits
 * for nothing. As soon as more than one was read in a turn of the event loop, the next turns are batched as a whole: they
 * end when all that they have brought in has been read.
 */
export class WriteBatch {
  #held: HeldWrites[] = [];
  /** How often something was read since the last turn that was watched. */
  #reads = 0;
  #isBusy = false;
  #isWatching = false;

  /** A connection has read something. */
  read(): void {
    this.#reads++;
  }

  /** `endOfTurn` of the connection will be called once. */
  add(connection: HeldWrites): void {
    if (this.#held.length === 0 && !this.#isBusy) process.nextTick(this.#flush);
    this.#held.push(connection);
    if (this.#isWatching) return;
    this.#isWatching = true;
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#isWatching = false;
    this.#isBusy = this.#reads > 1;
    this.#reads = 0;
    this.#flush();
  };

  readonly #flush = (): void => {
    const held = this.#held;
    this.#held = [];
    for (const connection of held) connection.endOfTurn();
  };
}
