import { toHex } from '../core/bytes.js';
import { CLOSE_TIMEOUT, DEFAULT_MAX_PAYLOAD } from '../core/constants.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import { type Location, parseLocation } from '../core/location.js';
import { loadEngine, loadSpaceEngine } from '#engine';
import { page } from '#page';
import type {
  ChannelEnd,
  ChannelInformation,
  ChannelListener,
  ChannelPort,
  Resumption,
  SpaceView,
  UnacknowledgedMessage,
} from './channel-port.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from './clock.js';
import type { Identity } from '../core/identity.js';
import type { DialOptions } from './dial-options.js';
import type { DialledLink } from './dialled-link.js';
import type { Engine, SpaceEngine } from './engine-at-hand.js';
import type { HeadStart } from './head-start.js';
import type { Link } from './link.js';
import type { LinkChannel } from './link-channel.js';
import { PendingMessages } from './pending-messages.js';
import { MAX_BUFFERED, parseSpaceOptions, type SpaceOptions } from './space-options.js';
import type { SpacePort } from './space-port.js';
import {
  Backoff,
  isTerminal,
  isTerminalCloseCode,
  isTerminalLinkCode,
  parseReconnect,
  PeerReturn,
} from './reconnect-policy.js';
import { parseServerKey } from './trust.js';
import { waitForAttempt } from './wait-for-attempt.js';

export type { DialOptions };

/** A URL, or what is asked for it at each attempt. */
export type DialledUrl = URL | (() => Promise<URL>);

/** How a channel is dialled. */
export interface DialChannelOptions extends DialOptions {
  /**
   * With `reconnect`: the channel ends when the peer closes it, whatever the code. Default: one that is closed with a code
   * that passes (1001, 1012, 1013) is replaced by a new one.
   */
  readonly endsWithPeer?: boolean | undefined;
  /** The relay at the URL is meant itself: what it offers at its own key under this target. */
  readonly service?: string | undefined;
  /** How one takes part in the space, if the URL is that of one. */
  readonly space?: SpaceOptions | undefined;
  /** In a space: so many bytes of what has come may wait while the channel is paused; with more it fails. Default: 16 MiB. */
  readonly maxBuffered?: number | undefined;
}

/**
 * Opens a channel: with the server at `url`, with the peer whose address is in its path, through the relay there, or with
 * all members of the space that it names. Returns at once; all else is told to `listener`. With `reconnect` the channel
 * outlives its links.
 * @throws SecureWebSocketError with an address code when the URL holds a 64-digit hex segment that is no canonical
 *   address; `INVALID_ARGUMENT` when `serverKey` is none, or the name of the space is not valid
 * @throws TypeError when `reconnect` or `space` is not valid
 */
export function dialChannel(
  url: DialledUrl,
  protocols: readonly string[],
  options: DialChannelOptions,
  listener: ChannelListener,
): ChannelPort {
  const { serverKey } = options;
  if (serverKey !== undefined && typeof serverKey !== 'function') parseServerKey(serverKey);
  parseSpaceOptions(options.space);
  const parse = (given: URL): Location => locationOf(given, options);
  const location = typeof url === 'function' ? undefined : parse(url);
  const locate = async (): Promise<Location> =>
    location ?? parse(typeof url === 'function' ? await url() : url);
  return new DialledChannel(locate, protocols, options, listener);
}

/** A channel that we open, and reopen, over one link after the other. */
class DialledChannel implements ChannelPort {
  readonly #locate: () => Promise<Location>;
  readonly #protocols: readonly string[];
  readonly #options: DialChannelOptions;
  readonly #listener: ChannelListener;
  readonly #backoff: Backoff | undefined;
  /** The channel, while there is one; in a space the membership. */
  #port: LinkChannel | SpacePort | undefined;
  /** Whether it was opened, so that it can be resumed. */
  #isOpen = false;
  #engine: Engine | undefined;
  /** What the attempt under way has dialled while its identity is being loaded. */
  #headStart: HeadStart | undefined;
  #link: DialledLink | undefined;
  /** What was sent while a new channel takes the place of the old one, and how that ended. */
  #pending: PendingMessages | undefined;
  #replaced: ChannelEnd | undefined;
  /** What the old channel had not got across: it is told, and not sent again. */
  #leftOver: readonly UnacknowledgedMessage[] = [];
  #terminated = false;
  /** Counts attempts: what belongs to an earlier one is over. */
  #attempt = 0;
  #opened = false;
  #ended = false;
  #paused = false;
  #closing = false;
  #peerReturn: PeerReturn | undefined;
  /** Whether whoever answers at the peer's key is asked, the peer itself being gone from where it was. */
  #anyProcess = false;
  #closeTimer: Timer | undefined;
  #stopWaiting: (() => void) | undefined;

  constructor(
    locate: () => Promise<Location>,
    protocols: readonly string[],
    options: DialChannelOptions,
    listener: ChannelListener,
  ) {
    const reconnect = parseReconnect(options.reconnect);
    this.#locate = locate;
    this.#protocols = protocols;
    this.#options = options;
    this.#listener = listener;
    this.#backoff = reconnect && new Backoff(reconnect, Math.random);
    this.#connect();
  }

  get bufferedAmount(): number {
    return (this.#port?.bufferedAmount ?? 0) + (this.#pending?.bytes ?? 0);
  }

  get space(): SpaceView | undefined {
    return this.#port?.space;
  }

  send(data: Uint8Array, isText: boolean): void {
    if (this.#pending) this.#pending.send(data, isText);
    else this.#port?.send(data, isText);
  }

  ping(data: Uint8Array): void {
    this.#port?.ping(data);
  }

  pong(data: Uint8Array): void {
    this.#port?.pong(data);
  }

  close(code?: number, reason?: string): void {
    this.#closing = true;
    if (this.#pending) this.#closePending(code, reason);
    else if (this.#port && (this.#isOpen || !this.#stopWaiting)) this.#port.close(code, reason);
    else this.#abort(new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.'));
    if (this.#peerReturn) this.#limitClosing();
  }

  terminate(error?: SecureWebSocketError): void {
    this.#closing = this.#terminated = true;
    if (this.#port) this.#port.terminate(error);
    else
      this.#abort(
        error ?? new SecureWebSocketError('ABORTED', 'The socket was terminated before it was open.'),
      );
  }

  pause(): void {
    this.#paused = true;
    this.#port?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#port?.resume();
  }

  // Attempts

  #connect(): void {
    const attempt = ++this.#attempt;
    this.#tryToConnect(attempt).catch((error: unknown) => {
      if (attempt !== this.#attempt || this.#ended) return;
      this.#lost(asSecureWebSocketError(error, 'LINK_FAILED', 'The connection could not be made.'));
    });
  }

  async #tryToConnect(attempt: number): Promise<void> {
    const isOver = (): boolean => this.#ended || attempt !== this.#attempt;
    // An identity that was given has a back end, or somebody is loading one for it.
    const loading = loadEngine(this.#options.identity === undefined);
    // Whoever waits for it below is told.
    loading.catch(() => undefined);
    const location = await this.#locate();
    const isSpace = location.space !== undefined;
    const [engine, spaceEngine] = await Promise.all([loading, isSpace ? loadSpaceEngine() : undefined]);
    this.#engine = engine;
    if (isOver()) return;
    const options = await engine.attemptOptions(this.#options, 'client', () => {
      if (!isOver()) this.#headStart = engine.dialAhead(location, this.#options);
    });
    if (isOver()) return;
    if (!this.#link?.isFor(location, options)) {
      this.#link?.release();
      const formerId = this.#link?.formerConnectionId;
      this.#link = new engine.DialledLink(
        location,
        options,
        {
          throttled: throttling => this.#listener.throttled?.(throttling),
          serverEvent: event => {
            // What is for a space may be for a key that is in its audience, and is no member.
            const isForUs = event.space === '' || (location.space ?? event.space) === event.space;
            if (isForUs && this.#listener.serverEvent) this.#listener.serverEvent(event);
            else event.taken();
          },
        },
        formerId,
        this.#headStart,
      );
    }
    this.#endHeadStart();
    const link = await this.#link.ready;
    if (isOver()) return;
    if (link.isClosed) {
      this.#lost(new SecureWebSocketError('LINK_LOST', 'The connection was lost at once.'), link.closeCode);
      return;
    }
    this.#listener.registered?.({ publicKey: link.publicKey, serverPublicKey: link.serverPublicKey });
    if (spaceEngine || this.#port?.space) {
      this.#enter(spaceEngine, link, options.identity, location.space);
      return;
    }
    const address = engine.peerAddress(location.peerKey ?? this.#link.serverKey, 0);
    if (this.#port?.channel && this.#isOpen) this.#resume(link, this.#port, address);
    else this.#open(link, address, location);
  }

  /** What has not been claimed by now is closed. */
  #endHeadStart(): void {
    this.#headStart?.release();
    this.#headStart = undefined;
  }

  /** Enters a space, or enters it again. Without an engine for it `name` is not that of a space. */
  #enter(engine: SpaceEngine | undefined, link: Link, identity: Identity, name: string | undefined): void {
    if (this.#protocols.length > 0) {
      throw new SecureWebSocketError('PROTOCOL_NOT_OFFERED', 'A space has no subprotocols: offer none.');
    }
    const current = this.#port;
    if (!engine || (current && current.space?.name !== name)) {
      throw new SecureWebSocketError('INVALID_ARGUMENT', 'The URL is no longer that of the same space.');
    }
    if (current?.space) {
      current.enter(link);
      return;
    }
    const { space, maxPayload = DEFAULT_MAX_PAYLOAD, maxBuffered = MAX_BUFFERED } = this.#options;
    const port: SpacePort = new engine.SpacePort(
      link,
      identity,
      { name: name ?? '', stay: this.#backoff !== undefined, space, maxPayload, maxBuffered },
      this.#channelListener(() => port),
    );
    this.#port = port;
    if (this.#paused) port.pause();
  }

  #open(link: Link, address: Uint8Array, location: Location): void {
    const parameters = {
      target: location.target,
      protocols: this.#protocols,
      origin: page.origin(),
      resume: this.#backoff !== undefined,
    };
    const port = link.open(
      address,
      parameters,
      this.#channelListener(() => port),
    );
    this.#port = port;
    if (this.#paused) port.pause();
  }

  /** `address`: whoever listens at the peer's key. The very connection that the channel was with is asked first. */
  #resume(link: Link, port: LinkChannel, address: Uint8Array): void {
    const { home, peerKey } = port.channel;
    if (peerKey === undefined || toHex(peerKey) !== toHex(address.subarray(0, peerKey.length))) {
      port.fail(new SecureWebSocketError('CHANNEL_LOST', 'The peer has another key than before.'));
      return;
    }
    link.resume(port, this.#anyProcess ? address : (home ?? address));
  }

  /**
   * The peer is out of reach, or the last attempt to reach it has failed. `status`: the HTTP status with which it refused.
   * `isPassing`: it may want us later.
   */
  #lost(error: SecureWebSocketError, linkCode?: number, status?: number, isPassing = false): void {
    this.#endHeadStart();
    const now = monotonicNow();
    this.#backoff?.lost(now, this.#link?.tryUntil);
    if (this.#opened && !this.#peerReturn) {
      this.#peerReturn = new PeerReturn(now);
      this.#listener.suspended?.({ error });
      if (this.#closing) this.#limitClosing();
    }
    // Before the channel is open nobody has lost anything: whoever gave it up may think better of it. Once it is, nobody
    // who is not the peer may end it for good: notices are in the clear.
    const isForgivable =
      isPassing ||
      (this.#opened
        ? error.code === 'PEER_REFUSED' || error.code === 'PEER_NOT_ALLOWED'
        : error.code === 'CHANNEL_RESET');
    const isFinal =
      (isTerminal(error, status) && !isForgivable) ||
      (linkCode !== undefined && isTerminalLinkCode(linkCode));
    if (error.code === 'PEER_NOT_HERE' && this.#isOpen && !this.#anyProcess) {
      // Not where it was; somebody may answer at its key.
      this.#anyProcess = true;
      this.#connect();
      return;
    }
    this.#anyProcess = false;
    const isGone = error.code === 'CHANNEL_LOST' && (this.#peerReturn?.unknown(now) ?? true);
    const delay =
      (isFinal && error.code !== 'CHANNEL_LOST') || isGone || this.#ended
        ? undefined
        : this.#backoff?.next(now);
    if (delay === undefined) this.#giveUp(error);
    else this.#wait(delay, error);
  }

  #wait(delay: number, error: SecureWebSocketError): void {
    // What comes of an attempt under way is of no interest any more.
    this.#attempt++;
    this.#stopWaiting = waitForAttempt(delay, () => {
      this.#stopWaiting = undefined;
      this.#connect();
    });
    this.#listener.reconnecting?.({ attempt: this.#backoff?.attempt ?? 0, delay, error });
  }

  #giveUp(error: SecureWebSocketError): void {
    if (this.#port && this.#isOpen) this.#port.fail(error);
    else this.#fail(error);
  }

  /** Whoever closes does not wait for ever for a peer that is out of reach. */
  #limitClosing(): void {
    const channel = this.#port?.channel;
    const limit = channel && this.#engine ? this.#engine.closeTimeout(channel) : CLOSE_TIMEOUT;
    this.#closeTimer ??= startTimer(
      limit,
      () => {
        const message = `The peer could not be reached within ${String(limit / 1000)} s of close().`;
        this.#giveUp(new SecureWebSocketError('CLOSE_TIMEOUT', message));
      },
      true,
    );
  }

  // What happens on the channel

  #channelListener(port: () => LinkChannel | SpacePort): ChannelListener {
    let wasOpen = false;
    return {
      opened: information => {
        wasOpen = true;
        this.#channelOpened(information);
      },
      message: (data, isText, from, member) => {
        this.#listener.message(data, isText, from, member);
      },
      space: event => this.#listener.space?.(event),
      ping: data => this.#listener.ping?.(data),
      pong: data => this.#listener.pong?.(data),
      closing: () => {
        if (this.#isToBeReplaced()) this.#pending = new PendingMessages();
        else this.#listener.closing?.();
      },
      sent: bytes => this.#listener.sent?.(bytes),
      suspended: ({ error, isPassing }) => {
        this.#lost(error, this.#link?.closeCode, undefined, isPassing);
      },
      resumed: resumption => {
        this.#resumed(resumption);
      },
      closed: end => {
        if (!this.#ended && this.#port === port()) this.#channelClosed(end, wasOpen, port());
      },
    };
  }

  #channelOpened(information: ChannelInformation): void {
    const { protocol } = information;
    if (protocol !== '' && !this.#protocols.includes(protocol)) {
      const message = `The peer chose the subprotocol "${protocol}", which was not offered.`;
      this.#port?.terminate(new SecureWebSocketError('PROTOCOL_NOT_OFFERED', message));
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    this.#isOpen = true;
    if (this.#port) pending?.handOver(this.#port);
    if (this.#opened) {
      const unacknowledged = this.#leftOver;
      this.#leftOver = [];
      this.#resumed({ ...information, resumed: false, unacknowledged });
    } else {
      this.#opened = true;
      this.#backoff?.connected(monotonicNow());
      this.#listener.opened?.(information);
    }
  }

  #resumed(resumption: Resumption): void {
    this.#backoff?.connected(monotonicNow());
    this.#peerReturn = undefined;
    this.#anyProcess = false;
    stopTimer(this.#closeTimer);
    this.#closeTimer = undefined;
    this.#listener.resumed?.(resumption);
  }

  /** Whether a new channel takes the place of this one, which the peer closes for a reason that passes. */
  #isToBeReplaced(): boolean {
    const code = this.#port?.channel?.closeReceived?.code;
    const isReplaceable = this.#backoff !== undefined && this.#options.endsWithPeer !== true;
    return isReplaceable && !this.#closing && code !== undefined && !isTerminalCloseCode(code);
  }

  #channelClosed(end: ChannelEnd, wasOpen: boolean, port: LinkChannel | SpacePort): void {
    this.#port = undefined;
    this.#isOpen = false;
    if (!wasOpen && end.error && this.#backoff && !this.#closing) {
      this.#lost(end.error, this.#link?.closeCode, port.channel?.refusalStatus);
    } else if (wasOpen && this.#pending && !this.#terminated && !this.#hasNothingToSay) {
      this.#replaced = end;
      this.#leftOver = [...this.#leftOver, ...end.unacknowledged];
      const why = end.reason && `: ${end.reason}`;
      const message = `The peer has closed the connection for the time being (${String(end.code)}${why}).`;
      this.#lost(new SecureWebSocketError('LINK_LOST', message));
    } else {
      this.#end({ ...end, unacknowledged: [...end.unacknowledged, ...this.#unsent] });
    }
  }

  /** The application closes while a new channel is to take the place of the old one: only what it has sent needs that. */
  #closePending(code: number | undefined, reason: string | undefined): void {
    const replaced = this.#replaced;
    if (replaced && this.#hasNothingToSay) {
      queueMicrotask(() => {
        this.#port?.terminate();
        this.#end({ ...replaced, unacknowledged: this.#leftOver });
      });
    } else {
      this.#pending?.close(code, reason);
    }
  }

  /** The application has closed while a new channel was to take the place of the old one, and wants nothing else of it. */
  get #hasNothingToSay(): boolean {
    return this.#closing && this.#pending?.messages.length === 0;
  }

  get #unsent(): readonly UnacknowledgedMessage[] {
    return [...this.#leftOver, ...(this.#pending?.messages ?? [])];
  }

  #abort(error: SecureWebSocketError): void {
    queueMicrotask(() => {
      this.#fail(error);
    });
  }

  #fail(error: SecureWebSocketError): void {
    this.#end({ code: 1006, reason: '', wasClean: false, error, unacknowledged: this.#unsent });
  }

  #end(end: ChannelEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endHeadStart();
    this.#stopWaiting?.();
    stopTimer(this.#closeTimer);
    if (this.#port?.space) this.#port.discard();
    // After this turn, so that a CLOSE that has just been sealed is on its way before its link is closed.
    const link = this.#link;
    this.#link = undefined;
    if (link) {
      queueMicrotask(() => {
        link.release();
      });
    }
    this.#listener.closed(end);
  }
}

function locationOf(url: URL, { direct, service }: DialChannelOptions): Location {
  const location = parseLocation(url, direct);
  if (service === undefined) return location;
  if (location.peerKey === undefined && location.space === undefined) {
    return { ...location, target: service, isService: true };
  }
  const message = 'The URL of a relay names no peer and no space behind it.';
  throw new SecureWebSocketError('INVALID_ARGUMENT', message);
}

/** The location of a peer behind a relay, as it is dialled. */
export function peerLocation(relayUrl: string, publicKey: Uint8Array): string {
  const url = new URL(relayUrl);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${toHex(publicKey)}`;
  return url.href;
}
