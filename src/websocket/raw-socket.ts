/** What one real WebSocket tells its owner. */
export interface RawSocketListener {
  open?(): void;
  /** So many bytes have come from the network: called before what is in them. Only where the runtime can tell. */
  arrived?(bytes: number): void;
  text(data: string): void;
  /** `data` belongs to the receiver, which may write into it. */
  binary(data: Uint8Array): void;
  /** The other end broke RFC 6455 or a bound, and is told so with this status code. Only where the runtime can tell. */
  violated?(code: number): void;
  /** Something that was waiting in the socket has left it. Only where the runtime can tell. */
  drained?(): void;
  /** Called exactly once, also when the socket never opened. `detail` says why, where the runtime tells. */
  closed(code: number, reason: string, detail?: string): void;
}

/** One real WebSocket, of a browser, of `ws` or our own, behind one face. */
export interface RawSocket {
  /** Sends a text or a binary message. Bytes belong to the socket from then on, which may overwrite them. */
  send(data: string | Uint8Array): void;
  /** Memory for one binary message of so many bytes, where the socket has some that saves it work in `send`. */
  allocate?(length: number): Uint8Array;
  /** What is sent until `uncork` may leave in one write. Only where the runtime can. */
  cork?(): void;
  uncork?(): void;
  /** Bytes given to `send` and not yet in the kernel's hands. */
  readonly bufferedAmount: number;
  /** True where `drained` is called; elsewhere `bufferedAmount` has to be looked at from time to time. */
  readonly tellsDrained: boolean;
  close(code?: number, reason?: string): void;
  /** Gone now: without a closing handshake where the runtime can, and `closed` is called in a later task. */
  terminate(): void;
  /** Stops and starts reading from the network, where the runtime can. */
  pause(): void;
  resume(): void;
}

/** A RawSocket whose events can be given to somebody else. */
export interface SettledSocket extends RawSocket {
  /** Who is told what happens from now on. */
  listener: RawSocketListener;
}

/** The part of a WHATWG WebSocket class that a link needs. */
export interface WebSocketConstructor {
  new (url: string, protocols?: string | string[]): WebSocketLike;
}

/**
 * The part of a WHATWG WebSocket (or of a `ws` WebSocket) that a link needs. Loose where the classes of different
 * runtimes disagree about types: any of them is to fit.
 */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
  send(data: any): void;
  close(code?: number, reason?: string): void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
  addEventListener(type: any, listener: any): void;
}
