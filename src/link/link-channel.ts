import type { Channel, ChannelEvent } from '../core/channel.js';
import type { Endpoint } from '../core/endpoint.js';
import { SecureWebSocketError } from '../core/errors.js';
import type { ChannelInformation, ChannelListener, ChannelPort } from './channel-port.js';
import { monotonicNow } from './clock.js';
import type { Resumption } from './resumption.js';

/** What a channel needs of the link that carries it. */
export interface CarryingLink {
  readonly endpoint: Endpoint;
  /** Rises whenever it has sent what there was to send. */
  readonly turn: number;
  /** Sends and tells, at the end of this turn, what has come up. */
  schedule(): void;
  keysOf(channel: Channel): Omit<ChannelInformation, 'protocol'>;
}

/**
 * The owner's handle of a channel, whatever link carries it. While none does, the channel itself takes what it is given,
 * and what happens on it is told from here.
 */
export class LinkChannel implements ChannelPort {
  readonly channel: Channel;
  /** It stands in no space. */
  readonly space = undefined;
  readonly #listener: ChannelListener;
  readonly #resumption: Resumption | undefined;
  #link: CarryingLink | undefined;
  #events: ChannelEvent[] = [];
  #closed = false;
  /** The turn of the link in which it was last told of a message. */
  #wokenIn = -1;

  /** `resumption`: who keeps it while its peer is out of reach, for a channel that the peer has opened. */
  constructor(channel: Channel, listener: ChannelListener, link: CarryingLink, resumption?: Resumption) {
    this.channel = channel;
    this.#listener = listener;
    this.#link = link;
    this.#resumption = resumption;
    channel.owner = this;
  }

  /** The handle of a channel, once its owner has one. */
  static of(channel: Channel): LinkChannel | undefined {
    return channel.owner instanceof LinkChannel ? channel.owner : undefined;
  }

  get bufferedAmount(): number {
    return this.channel.bufferedAmount;
  }

  get isResumable(): boolean {
    return this.channel.isResumable;
  }

  send(data: Uint8Array, isText: boolean): void {
    this.channel.send(data, isText);
    if (!this.#link) this.#resumption?.grew(this.channel);
    // Once is enough for all messages of a turn.
    else if (this.#wokenIn !== this.#link.turn) {
      this.#wokenIn = this.#link.turn;
      this.#changed();
    }
  }

  ping(data: Uint8Array): void {
    this.channel.ping(data);
    this.#changed();
  }

  pong(data: Uint8Array): void {
    this.channel.pong(data);
    this.#changed();
  }

  close(code?: number, reason?: string): void {
    if (this.#link) this.#link.endpoint.close(this.channel, monotonicNow(), code, reason);
    else this.channel.close(code, reason);
    this.#changed();
  }

  terminate(error?: SecureWebSocketError): void {
    const why = error ?? new SecureWebSocketError('ABORTED', 'The socket was terminated by this end.');
    this.#end(why, true);
  }

  /** Ends the channel as `terminate` does, but what has arrived is still handed over. */
  fail(error: SecureWebSocketError): void {
    this.#end(error, false);
  }

  pause(): void {
    this.channel.pause();
  }

  resume(): void {
    this.channel.resume();
    this.#changed();
  }

  /** Another link carries it from now on. */
  attach(link: CarryingLink): void {
    const before = this.#link;
    this.#link = link;
    this.#wokenIn = -1;
    // It may carry nothing any more.
    if (before !== link) before?.schedule();
  }

  /** Tells the owner. */
  handle(event: ChannelEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'opened':
        this.#listener.opened?.(this.#information());
        return;
      case 'message':
        this.#listener.message(event.data, event.isText);
        return;
      case 'ping':
        this.#listener.ping?.(event.data);
        return;
      case 'pong':
        this.#listener.pong?.(event.data);
        return;
      case 'closing':
        this.#listener.closing?.();
        return;
      case 'sent':
        this.#listener.sent?.(event.bytes);
        return;
      case 'suspended':
        this.#detach();
        this.#listener.suspended?.({ error: event.error });
        return;
      case 'resumed':
        this.#listener.resumed?.({ ...this.#information(), resumed: true, unacknowledged: [] });
        return;
      case 'closed': {
        this.#closed = true;
        this.#link = undefined;
        this.#resumption?.watch();
        const { code, reason, wasClean, error, unacknowledged } = event;
        this.#listener.closed({ code, reason, wasClean, unacknowledged, ...(error && { error }) });
        return;
      }
      default:
    }
  }

  #information(): ChannelInformation {
    const { channel } = this;
    const keys = this.#link?.keysOf(channel) ?? NO_KEYS;
    return { ...keys, protocol: channel.protocol };
  }

  #end(error: SecureWebSocketError, discard: boolean): void {
    const { channel } = this;
    if (this.#link) {
      this.#link.endpoint.terminate(channel, error, monotonicNow(), discard);
    } else {
      channel.fail(error, discard);
      this.#resumption?.channels.ended(channel, channel.endedWell, monotonicNow());
    }
    this.#changed();
  }

  #detach(): void {
    this.#link = undefined;
    this.channel.emit = event => {
      this.#events.push(event);
      if (this.#events.length === 1) queueMicrotask(this.#tell);
    };
    this.#resumption?.watch();
  }

  /** What happened while no link carried it. The owner is never called from inside a call that it makes. */
  readonly #tell = (): void => {
    const events = this.#events;
    this.#events = [];
    for (const event of events) {
      try {
        this.handle(event);
      } catch (error) {
        // As in Link: the others are told all the same.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  };

  #changed(): void {
    this.#link?.endpoint.wake(this.channel);
    this.#link?.schedule();
  }
}

const NO_KEYS = { publicKey: '', peerPublicKey: '', serverPublicKey: '', handshakeHash: new Uint8Array(0) };
