/** All that the router knows of a transport. No method may throw. */
export interface RouterConnection {
  /**
   * Sends one frame, or queues it. `bytes` belongs to the connection from now on; with `hasHeadroom`, what was read just
   * before it belongs to it as well (see `RouterPort.receive`).
   */
  send(bytes: Uint8Array, hasHeadroom?: boolean): void;
  /**
   * Sends one frame that is made of both, or queues it. `tail` is shared with other connections: it is only read, also later,
   * and not copied unless it is small. `head` may be used again at once.
   */
  sendShared(head: Uint8Array, tail: Uint8Array): void;
  /** Lets go what `send` holds back so as to send it together with more, if it does that. */
  flush?(): void;
  /** Bytes given to `send` that still wait in this process. */
  readonly bufferedBytes: number;
  /** Ends the connection with an RFC 6455 status code. */
  close(code: number, reason: string): void;
}
