import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import { parseLocation } from '../core/location.js';
import type { IncomingChannel, ReconnectAttempt, Throttling } from './channel-port.js';
import { monotonicNow } from './clock.js';
import { peerLocation } from './dial.js';
import { attemptOptions, type DialOptions } from './dial-options.js';
import type { Link } from './link.js';
import { leaseLink, type LinkLease } from './link-pool.js';
import { Backoff, isTerminal, isTerminalLinkCode, parseReconnect } from './reconnect-policy.js';
import type { Resumption } from './resumption.js';
import { waitForAttempt } from './wait-for-attempt.js';

export interface ListenOptions extends DialOptions {
  /** Keeps channels while their peers are out of reach, and over the loss of our own link. */
  readonly resumption?: Resumption | undefined;
  /** Channels with one peer; its further ones are refused with 503. Default: 1,024. */
  readonly maxChannelsPerPeer?: number | undefined;
  /** Peers at a time; others get no answer until one has gone. Default: 65,536. */
  readonly maxPeers?: number | undefined;
}

export interface ListenHandlers {
  /** The relay has registered us, and peers can open channels. Again after each `reconnecting` that succeeds. */
  listening(information: { publicKey: string; serverPublicKey: string }): void;
  channel(incoming: IncomingChannel): void;
  /** The relay was lost, or could not be reached again; another attempt will be made. */
  reconnecting?(attempt: ReconnectAttempt): void;
  /** The relay holds back what is sent over our link to it. */
  throttled?(throttling: Throttling): void;
  /** It is over: because of `error`, or without one because `close` was called. Called exactly once. */
  closed(error?: SecureWebSocketError): void;
}

export interface RelayListener {
  /** Where peers dial: `wss://relay.example/<hex>`. '' until `listening`. */
  readonly location: string;
  /** Listens no longer. Channels that are open stay open. */
  close(): void;
}

/**
 * Listens at our public key behind the relay at `relay`. With `reconnect` it does so again whenever the relay was lost;
 * a first attempt that fails is final all the same.
 * @throws TypeError when `reconnect` is not valid
 */
export function listenAtRelay(relay: URL, options: ListenOptions, handlers: ListenHandlers): RelayListener {
  return new Listening(relay, options, handlers);
}

class Listening implements RelayListener {
  location = '';
  readonly #relay: URL;
  readonly #options: ListenOptions;
  readonly #handlers: ListenHandlers;
  readonly #backoff: Backoff | undefined;
  #lease: LinkLease | undefined;
  #link: Link | undefined;
  /** The one that we had, and want again: peers know it. */
  #connectionId: number | undefined;
  #open = 0;
  #closed = false;
  #stopWaiting: (() => void) | undefined;

  constructor(relay: URL, options: ListenOptions, handlers: ListenHandlers) {
    this.#relay = relay;
    this.#options = options;
    this.#handlers = handlers;
    const reconnect = parseReconnect(options.reconnect);
    this.#backoff = reconnect && new Backoff(reconnect, Math.random);
    this.#connect();
  }

  close(): void {
    queueMicrotask(() => {
      this.#end();
    });
  }

  #connect(): void {
    this.#listen().catch((error: unknown) => {
      this.#lost(asSecureWebSocketError(error, 'LINK_FAILED', 'The connection could not be made.'));
    });
  }

  async #listen(): Promise<void> {
    const { origin, dialled, peerKey, space } = parseLocation(this.#relay);
    if (space !== undefined) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        'The URL of a relay must not name a space: one listens at the relay, and enters a space with a ClientSecureWebSocket.',
      );
    }
    if (peerKey) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        "The URL of a relay must not hold a public key: one listens at one's own.",
      );
    }
    const options = await attemptOptions(this.#options, 'server');
    if (this.#closed) return;
    const user = {
      incoming: (channel: IncomingChannel) => {
        this.#incoming(channel);
      },
      resumption: this.#options.resumption,
      throttled: (throttling: Throttling) => this.#handlers.throttled?.(throttling),
      closed: (error: SecureWebSocketError) => {
        if (this.#link) this.#lost(error, this.#link.closeCode);
      },
    };
    const { identity } = options;
    const lease = leaseLink(dialled, origin, identity, options, user, this.#connectionId);
    this.#lease = lease;
    const link = await lease.ready;
    // `close` may have been called meanwhile; the compiler cannot see that.
    if (this.#closed as boolean) return;
    if (link.isClosed) throw new SecureWebSocketError('LINK_LOST', 'The connection was lost at once.');
    this.#link = link;
    this.#connectionId = link.connectionId;
    link.listen();
    this.#backoff?.connected(monotonicNow());
    this.location = peerLocation(dialled, identity.publicKeyBytes);
    this.#handlers.listening({ publicKey: link.publicKey, serverPublicKey: link.serverPublicKey });
  }

  #lost(error: SecureWebSocketError, linkCode?: number): void {
    if (this.#closed) return;
    const hasListened = this.location !== '';
    const tryUntil = this.#link?.tryUntil;
    this.#link = undefined;
    this.#lease?.release();
    this.#lease = undefined;
    const now = monotonicNow();
    this.#backoff?.lost(now, tryUntil);
    const isFinal = isTerminal(error) || (linkCode !== undefined && isTerminalLinkCode(linkCode));
    const delay = hasListened && !isFinal ? this.#backoff?.next(now) : undefined;
    if (delay === undefined) {
      this.#end(error);
      return;
    }
    this.#stopWaiting = waitForAttempt(delay, () => {
      this.#connect();
    });
    this.#handlers.reconnecting?.({ attempt: this.#backoff?.attempt ?? 0, delay, error });
  }

  /** The link must live as long as any channel that came in over it. */
  #incoming(channel: IncomingChannel): void {
    this.#handlers.channel({
      ...channel,
      accept: (protocol, listener) => {
        this.#open++;
        return channel.accept(protocol, {
          ...forward(listener),
          closed: end => {
            this.#open--;
            listener.closed(end);
            this.#releaseWhenUnused();
          },
        });
      },
    });
  }

  #end(error?: SecureWebSocketError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWaiting?.();
    this.#link?.unlisten();
    this.#handlers.closed(error);
    this.#releaseWhenUnused();
  }

  #releaseWhenUnused(): void {
    if (!this.#closed || this.#open > 0 || !this.#lease) return;
    const lease = this.#lease;
    this.#lease = undefined;
    // After this turn: what was sealed last is on its way by then.
    queueMicrotask(() => {
      lease.release();
    });
  }
}

type Listener = Parameters<IncomingChannel['accept']>[1];

/** A listener may be an instance whose methods are on its prototype: they must keep their `this`. */
function forward(listener: Listener): Listener {
  return {
    opened: information => listener.opened?.(information),
    message: (data, isText) => {
      listener.message(data, isText);
    },
    ping: data => listener.ping?.(data),
    pong: data => listener.pong?.(data),
    closing: () => listener.closing?.(),
    sent: bytes => listener.sent?.(bytes),
    suspended: suspension => listener.suspended?.(suspension),
    resumed: resumption => listener.resumed?.(resumption),
    closed: end => {
      listener.closed(end);
    },
  };
}
