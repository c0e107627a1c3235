import { toHex } from '../core/bytes.js';
import { CLOSE_TIMEOUT } from '../core/constants.js';
import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import { type Location, parseLocation } from '../core/location.js';
import { loadEngine } from '#engine';
import { page } from '#page';
import type {
  ChannelEnd,
  ChannelInformation,
  ChannelListener,
  ChannelPort,
  Resumption,
  UnacknowledgedMessage,
} from './channel-port.js';
import { monotonicNow, startTimer, stopTimer, type Timer } from './clock.js';
import type { DialOptions } from './dial-options.js';
import type { DialledLink } from './dialled-link.js';
import type { Engine } from './engine-at-hand.js';
import type { HeadStart } from './head-start.js';
import type { Link } from './link.js';
import type { LinkChannel } from './link-channel.js';
import { PendingMessages } from './pending-messages.js';
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

/**
 * Opens a channel: with the server at `url`, or with the peer whose address is in its path, through the relay there.
 * Returns at once; all else is told to `listener`. With `reconnect` the channel outlives its links.
 * @throws SecureWebSocketError with an address code when the URL holds a 64-digit hex segment that is no canonical
 *   address; `INVALID_ARGUMENT` when `serverKey` is none
 * @throws TypeError when `reconnect` is not valid
 */
export function dialChannel(
  url: DialledUrl,
  protocols: readonly string[],
  options: DialOptions,
  listener: ChannelListener,
): ChannelPort {
  const { serverKey } = options;
  if (serverKey !== undefined && typeof serverKey !== 'function') parseServerKey(serverKey);
  const location = typeof url === 'function' ? undefined : parseLocation(url, options.direct);
  const locate = async (): Promise<Location> =>
    location ?? parseLocation(typeof url === 'function' ? await url() : url, options.direct);
  return new DialledChannel(locate, protocols, options, listener);
}

/** A channel that we open, and reopen, over one link after the other. */
class DialledChannel implements ChannelPort {
  readonly #locate: () => Promise<Location>;
  readonly #protocols: readonly string[];
  readonly #options: DialOptions;
  readonly #listener: ChannelListener;
  readonly #backoff: Backoff | undefined;
  /** The channel, while there is one. */
  #port: LinkChannel | undefined;
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
    options: DialOptions,
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
    const engine = (this.#engine = await loading);
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
        { throttled: throttling => this.#listener.throttled?.(throttling) },
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
    const address = engine.peerAddress(location.peerKey ?? this.#link.serverKey, 0);
    if (this.#port && this.#isOpen) this.#resume(link, this.#port, address);
    else this.#open(link, address, location);
  }

  /** What has not been claimed by now is closed. */
  #endHeadStart(): void {
    this.#headStart?.release();
    this.#headStart = undefined;
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

  /** The peer is out of reach, or the last attempt to reach it has failed. */
  #lost(error: SecureWebSocketError, linkCode?: number, status?: number): void {
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
    const isForgivable = this.#opened
      ? error.code === 'PEER_REFUSED' || error.code === 'PEER_NOT_ALLOWED'
      : error.code === 'CHANNEL_RESET';
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
    const limit = this.#port && this.#engine ? this.#engine.closeTimeout(this.#port.channel) : CLOSE_TIMEOUT;
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

  #channelListener(port: () => LinkChannel): ChannelListener {
    let wasOpen = false;
    return {
      opened: information => {
        wasOpen = true;
        this.#channelOpened(information);
      },
      message: (data, isText) => {
        this.#listener.message(data, isText);
      },
      ping: data => this.#listener.ping?.(data),
      pong: data => this.#listener.pong?.(data),
      closing: () => {
        if (this.#isToBeReplaced()) this.#pending = new PendingMessages();
        else this.#listener.closing?.();
      },
      sent: bytes => this.#listener.sent?.(bytes),
      suspended: ({ error }) => {
        this.#lost(error, this.#link?.closeCode);
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
    const code = this.#port?.channel.closeReceived?.code;
    return this.#backoff !== undefined && !this.#closing && code !== undefined && !isTerminalCloseCode(code);
  }

  #channelClosed(end: ChannelEnd, wasOpen: boolean, port: LinkChannel): void {
    this.#port = undefined;
    this.#isOpen = false;
    if (!wasOpen && end.error && this.#backoff && !this.#closing) {
      this.#lost(end.error, this.#link?.closeCode, port.channel.refusalStatus);
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

/** The location of a peer behind a relay, as it is dialled. */
export function peerLocation(relayUrl: string, publicKey: Uint8Array): string {
  const url = new URL(relayUrl);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${toHex(publicKey)}`;
  return url.href;
}
