/** All that the router knows of a transport. No method may throw. */
export interface RouterConnection {
  /** Sends one frame, or queues it. `bytes` belongs to the connection from now on. */
  send(bytes: Uint8Array): void;
  /** Lets go what `send` holds back so as to send it together with more, if it does that. */
  flush?(): void;
  /** Bytes given to `send` that still wait in this process. */
  readonly bufferedBytes: number;
  /** Ends the connection with an RFC 6455 status code. */
  close(code: number, reason: string): void;
}
