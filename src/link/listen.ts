import { asSecureWebSocketError, SecureWebSocketError } from '../core/errors.js';
import { parseLocation } from '../core/location.js';
import type { IncomingChannel } from './channel-port.js';
import { type DialOptions, peerLocation } from './dial.js';
import { resolveIdentity } from './identities.js';
import { leaseLink, type LinkLease } from './link-pool.js';

export interface ListenHandlers {
  /** The relay has registered us, and peers can open channels. */
  listening(information: { publicKey: string; serverPublicKey: string }): void;
  channel(incoming: IncomingChannel): void;
  /** It is over: because of `error`, or without one because `close` was called. Called exactly once. */
  closed(error?: SecureWebSocketError): void;
}

export interface RelayListener {
  /** Where peers dial: `wss://relay.example/<hex>`. '' until `listening`. */
  readonly location: string;
  /** Listens no longer. Channels that are open stay open. */
  close(): void;
}

/** Listens at our public key behind the relay at `relay`. */
export function listenAtRelay(relay: URL, options: DialOptions, handlers: ListenHandlers): RelayListener {
  return new Listening(relay, options, handlers);
}

class Listening implements RelayListener {
  location = '';
  readonly #handlers: ListenHandlers;
  #lease: LinkLease | undefined;
  #stop: (() => void) | undefined;
  #open = 0;
  #closed = false;

  constructor(relay: URL, options: DialOptions, handlers: ListenHandlers) {
    this.#handlers = handlers;
    this.#connect(relay, options).catch((error: unknown) => {
      this.#end(asSecureWebSocketError(error, 'LINK_FAILED', 'The connection could not be made.'));
    });
  }

  close(): void {
    queueMicrotask(() => {
      this.#end();
    });
  }

  async #connect(relay: URL, options: DialOptions): Promise<void> {
    const { origin, dialled, peerKey } = parseLocation(relay);
    if (peerKey) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        "The URL of a relay must not hold a public key: one listens at one's own.",
      );
    }
    const identity = await resolveIdentity(options, 'server');
    if (this.#closed) return;
    this.#lease = leaseLink(dialled, origin, identity, options, {
      incoming: channel => {
        this.#incoming(channel);
      },
      closed: error => {
        this.#end(error);
      },
    });
    const link = await this.#lease.ready;
    // `close` may have been called meanwhile; the compiler cannot see that.
    if (this.#closed as boolean) return;
    link.listen();
    this.#stop = () => {
      link.unlisten();
    };
    this.location = peerLocation(dialled, identity.publicKeyBytes);
    this.#handlers.listening({ publicKey: link.publicKey, serverPublicKey: link.serverPublicKey });
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
    this.#stop?.();
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
    closed: end => {
      listener.closed(end);
    },
  };
}
