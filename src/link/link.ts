import type { Channel } from '../core/channel.js';
import type { Endpoint, EndpointEvent } from '../core/endpoint.js';
import { SecureWebSocketError } from '../core/errors.js';
import { toHex } from '../core/bytes.js';
import type { OpenParameters } from '../core/open-parameters.js';
import type { ChannelListener, ChannelPort, IncomingChannel } from './channel-port.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from './clock.js';
import type { RawSocket } from './raw-socket.js';

/** Above so many bytes in the socket nothing more is sealed: it waits in the channels, where it can be counted. */
const HIGH_WATER = 1_048_576;
/**
 * What a peer makes us answer is not held back by HIGH_WATER. With so many bytes and a frame in the socket the other end
 * does not read what it asks for, and we read no more of it. Two honest ends do not come that far, so that they cannot
 * wait for each other.
 */
const NOT_READING = 4 * HIGH_WATER;
/** Where the runtime does not tell when a socket has drained, it is looked at so often, milliseconds. */
const POLL_INTERVAL = 4;

export interface LinkOptions {
  readonly endpoint: Endpoint;
  readonly socket: RawSocket;
  /** Largest frame that goes out, bytes. */
  readonly maxFrame: number;
  /** Our own key and that of the server which the link is registered with, hex. */
  readonly publicKey: string;
  readonly serverPublicKey: string;
  /** What the peer wants to open; without it nothing is accepted. */
  readonly onIncoming?: ((incoming: IncomingChannel) => void) | undefined;
  /** The last channel has ended. */
  readonly onIdle?: (() => void) | undefined;
  /** The socket is gone, or was given up. Every channel has ended before. */
  readonly onClosed?: ((error: SecureWebSocketError) => void) | undefined;
  /** Called for whatever was refused without harm to a channel. For diagnosis. */
  readonly onRefused?: ((error: SecureWebSocketError) => void) | undefined;
  /** Writes the address into frames that go out, where there is no router to do it. */
  readonly stamp?: ((frame: Uint8Array) => void) | undefined;
}

/**
 * One registered link: moves frames between its socket and its endpoint, keeps the endpoint's time, and hands what
 * happens on channels to their owners.
 */
export class Link {
  readonly publicKey: string;
  readonly serverPublicKey: string;
  readonly #options: LinkOptions;
  readonly #endpoint: Endpoint;
  readonly #socket: RawSocket;
  readonly #listeners = new Map<Channel, ChannelListener>();
  #listening = 0;
  #closed = false;
  #scheduled = false;
  #dispatching = false;
  #busy = false;
  #paused = false;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #poll: Timer | undefined;

  constructor(options: LinkOptions) {
    this.publicKey = options.publicKey;
    this.serverPublicKey = options.serverPublicKey;
    this.#options = options;
    this.#endpoint = options.endpoint;
    this.#socket = options.socket;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Listens at our key until `unlisten` has been called as often. Only on links to a relay. */
  listen(): void {
    if (this.#listening++ === 0) this.#endpoint.listen(true);
    this.#schedule();
  }

  unlisten(): void {
    if (--this.#listening === 0) this.#endpoint.listen(false);
    this.#schedule();
  }

  /** Opens a channel with the peer at a 36-byte address. */
  open(
    address: Uint8Array,
    parameters: Omit<OpenParameters, 'window'>,
    listener: ChannelListener,
  ): ChannelPort {
    const channel = this.#endpoint.open(address, parameters, monotonicNow());
    this.#listeners.set(channel, listener);
    this.#busy = true;
    this.#schedule();
    return new LinkChannel(channel, this.#endpoint, () => {
      this.#schedule();
    });
  }

  /** One binary message from the socket. */
  binary(data: Uint8Array): void {
    if (this.#closed) return;
    this.#readNoMoreThanIsRead();
    try {
      this.#endpoint.receive(data, monotonicNow());
    } catch (error) {
      const cause = error instanceof SecureWebSocketError ? error : undefined;
      this.close(
        cause ??
          new SecureWebSocketError('FRAME_MALFORMED', 'A frame could not be handled.', { cause: error }),
        1002,
      );
      return;
    }
    this.#pump();
  }

  /** The socket has room again. */
  drained(): void {
    if (this.#paused && this.#socket.bufferedAmount <= HIGH_WATER) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (this.#endpoint.hasOutput) this.#pump();
  }

  /** The socket is gone. */
  lost(code: number, reason: string, detail?: string): void {
    const why = [reason, detail].filter(Boolean).join(', ');
    this.#end(
      new SecureWebSocketError('LINK_LOST', `The connection was lost (${String(code)}${why && `: ${why}`}).`),
    );
  }

  /** Gives the link up: every channel ends with `error`, and the socket is closed with `code`. */
  close(error: SecureWebSocketError, code = 1000): void {
    if (this.#closed) return;
    this.#socket.close(code);
    this.#end(error);
  }

  #end(error: SecureWebSocketError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimers();
    this.#endpoint.fail(error);
    this.#dispatch();
    this.#options.onClosed?.(error);
  }

  #readNoMoreThanIsRead(): void {
    if (this.#paused || !this.#socket.tellsDrained) return;
    if (this.#socket.bufferedAmount <= NOT_READING + this.#options.maxFrame) return;
    this.#paused = true;
    this.#socket.pause();
  }

  /** What owners ask for in one turn of the event loop is sealed together, at its end. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Sends and tells all there is to send and to tell. */
  #pump(): void {
    if (this.#dispatching) return;
    do {
      this.#send();
      this.#dispatch();
    } while (!this.#closed && this.#mayFlush());
    if (this.#closed) return;
    this.#watch();
    if (this.#busy && this.#endpoint.channelCount === 0) {
      this.#busy = false;
      this.#options.onIdle?.();
    }
  }

  #mayFlush(): boolean {
    return this.#endpoint.hasOutput && this.#socket.bufferedAmount < HIGH_WATER;
  }

  #send(): void {
    if (this.#closed) return;
    if (this.#mayFlush()) this.#endpoint.flush(HIGH_WATER - this.#socket.bufferedAmount, monotonicNow());
    for (const frame of this.#endpoint.takeFrames()) {
      this.#options.stamp?.(frame);
      this.#socket.send(frame);
    }
  }

  /** Tells owners what happened. They may call anything meanwhile: what comes of it is told in the same loop, in order. */
  #dispatch(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (let events = this.#endpoint.takeEvents(); events.length > 0; events = this.#endpoint.takeEvents()) {
      for (const event of events) {
        try {
          this.#tell(event);
        } catch (error) {
          // An owner's mistake must not keep the others from their events; it is reported as from any callback.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
    this.#dispatching = false;
  }

  #tell(event: EndpointEvent): void {
    if (event.type === 'refused') {
      this.#options.onRefused?.(event.error);
      return;
    }
    if (event.type === 'incoming') {
      this.#incoming(event.channel, event.open);
      return;
    }
    const listener = this.#listeners.get(event.channel);
    if (!listener) return;
    switch (event.type) {
      case 'opened':
        listener.opened?.({ ...this.#keysOf(event.channel), protocol: event.channel.protocol });
        return;
      case 'message':
        listener.message(event.data, event.isText);
        return;
      case 'ping':
        listener.ping?.(event.data);
        return;
      case 'pong':
        listener.pong?.(event.data);
        return;
      case 'closing':
        listener.closing?.();
        return;
      case 'sent':
        listener.sent?.(event.bytes);
        return;
      case 'closed': {
        this.#listeners.delete(event.channel);
        const { code, reason, wasClean, error } = event;
        listener.closed({ code, reason, wasClean, ...(error && { error }) });
      }
    }
  }

  #incoming(channel: Channel, open: OpenParameters): void {
    this.#busy = true;
    const refuse = (status: number, reason: string): void => {
      this.#endpoint.refuse(channel, status, reason, monotonicNow());
      this.#schedule();
    };
    const { onIncoming } = this.#options;
    if (!onIncoming) {
      refuse(404, 'nobody listens');
      return;
    }
    onIncoming({
      ...this.#keysOf(channel),
      target: open.target,
      protocols: open.protocols,
      origin: open.origin,
      accept: (protocol, listener) => {
        this.#listeners.set(channel, listener);
        const port = new LinkChannel(channel, this.#endpoint, () => {
          this.#schedule();
        });
        if (channel.state === 'incoming') this.#endpoint.accept(channel, protocol);
        else this.#tooLate(channel, listener);
        this.#schedule();
        return port;
      },
      refuse,
    });
  }

  /** The peer, or the link, went away while the application made up its mind. */
  #tooLate(channel: Channel, listener: ChannelListener): void {
    this.#listeners.delete(channel);
    const error = new SecureWebSocketError(
      'LINK_LOST',
      'The peer went away before the channel was accepted.',
    );
    queueMicrotask(() => {
      listener.closed({ code: 1006, reason: '', wasClean: false, error });
    });
  }

  #keysOf(channel: Channel): {
    publicKey: string;
    peerPublicKey: string;
    serverPublicKey: string;
    handshakeHash: Uint8Array;
  } {
    return {
      publicKey: this.publicKey,
      peerPublicKey: channel.session ? toHex(channel.session.publicKey) : '',
      serverPublicKey: this.serverPublicKey,
      handshakeHash: channel.handshakeHash?.slice() ?? new Uint8Array(0),
    };
  }

  /** Wakes the endpoint when it wants to be woken, and looks after a socket that is too full. */
  #watch(): void {
    const { wakeAt } = this.#endpoint;
    if (wakeAt < this.#timerAt) {
      stopTimer(this.#timer);
      this.#timerAt = wakeAt;
      this.#timer = startTimer(wakeAt - monotonicNow(), () => {
        this.#timer = undefined;
        this.#timerAt = Infinity;
        this.#endpoint.timeout(monotonicNow());
        this.#pump();
      });
    }
    if (this.#endpoint.hasOutput && !this.#socket.tellsDrained && this.#poll === undefined) {
      this.#poll = startTimer(POLL_INTERVAL, () => {
        this.#poll = undefined;
        this.#pump();
      });
    }
  }

  #stopTimers(): void {
    stopTimer(this.#timer);
    stopTimer(this.#poll);
    this.#timer = this.#poll = undefined;
  }
}

/** The owner's handle of a channel on a link. */
class LinkChannel implements ChannelPort {
  readonly #channel: Channel;
  readonly #endpoint: Endpoint;
  readonly #schedule: () => void;

  constructor(channel: Channel, endpoint: Endpoint, schedule: () => void) {
    this.#channel = channel;
    this.#endpoint = endpoint;
    this.#schedule = schedule;
  }

  get bufferedAmount(): number {
    return this.#channel.bufferedAmount;
  }

  send(data: Uint8Array, isText: boolean): void {
    this.#channel.send(data, isText);
    this.#changed();
  }

  ping(data: Uint8Array): void {
    this.#channel.ping(data);
    this.#changed();
  }

  pong(data: Uint8Array): void {
    this.#channel.pong(data);
    this.#changed();
  }

  close(code?: number, reason?: string): void {
    this.#endpoint.close(this.#channel, monotonicNow(), code, reason);
    this.#changed();
  }

  terminate(error?: SecureWebSocketError): void {
    const why = error ?? new SecureWebSocketError('ABORTED', 'The socket was terminated by this end.');
    this.#endpoint.terminate(this.#channel, why, monotonicNow());
    this.#changed();
  }

  pause(): void {
    this.#channel.pause();
  }

  resume(): void {
    this.#channel.resume();
    this.#changed();
  }

  #changed(): void {
    this.#endpoint.wake(this.#channel);
    this.#schedule();
  }
}
