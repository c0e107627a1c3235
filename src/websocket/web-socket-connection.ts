import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LEAST_POOLED } from '../core/buffer-pool.js';
import { concat } from '../core/bytes.js';
import { encodeClose, isCloseCode } from '../core/close-status.js';
import { describeError } from '../core/describe-error.js';
import { MAX_CONTROL_PAYLOAD, Opcode } from './frame.js';
import { FrameError, type FrameListener, FrameReader, type FrameReaderOptions } from './frame-reader.js';
import { encodeFrame, encodeFrameOf, encodeFrameStart, frameInPlace } from './frame-writer.js';
import type { RawSocketListener, SettledSocket } from './raw-socket.js';

/** Whoever does not answer the closing handshake is cut off after so many milliseconds. */
const CLOSE_TIMEOUT = 30_000;
/** With so many bytes still to go a ping is answered when some have gone, and of several only the last (section 5.5.3). */
const PONG_HIGH_WATER = 16_384;
/** What is shared and not longer is copied all the same, bytes: that costs less than another write that waits. */
const LEAST_SHARED = 512;
/** Whoever sends so many pings meanwhile reads none of the answers. */
const MAX_WAITING_PINGS = 100;
const EMPTY = new Uint8Array(0);

/** What connections of one kind share. */
export type ConnectionKind = FrameReaderOptions;

/** Where a network finds the connection that it carries: a server has very many, and closures for each take memory. */
const CONNECTION = Symbol('WebSocketConnection');

interface Network extends Duplex {
  [CONNECTION]?: WebSocketConnection;
}

/**
 * One end of a WebSocket (RFC 6455), from the answer to its upgrade on: over a TCP or TLS socket, without extensions. It
 * copies as little as it can, and keeps as little as it can for a connection that is idle.
 */
export class WebSocketConnection implements SettledSocket, FrameListener {
  readonly tellsDrained = true;
  listener: RawSocketListener;
  readonly #kind: ConnectionKind;
  readonly #reader: FrameReader;
  #network: Network | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closeCode = 1006;
  #closeReason = '';
  #detail: string | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #drainedIsDue = false;
  /** The ping to answer when there is room, and how many came meanwhile. */
  #ping: Uint8Array | undefined;
  #pings = 0;

  constructor(kind: ConnectionKind, listener: RawSocketListener) {
    this.#kind = kind;
    this.listener = listener;
    this.#reader = new FrameReader(kind, this);
  }

  /** Largest message that is taken, bytes. */
  set maxPayload(bytes: number) {
    this.#reader.maxPayload = bytes;
  }

  /**
   * Begins to read and write. `network` has been upgraded, and belongs to the connection from now on. `head`: what was
   * read from it behind the upgrade; it is read again, in a later task.
   */
  attach(network: Duplex, head?: Buffer): void {
    const own = network as Network;
    this.#network = own;
    own[CONNECTION] = this;
    own.on('error', networkError);
    own.on('close', networkClosed);
    own.on('end', networkEnded);
    if (isSocket(network)) {
      network.setTimeout(0);
      network.setNoDelay();
    }
    if (head !== undefined && head.length > 0) own.unshift(head);
    // With borrowed chunks, whoever has the chunks calls `receive`.
    if (this.#kind.borrowed) own.resume();
    else own.on('data', networkData);
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** The next chunk of what the other end sends. */
  receive(chunk: Uint8Array): void {
    this.listener.arrived?.(chunk.length);
    try {
      this.#reader.read(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#detail ??= error.message;
      this.listener.violated?.(error.code);
      this.#sendClose(error.code, '');
      this.#endNetwork();
    }
  }

  get bufferedAmount(): number {
    return this.#state === 'closed' ? 0 : (this.#network?.writableLength ?? 0);
  }

  send(data: string | Uint8Array): void {
    if (this.#state !== 'open') return;
    const frame =
      typeof data === 'string'
        ? encodeFrame(Opcode.TEXT, Buffer.from(data), !this.#kind.masked)
        : encodeFrame(Opcode.BINARY, data, !this.#kind.masked);
    this.#network?.write(frame, this.#sent);
  }

  /**
   * Sends a binary message that has room for a header before it: `FRAME_HEADROOM` bytes, or as much as the header had with
   * which it came. It is overwritten, and its memory is used again.
   */
  sendInPlace(data: Uint8Array): void {
    if (this.#state !== 'open') return;
    const frame = frameInPlace(data, !this.#kind.masked);
    if (frame.buffer.byteLength < LEAST_POOLED) {
      this.#network?.write(frame, this.#sent);
      return;
    }
    this.#network?.write(frame, error => {
      // The kernel has it.
      if (!error) this.#kind.memory.give(frame.buffer);
      this.#sent(error);
    });
  }

  /**
   * Sends one binary message of two parts. `head` is copied; `tail` is only read, also later: many connections may send the
   * same one, and there is one of it however many do. A server's: what a client sends has to be masked, and is copied.
   */
  sendShared(head: Uint8Array, tail: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (!this.#kind.masked) {
      this.send(concat(head, tail));
      return;
    }
    if (tail.length < LEAST_SHARED) {
      this.#network?.write(encodeFrameOf(head, tail), this.#sent);
      return;
    }
    this.#network?.cork();
    this.#network?.write(encodeFrameStart(head, tail.length));
    this.#network?.write(tail, this.#sent);
    this.#network?.uncork();
  }

  /** Holds back what is sent until `uncork`, so that it leaves in one write. */
  cork(): void {
    this.#network?.cork();
  }

  uncork(): void {
    this.#network?.uncork();
  }

  ping(): void {
    if (this.#state === 'open') this.#control(Opcode.PING, EMPTY);
  }

  /** Begins the closing handshake. A code that must not be sent and a reason of more than 123 bytes are left out. */
  close(code?: number, reason?: string): void {
    this.#sendClose(code, reason);
    // What the other end has to say is read from now on, if only to find its answer.
    this.#network?.resume();
  }

  terminate(): void {
    this.#reader.end();
    this.#network?.destroy();
  }

  pause(): void {
    this.#network?.pause();
  }

  resume(): void {
    this.#network?.resume();
  }

  onMessage(data: Uint8Array, isText: boolean): void {
    if (isText) this.listener.text(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
    else this.listener.binary(data);
  }

  onPing(data: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (this.bufferedAmount <= PONG_HIGH_WATER) {
      this.#control(Opcode.PONG, data);
      return;
    }
    this.#ping = data.slice();
    if (++this.#pings <= MAX_WAITING_PINGS) return;
    this.#detail ??= 'pings came, and no answer was read';
    // Nor would a close frame be.
    this.terminate();
  }

  onPong(): void {
    // `arrived` has told that the other end is alive.
  }

  onClose(code: number, reason: string): void {
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#sendClose(code, reason);
    this.#endNetwork();
  }

  /** @internal */
  failed(error: Error): void {
    this.#detail ??= describeError(error);
  }

  /** The other end sends nothing more. @internal */
  ended(): void {
    if (this.#state === 'open') this.#state = 'closing';
    this.#endNetwork();
  }

  /** The network is gone. @internal */
  closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#reader.end();
    clearTimeout(this.#closeTimer);
    this.listener.closed(this.#closeCode, this.#closeReason, this.#detail);
  }

  /** Many messages can leave in one write: the owner hears of it once. */
  readonly #sent = (error?: Error | null): void => {
    if (error || this.#drainedIsDue) return;
    this.#drainedIsDue = true;
    queueMicrotask(this.#tellDrained);
  };

  readonly #tellDrained = (): void => {
    this.#drainedIsDue = false;
    if (this.#network?.destroyed !== false) return;
    const ping = this.#ping;
    if (ping !== undefined) {
      // However much waits now: whoever always has much to send is alive, too.
      this.#ping = undefined;
      this.#pings = 0;
      if (this.#state === 'open') this.#control(Opcode.PONG, ping);
    }
    this.listener.drained?.();
  };

  #control(opcode: number, payload: Uint8Array): void {
    this.#network?.write(encodeFrame(opcode, payload, !this.#kind.masked), this.#sent);
  }

  #sendClose(code: number | undefined, reason: string | undefined): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const status = code !== undefined && isCloseCode(code) ? code : undefined;
    const payload = encodeClose(status, reason);
    this.#control(Opcode.CLOSE, payload.length > MAX_CONTROL_PAYLOAD ? encodeClose(status) : payload);
    this.#startCloseTimer();
  }

  /** All is said: closes our half of the network. */
  #endNetwork(): void {
    this.#network?.end();
    // Nothing that is still to come matters, but its end does.
    this.#network?.resume();
    this.#startCloseTimer();
  }

  #startCloseTimer(): void {
    this.#closeTimer ??= setTimeout(() => {
      this.#network?.destroy();
    }, CLOSE_TIMEOUT);
  }
}

function isSocket(network: Duplex): network is Socket {
  return 'setNoDelay' in network;
}

function networkData(this: Network, chunk: Uint8Array): void {
  this[CONNECTION]?.receive(chunk);
}

function networkError(this: Network, error: Error): void {
  this[CONNECTION]?.failed(error);
}

function networkEnded(this: Network): void {
  this[CONNECTION]?.ended();
}

function networkClosed(this: Network): void {
  this[CONNECTION]?.closed();
}
