import type { Channel } from '../core/channel.js';
import type { Control } from '../core/control.js';
import type { Endpoint, EndpointEvent } from '../core/endpoint.js';
import { asSecureWebSocketError, type ErrorCode, SecureWebSocketError } from '../core/errors.js';
import { toHex } from '../core/bytes.js';
import { connectionIdOf } from '../core/frame.js';
import type { OpenParameters } from '../core/open-parameters.js';
import type { Membership } from '../core/space/membership.js';
import { platform } from '#platform';
import { NOT_ADMITTED, REPLACED, SERVICE_RESTART, TOO_SLOW } from '../core/constants.js';
import type { ChannelInformation, ChannelListener, ChannelPort, IncomingChannel } from './channel-port.js';
import { inMicrotask, monotonicNow, startTimer, stopTimer, type Timer } from './clock.js';
import { type CarryingLink, LinkChannel } from './link-channel.js';
import { type AttachedSpace, LinkSpaces, type SpaceCarrier, type SpaceOwner } from './link-spaces.js';
import type { RawSocket } from '../websocket/raw-socket.js';
import type { Resumption } from './resumption.js';

/** Above so many bytes in the socket nothing more is sealed: it waits in the channels, where it can be counted. */
const HIGH_WATER = 1_048_576;
/**
 * What a peer makes us answer is not held back by HIGH_WATER. With so many bytes and a frame in the socket the other end
 * does not read what it asks for, and we read no more of it. Two honest ends do not come that far, so that they cannot
 * wait for each other.
 */
const NOT_READING = 4 * HIGH_WATER;
/** Small frames leave in one write, which is a call of the operating system; so many bytes are worth one, whatever follows. */
const WORTH_A_WRITE = 65_536;
/** Where the runtime does not tell when a socket has drained, it is looked at so often, milliseconds. */
const POLL_INTERVAL = 4;

/** Targets that begin so are for this library, and never for an application. */
const RESERVED = '/.secure-websocket/';

/** A channel that a peer wants to open at a reserved target. */
export interface ReservedChannel extends IncomingChannel {
  /** Which of the peer's connections to the relay it comes over. */
  readonly peerConnectionId: number;
  accept(protocol: string, listener: ChannelListener): LinkChannel;
}

/** What is at a reserved target. */
export interface ReservedTarget {
  readonly incoming: (incoming: ReservedChannel) => void;
  /** Whether a key may reach it although nobody listens here. */
  welcomes(publicKey: Uint8Array): boolean;
}

/** What close codes of a link mean to whoever was on it. A fresh token may mend that one has expired: that is a loss like others. */
const LOST: ReadonlyMap<number, readonly [ErrorCode, string]> = new Map([
  [REPLACED, ['REPLACED', 'The connection was replaced by a newer one with the same key']],
  [TOO_SLOW, ['TOO_SLOW', 'The relay has closed the connection, as it was read too slowly']],
  [NOT_ADMITTED, ['ADMISSION_REFUSED', 'The relay does not admit this key any more']],
  [SERVICE_RESTART, ['RESTARTING', 'The relay is restarting']],
]);

export interface LinkOptions {
  readonly endpoint: Endpoint;
  readonly socket: RawSocket;
  /** Largest frame that goes out, bytes. */
  readonly maxFrame: number;
  /** Our own key and that of the server which the link is registered with, hex. */
  readonly publicKey: string;
  readonly serverPublicKey: string;
  /** The connection id that the server gave us. */
  readonly connectionId: number;
  /** What the peer wants to open; without it nothing is accepted. */
  readonly onIncoming?: ((incoming: IncomingChannel) => void) | undefined;
  /** A peer goes on with a channel that it has opened over another link. */
  readonly onResumed?: ((port: ChannelPort) => void) | undefined;
  /** What `Link.resumption` is to begin with. */
  readonly resumption?: Resumption | undefined;
  /** The last channel has ended, or is carried by another link. */
  readonly onIdle?: (() => void) | undefined;
  /** The socket is gone, or was given up. Every channel has ended or was suspended before. */
  readonly onClosed?: ((error: SecureWebSocketError) => void) | undefined;
  /** The relay says something of the link itself. `link`: this one, which its owner may not have got hold of yet. */
  readonly onControl?: ((control: Control, link: Link) => void) | undefined;
  /** Called for whatever was refused without harm to a channel. For diagnosis. */
  readonly onRefused?: ((error: SecureWebSocketError) => void) | undefined;
  /** Writes the address into frames that go out, where there is no router to do it. */
  readonly stamp?: ((frame: Uint8Array) => void) | undefined;
}

/**
 * One registered link: moves frames between its socket and its endpoint, keeps the endpoint's time, and hands what
 * happens on channels to their owners.
 */
export class Link implements CarryingLink, SpaceCarrier {
  readonly publicKey: string;
  readonly serverPublicKey: string;
  readonly connectionId: number;
  /** Largest frame that goes out, bytes. */
  readonly maxFrame: number;
  readonly #options: LinkOptions;
  #resumption: Resumption | undefined;
  readonly endpoint: Endpoint;
  readonly #socket: RawSocket;
  #listening = 0;
  #turn = 0;
  #closed = false;
  #scheduled = false;
  #dispatching = false;
  #busy = false;
  #paused = false;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #poll: Timer | undefined;
  #closeCode: number | undefined;
  /** Most links have neither. */
  #reserved: Map<string, ReservedTarget> | undefined;
  #spaces: LinkSpaces | undefined;
  readonly #stopWatchingPage: () => void;
  /** The relay has said that it starts anew: until then there is no reason to give up, of the clock of `monotonicNow`. */
  tryUntil: number | undefined;

  constructor(options: LinkOptions) {
    this.publicKey = options.publicKey;
    this.serverPublicKey = options.serverPublicKey;
    this.connectionId = options.connectionId;
    this.maxFrame = options.maxFrame;
    this.#options = options;
    this.endpoint = options.endpoint;
    this.resumption = options.resumption;
    this.#socket = options.socket;
    this.#stopWatchingPage = platform.onVisibility(hidden => {
      this.#setHidden(hidden);
    });
    if (platform.isHidden()) this.#setHidden(true);
  }

  /** Keeps the channels that peers have opened while these are out of reach. */
  get resumption(): Resumption | undefined {
    return this.#resumption;
  }

  set resumption(resumption: Resumption | undefined) {
    this.#resumption = resumption;
    this.endpoint.resumables = resumption?.channels;
  }

  /** The status with which the other end closed the socket, once it has. */
  get closeCode(): number | undefined {
    return this.#closeCode;
  }

  get turn(): number {
    return this.#turn;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Listens at our key until `unlisten` has been called as often. Only on links to a relay. */
  listen(): void {
    if (this.#listening++ === 0) this.endpoint.listen(true, monotonicNow());
    this.schedule();
  }

  unlisten(): void {
    if (--this.#listening === 0) this.endpoint.listen(false, monotonicNow());
    this.schedule();
  }

  /** Opens a channel with the peer at a 36-byte address. */
  open(
    address: Uint8Array,
    parameters: Omit<OpenParameters, 'window'>,
    listener: ChannelListener,
  ): LinkChannel {
    this.#checkOpen();
    const channel = this.endpoint.open(address, parameters, monotonicNow());
    this.#busy = true;
    this.schedule();
    return new LinkChannel(channel, listener, this);
  }

  /** Goes on with a channel that has lost its peer, in a session with the one at `address`. */
  resume(port: LinkChannel, address: Uint8Array): void {
    this.#checkOpen();
    this.endpoint.resume(port.channel, address, monotonicNow());
    port.attach(this);
    this.#busy = true;
    this.schedule();
  }

  /**
   * Enters a space with `membership`, which is on no link.
   * @throws SecureWebSocketError `LINK_LOST` when the link is closed
   */
  enter(membership: Membership, owner: SpaceOwner): AttachedSpace {
    this.#checkOpen();
    return (this.#spaces ??= new LinkSpaces(this)).attach(membership, owner);
  }

  /** From now on what peers open at `path`, which begins with `/.secure-websocket/`, is for `target`; undefined: for nobody. */
  reserve(path: string, target: ReservedTarget | undefined): void {
    this.#reserved ??= new Map();
    if (target) this.#reserved.set(path, target);
    else this.#reserved.delete(path);
    this.welcomesChanged();
  }

  /** Takes what a peer has opened, if it still waits for that. */
  accept(channel: Channel, listener: ChannelListener): LinkChannel {
    const port = new LinkChannel(channel, listener, this);
    if (channel.state === 'incoming') this.endpoint.accept(channel, '');
    else this.#tooLate(listener);
    this.schedule();
    return port;
  }

  refuse(channel: Channel, status: number, reason: string): void {
    this.endpoint.refuse(channel, status, reason, monotonicNow());
    this.schedule();
  }

  /** Who may reach us although nobody listens may be somebody else than before. */
  welcomesChanged(): void {
    if (this.#closed) return;
    const inSpaces = this.#spaces?.isEmpty === false;
    const isWanted = inSpaces || (this.#reserved?.size ?? 0) > 0;
    this.endpoint.welcome(isWanted ? this.#welcomes : undefined, inSpaces, monotonicNow());
    this.schedule();
  }

  readonly #welcomes = (publicKey: Uint8Array): boolean =>
    this.#spaces?.knows(publicKey) === true ||
    [...(this.#reserved?.values() ?? [])].some(target => target.welcomes(publicKey));

  #checkOpen(): void {
    if (this.#closed) throw new SecureWebSocketError('LINK_LOST', 'The connection is lost already.');
  }

  /** Sends one frame that is not the endpoint's. */
  sendFrame(frame: Uint8Array): void {
    if (!this.#closed) this.#socket.send(frame);
  }

  /** One binary message from the socket. */
  binary(data: Uint8Array): void {
    if (this.#closed) return;
    this.#readNoMoreThanIsRead();
    try {
      this.endpoint.receive(data, monotonicNow());
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
    if (this.#hasOutput) this.#pump();
  }

  /** The socket is gone. */
  lost(code: number, reason: string, detail?: string): void {
    const why = [reason, detail].filter(Boolean).join(', ');
    this.#closeCode = code;
    const [errorCode, what] = LOST.get(code) ?? ['LINK_LOST', 'The connection was lost'];
    this.#end(new SecureWebSocketError(errorCode, `${what} (${String(code)}${why && `: ${why}`}).`));
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
    this.#stopWatchingPage();
    const spaces = this.#spaces?.end() ?? [];
    this.endpoint.fail(error, monotonicNow());
    this.#dispatch();
    for (const { owner } of spaces) owner.lost(error);
    if (this.#scheduled && !this.#dispatching) inMicrotask(this.#run);
    this.#resumption?.watch();
    this.#options.onClosed?.(error);
  }

  #readNoMoreThanIsRead(): void {
    if (this.#paused || !this.#socket.tellsDrained) return;
    if (this.#socket.bufferedAmount <= NOT_READING + this.#options.maxFrame) return;
    this.#paused = true;
    this.#socket.pause();
  }

  /**
   * What owners ask for in one turn of the event loop is sealed together, at its end. When the socket is gone there are
   * still owners to be told what arrived before, once they read.
   */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // While owners are told of something, what they ask for is done right behind it.
    if (!this.#dispatching) inMicrotask(this.#run);
  }

  readonly #run = (): void => {
    if (this.#scheduled) this.#pump();
  };

  /** Sends and tells all there is to send and to tell. */
  #pump(): void {
    if (this.#dispatching) return;
    do {
      this.#scheduled = false;
      this.#send();
      this.#dispatch();
    } while (this.#hasMore());
    this.#scheduled = false;
    if (this.#closed) return;
    this.#watch();
    if (this.#busy && this.endpoint.isIdle) {
      this.#busy = false;
      this.#options.onIdle?.();
    }
  }

  /** Whether owners have asked for something meanwhile, or the socket has room for more. */
  #hasMore(): boolean {
    return !this.#closed && (this.#scheduled || this.#mayFlush());
  }

  get #hasOutput(): boolean {
    return this.endpoint.hasOutput || this.#spaces?.hasOutput === true;
  }

  readonly #hasRoom = (): boolean => this.#socket.bufferedAmount < HIGH_WATER;

  #mayFlush(): boolean {
    return this.#hasOutput && this.#hasRoom();
  }

  #send(): void {
    this.#turn++;
    if (this.#closed) return;
    const socket = this.#socket;
    const now = monotonicNow();
    let held = 0;
    const send = (frame: Uint8Array): void => {
      this.#options.stamp?.(frame);
      socket.send(frame);
      held += frame.length;
      if (held < WORTH_A_WRITE) return;
      // While the next record is sealed, the network has the ones before.
      held = 0;
      socket.uncork?.();
      socket.cork?.();
    };
    socket.cork?.();
    do {
      if (this.#mayFlush()) {
        this.#spaces?.seal(this.#hasRoom, now);
        this.endpoint.flush(1, now);
      }
      for (const frame of this.endpoint.takeFrames()) send(frame);
      // Behind what single members are told: their keys.
      for (const frame of this.#spaces?.takeFrames() ?? []) send(frame);
    } while (this.#mayFlush());
    socket.uncork?.();
  }

  /** Tells owners what happened. They may call anything meanwhile: what comes of it is told in the same loop, in order. */
  #dispatch(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    for (let events = this.endpoint.takeEvents(); events.length > 0; events = this.endpoint.takeEvents()) {
      for (const event of events) {
        try {
          this.#tell(event);
        } catch (error) {
          reportMistake(error);
        }
      }
    }
    this.#spaces?.dispatch(reportMistake);
    this.#dispatching = false;
  }

  #tell(event: EndpointEvent): void {
    if (event.type === 'message') {
      LinkChannel.of(event.channel)?.handle(event);
      return;
    }
    if (event.type === 'refused') {
      this.#options.onRefused?.(event.error);
      return;
    }
    if (event.type === 'space') {
      this.#space(event.membership, event.operation, event.body);
      return;
    }
    if (event.type === 'control') {
      this.#options.onControl?.(event.control, this);
      return;
    }
    if (event.type === 'dead') {
      // It may take minutes until the socket notices.
      this.#socket.terminate();
      this.#end(event.error);
      return;
    }
    if (event.type === 'incoming') {
      this.#incoming(event.channel, event.open);
      return;
    }
    const port = LinkChannel.of(event.channel);
    if (event.type === 'resumed' && event.channel.session) {
      this.#busy = true;
      port?.attach(this);
      if (port && !event.channel.opener) this.#options.onResumed?.(port);
    }
    port?.handle(event);
  }

  #space(membership: number, operation: number, body: Uint8Array): void {
    try {
      this.#spaces?.receive(membership, operation, body);
    } catch (error) {
      const message = 'The relay has said something of a space that makes no sense.';
      this.close(asSecureWebSocketError(error, 'FRAME_MALFORMED', message), 1002);
    }
  }

  #incoming(channel: Channel, open: OpenParameters): void {
    this.#busy = true;
    if (this.#spaces?.incoming(channel, open) === true) return;
    const take = open.target.startsWith(RESERVED)
      ? this.#reservedAt(open.target)?.incoming
      : this.#options.onIncoming;
    if (take) take(this.#offer(channel, open));
    else this.refuse(channel, 404, 'nobody listens');
  }

  #reservedAt(target: string): ReservedTarget | undefined {
    return this.#reserved?.get(target.replace(/\?.*$/, ''));
  }

  #offer(channel: Channel, open: OpenParameters): ReservedChannel {
    return {
      ...this.keysOf(channel),
      peerConnectionId: channel.session ? connectionIdOf(channel.session.address) : 0,
      target: open.target,
      protocols: open.protocols,
      origin: open.origin,
      accept: (protocol, listener) => {
        const port = new LinkChannel(channel, listener, this, this.#resumption);
        if (channel.state === 'incoming') this.endpoint.accept(channel, protocol);
        else this.#tooLate(listener);
        this.schedule();
        return port;
      },
      refuse: (status, reason) => {
        this.refuse(channel, status, reason);
      },
    };
  }

  /** The peer, or the link, went away while the application made up its mind. */
  #tooLate(listener: ChannelListener): void {
    const error = new SecureWebSocketError(
      'LINK_LOST',
      'The peer went away before the channel was accepted.',
    );
    queueMicrotask(() => {
      listener.closed({ code: 1006, reason: '', wasClean: false, error, unacknowledged: [] });
    });
  }

  keysOf(channel: Channel): Omit<ChannelInformation, 'protocol'> {
    return {
      publicKey: this.publicKey,
      peerPublicKey: channel.session ? toHex(channel.session.publicKey) : '',
      serverPublicKey: this.serverPublicKey,
      handshakeHash: channel.handshakeHash?.slice() ?? new Uint8Array(0),
    };
  }

  /** Wakes the endpoint when it wants to be woken, and looks after a socket that is too full. */
  #watch(): void {
    const wakeAt = Math.min(this.endpoint.wakeAt, this.#spaces?.wakeAt ?? Infinity);
    if (wakeAt < this.#timerAt) {
      stopTimer(this.#timer);
      this.#timerAt = wakeAt;
      this.#timer = startTimer(wakeAt - monotonicNow(), () => {
        this.#timer = undefined;
        this.#timerAt = Infinity;
        const now = monotonicNow();
        this.endpoint.timeout(now);
        this.#spaces?.timeout(now);
        this.#pump();
      });
    }
    if (this.#hasOutput && !this.#socket.tellsDrained && this.#poll === undefined) {
      this.#poll = startTimer(POLL_INTERVAL, () => {
        this.#poll = undefined;
        this.#pump();
      });
    }
  }

  #setHidden(hidden: boolean): void {
    this.endpoint.setHidden(hidden, monotonicNow());
    this.schedule();
  }

  #stopTimers(): void {
    stopTimer(this.#timer);
    stopTimer(this.#poll);
    this.#timer = this.#poll = undefined;
  }
}

/** An owner's mistake must not keep the others from their events; it is reported as from any callback. */
function reportMistake(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
