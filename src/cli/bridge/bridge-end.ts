/** How a connection ended. */
export interface ConnectionEnd {
  /** RFC 6455 section 7.4: 1005 when there was none, 1006 when the connection was lost. */
  readonly code: number;
  readonly reason: string;
  /** Why, when it failed. */
  readonly error?: Error | undefined;
}

/** Who is told what happens at one end of a bridge. */
export interface EndListener {
  /** One whole message. Text is UTF-8. */
  message(data: Uint8Array, isText: boolean): void;
  ping(data: Uint8Array): void;
  pong(data: Uint8Array): void;
  /** Something that waited has been handed to the network. */
  progress(): void;
  /** Whoever is there cannot be reached because of `error`. The connection stays, and keeps what it is given. */
  suspended(error: Error): void;
  /** After `suspended`: it goes on where it stopped. */
  resumed(): void;
  /** Called once, and nothing after it. */
  closed(end: ConnectionEnd): void;
}

/** One of the two connections that a bridge joins. Every method is safe to call in every state. */
export interface BridgeEnd {
  /** Bytes given to `send` and not handed to the network. */
  readonly bufferedAmount: number;
  /** Whether `pause` slows down whoever is there. */
  readonly isPausable: boolean;
  /** To be called once: what has happened so far, and all that follows, is told to `listener`. */
  start(listener: EndListener): void;
  send(data: Uint8Array, isText: boolean): void;
  /** At most 125 bytes (RFC 6455 section 5.5), as of `pong`. */
  ping(data: Uint8Array): void;
  pong(data: Uint8Array): void;
  /** Starts the closing handshake behind what was sent. `code`: one that may be sent, or undefined for none. */
  close(code: number | undefined, reason: string): void;
  /** The connection at the other end of the bridge was lost, because of `error` if that is known: so is this one. */
  abort(error: Error | undefined): void;
  /** Ends it at once. */
  terminate(): void;
  /** No more messages until `resume`; some may still come. */
  pause(): void;
  resume(): void;
}

/** An end that is open, before it is started: it is paused. */
export interface OpenEnd {
  readonly end: BridgeEnd;
  /** The subprotocol that whoever is there has chosen, or ''. */
  readonly protocol: string;
  /** 64 lowercase hex characters; undefined where there is not one peer. */
  readonly peerPublicKey?: string | undefined;
}
