import type { SecureWebSocketError } from '../../src/core/errors.js';
import type {
  ChannelEnd,
  ChannelListener,
  ChannelPort,
  IncomingChannel,
} from '../../src/link/channel-port.js';

/** One call that was made on the port, as text: 'text hello', 'binary 010203', 'ping 01', 'close 1000 bye', 'pause'. */
type PortCall = string;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * A channel that a test plays the peer and the network of. As the real one, it calls the listener in turns of its own
 * only, never from inside a call of the owner.
 */
export class ScriptedChannel implements IncomingChannel, ChannelPort {
  readonly publicKey = 'aa'.repeat(32);
  readonly peerPublicKey = 'bb'.repeat(32);
  readonly serverPublicKey = 'cc'.repeat(32);
  readonly handshakeHash = new Uint8Array(64).fill(7);
  readonly target: string;
  readonly protocols: readonly string[];
  readonly origin: string | undefined;

  /** What the socket did, in order. */
  readonly calls: PortCall[] = [];
  /** The very bytes of each ping and each pong: a channel does not copy these. */
  readonly pings: Uint8Array[] = [];
  readonly pongs: Uint8Array[] = [];
  accepted: string | undefined;
  refused: { status: number; reason: string } | undefined;
  bufferedAmount = 0;
  #listener: ChannelListener | undefined;
  #ended = false;
  /** When true, `close` and `terminate` are left to the test to answer. */
  manual = false;

  constructor(options: { target?: string; protocols?: readonly string[]; origin?: string } = {}) {
    this.target = options.target ?? '/';
    this.protocols = options.protocols ?? [];
    this.origin = options.origin;
  }

  /** Through which the test tells what the peer and the network do. */
  get listener(): ChannelListener {
    if (this.#listener === undefined) throw new Error('The channel was not accepted');
    return this.#listener;
  }

  text(text: string): void {
    this.listener.message(new TextEncoder().encode(text), true);
  }

  binary(...bytes: number[]): void {
    this.listener.message(Uint8Array.from(bytes), false);
  }

  /** The network takes so many bytes, by default all there are. */
  flush(bytes = this.bufferedAmount): void {
    this.bufferedAmount -= bytes;
    this.listener.sent?.(bytes);
  }

  end(end: Partial<ChannelEnd> = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    this.listener.closed({ code: 1006, reason: '', wasClean: false, unacknowledged: [], ...end });
  }

  accept(protocol: string, listener: ChannelListener): ChannelPort {
    if (this.accepted !== undefined || this.refused !== undefined) throw new Error('Answered twice');
    this.accepted = protocol;
    this.#listener = listener;
    return this;
  }

  refuse(status: number, reason: string): void {
    if (this.accepted !== undefined || this.refused !== undefined) throw new Error('Answered twice');
    this.refused = { status, reason };
  }

  send(data: Uint8Array, isText: boolean): void {
    this.bufferedAmount += data.length;
    this.calls.push(isText ? `text ${new TextDecoder().decode(data)}` : `binary ${hex(data)}`);
  }

  ping(data: Uint8Array): void {
    this.pings.push(data);
    this.calls.push(`ping ${hex(data)}`);
  }

  pong(data: Uint8Array): void {
    this.pongs.push(data);
    this.calls.push(`pong ${hex(data)}`);
  }

  close(code?: number, reason?: string): void {
    this.calls.push(['close', code, reason].filter(part => part !== undefined && part !== '').join(' '));
    if (this.manual) return;
    queueMicrotask(() => {
      this.end({ code: code ?? 1005, reason: reason ?? '', wasClean: true });
    });
  }

  terminate(error?: SecureWebSocketError): void {
    this.calls.push('terminate');
    if (this.manual) return;
    queueMicrotask(() => {
      this.end(error === undefined ? {} : { error });
    });
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }
}
