/** Something that holds writes back until the end of a turn of the event loop. */
export interface HeldWrites {
  endOfTurn(): void;
}

/**
 * Connections that hold writes back, so that what goes to one of them in the same turn of the event loop goes in one
 * write: each write is a call of the operating system, and often a packet. The turn ends when all that it has brought in
 * has been read.
 */
export class WriteBatch {
  #held: HeldWrites[] = [];

  /** `endOfTurn` of the connection will be called once. */
  add(connection: HeldWrites): void {
    if (this.#held.length === 0) setImmediate(this.#flush);
    this.#held.push(connection);
  }

  readonly #flush = (): void => {
    const held = this.#held;
    this.#held = [];
    for (const connection of held) connection.endOfTurn();
  };
}
