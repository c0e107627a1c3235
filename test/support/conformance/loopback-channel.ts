import { SecureWebSocketError } from '../../../src/core/errors.js';
import type { ChannelEnd, ChannelListener, ChannelPort } from '../../../src/link/channel-port.js';
import type { ConformanceServer, ServerSocket } from './conformance-server.js';

type Side = 'client' | 'server';
type Message = readonly [data: Uint8Array, isText: boolean];

const bytes = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : Uint8Array.from(data);

/**
 * A channel to a `ConformanceServer` in the same process, without links and sessions: shows what the face of a channel
 * makes of it. As unkind as a channel may be: all that has gathered is told in one turn, without a pause between.
 */
export class LoopbackChannel implements ChannelPort {
  readonly #listener: ChannelListener;
  readonly #serverListeners = new Map<string, (...given: never[]) => void>();
  readonly #queues: Record<Side, Message[]> = { client: [], server: [] };
  /** What each side closed with. */
  readonly #closes: Partial<Record<Side, { readonly code: number; readonly reason: string }>> = {};
  #state: 'connecting' | 'open' | 'ended' = 'connecting';
  #failure: SecureWebSocketError | undefined;
  #isPaused = false;
  #isScheduled = false;

  constructor(server: ConformanceServer, url: URL, protocols: readonly string[], listener: ChannelListener) {
    this.#listener = listener;
    setImmediate(() => {
      this.#connect(server, url.pathname + url.search, protocols);
    });
  }

  get bufferedAmount(): number {
    return this.#queues.client.reduce((sum, [data]) => sum + data.length, 0);
  }

  send(data: Uint8Array, isText: boolean): void {
    // The data is the caller's again when this returns.
    this.#send('client', [data.slice(), isText]);
  }

  ping(): void {
    throw new Error('Clients do not ping.');
  }

  pong(): void {
    throw new Error('Clients do not pong.');
  }

  close(code = 1005, reason = ''): void {
    this.#close('client', code, reason);
  }

  terminate(error?: SecureWebSocketError): void {
    this.#fail(error ?? new SecureWebSocketError('ABORTED', 'The channel was ended.'));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  #connect(server: ConformanceServer, target: string, protocols: readonly string[]): void {
    if (this.#failure !== undefined) return;
    const key = '0'.repeat(64);
    this.#listener.registered?.({ publicKey: key, serverPublicKey: key });
    if (!server.accepts(target)) {
      this.#fail(new SecureWebSocketError('CHANNEL_REFUSED', 'The peer refused the channel: 401.'));
      return;
    }
    this.#state = 'open';
    const chosen = protocols.length > 0 ? server.handleProtocols(new Set(protocols), target) : false;
    server.serve(this.#serverSocket(), target);
    this.#listener.opened?.({
      publicKey: key,
      peerPublicKey: key,
      serverPublicKey: key,
      handshakeHash: new Uint8Array(64),
      protocol: chosen === false ? '' : chosen,
    });
    this.#pump();
  }

  #serverSocket(): ServerSocket {
    return {
      on: (event: string, listener: (...given: never[]) => void) =>
        this.#serverListeners.set(event, listener),
      send: (data, options) => {
        this.#send('server', [bytes(data), typeof data === 'string' || options?.binary === false]);
      },
      close: (code, reason) => {
        this.#close('server', code ?? 1005, reason ?? '');
      },
      terminate: () => {
        this.#fail(new SecureWebSocketError('CHANNEL_RESET', 'The peer has forgotten the channel.'));
      },
    };
  }

  #send(side: Side, message: Message): void {
    if (this.#state !== 'open' || this.#closes[side] !== undefined) return;
    this.#queues[side].push(message);
    this.#schedule();
  }

  #close(side: Side, code: number, reason: string): void {
    if (this.#state === 'connecting') this.terminate();
    if (this.#state !== 'open') return;
    this.#closes[side] ??= { code, reason };
    this.#schedule();
  }

  #fail(error: SecureWebSocketError): void {
    if (this.#state === 'ended') return;
    this.#failure ??= error;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#state === 'ended') return;
    if (this.#failure !== undefined) {
      this.#end({ code: 1006, reason: '', wasClean: false, error: this.#failure, unacknowledged: [] });
      return;
    }
    for (const [data, isText] of this.#queues.client.splice(0)) {
      this.#listener.sent?.(data.length);
      this.#serverListeners.get('message')?.(...([data, !isText] as never[]));
    }
    while (!this.#isPaused) {
      const message = this.#queues.server.shift();
      if (message === undefined) break;
      this.#listener.message(...message);
    }
    const closed = this.#closes.server ?? this.#closes.client;
    if (closed === undefined || this.#queues.server.length > 0) return;
    this.#listener.closing?.();
    this.#end({ ...closed, wasClean: true, unacknowledged: [] });
  }

  #end(end: ChannelEnd): void {
    this.#state = 'ended';
    this.#serverListeners.get('close')?.(...([end.code, bytes(end.reason)] as never[]));
    this.#listener.closed(end);
  }
}
