import { SecureWebSocketError } from '../core/errors.js';
import { Endpoint } from '../core/endpoint.js';
import type { Identity } from '../core/identity.js';
import { toHex } from '../core/bytes.js';
import { EVENTS_TARGET } from '../core/server-event.js';
import { monotonicNow, startTimer, stopTimer, type Timer, wallClock } from './clock.js';
import type { IncomingChannel, ServerEvent, Throttling } from './channel-port.js';
import type { AttemptOptions } from './dial-options.js';
import type { HeadStart } from './head-start.js';
import type { Resumption } from './resumption.js';
import { Link, type LinkOptions } from './link.js';
import { objectNumber } from './object-number.js';
import { ServerEventChannel, type ServerEventTaker } from './server-event-channel.js';
import { type DialledSocket, registerDialled } from './register-dialled.js';
import { TokenRenewal } from './token-renewal.js';
import { checkServerKey } from './trust.js';

/** What somebody who holds a shared link is told. */
export interface LinkUser {
  /** A channel that a peer wants to open. At most one user of a link takes these: the latest. */
  readonly incoming?: (channel: IncomingChannel) => void;
  /** Who keeps the channels that come in so. */
  readonly resumption?: Resumption | undefined;
  readonly closed?: (error: SecureWebSocketError) => void;
  /** The relay holds back what is sent over this link. */
  readonly throttled?: (throttling: Throttling) => void;
  /** A service at the relay has sent something to whoever is connected. */
  readonly serverEvent?: (event: ServerEvent) => void;
}

/** A relay cannot make anybody wait for longer than this before the link is left, milliseconds. */
const MAX_RECONNECT_IN = 600_000;
/** Nor make anybody try without pause for longer than this. */
const MAX_TRY_FOR = 300_000;

/** One link to a relay that is shared by everybody who asks for the same identity and relay. */
class SharedLink {
  readonly users = new Set<LinkUser>();
  readonly ready: Promise<Link>;
  readonly #dialling: ReturnType<typeof register>;

  constructor(
    readonly key: string,
    /** Relay and identity: what a connection id is about. */
    readonly place: string,
    readonly url: string,
    location: string,
    identity: Identity,
    options: AttemptOptions,
    /** The one that it has, or asks for. */
    public connectionId: number | undefined,
    headStart: HeadStart | undefined,
  ) {
    const dialling = register(url, location, identity, options, connectionId, headStart);
    this.#dialling = dialling;
    this.ready = dialling.registered.then(socket => this.#adopt(socket, identity, options));
    this.ready.catch(() => {
      forget(this);
    });
  }

  /** Gives up while it is not ready. */
  abort(error: SecureWebSocketError): void {
    this.#dialling.abort(error);
  }

  /** What comes in from now on is for the latest of those who take that. */
  chooseTaker(link: Link): void {
    link.resumption = this.#taker?.resumption;
  }

  get #taker(): LinkUser | undefined {
    return [...this.users].filter(user => user.incoming).at(-1);
  }

  #adopt(dialled: DialledSocket, identity: Identity, options: AttemptOptions): Link {
    this.connectionId = dialled.connectionId;
    const { freshToken } = options;
    const renewal =
      freshToken &&
      new TokenRenewal(freshToken, dialled.keys, frame => {
        link.sendFrame(frame);
      });
    // Without it they have served: what a link carries for others is sealed by others.
    if (renewal) renewal.accepted(dialled.expiresIn);
    else dialled.keys.wipe();
    let leaving: Timer | undefined;
    const hooks: LinkHooks = {
      resumption: this.#taker?.resumption,
      onControl: (control, carrier) => {
        switch (control.type) {
          case 'TOKEN_ACCEPTED':
            renewal?.accepted(control.expiresIn);
            return;
          case 'TOKEN_REFUSED':
            renewal?.refused();
            return;
          case 'THROTTLED':
            for (const user of [...this.users]) user.throttled?.(control);
            return;
          case 'RESTARTING':
            leaving ??= this.#leave(carrier, control.reconnectIn, control.tryFor);
            return;
        }
      },
      onIncoming: incoming => {
        const taker = this.#taker;
        if (taker?.incoming) taker.incoming(incoming);
        else incoming.refuse(404, 'nobody listens');
      },
      onClosed: error => {
        renewal?.stop();
        stopTimer(leaving);
        forget(this);
        for (const user of [...this.users]) user.closed?.(error);
      },
    };
    const takers = (): ServerEventTaker[] => [...this.users].flatMap(({ serverEvent }) => serverEvent ?? []);
    const link = startLink(dialled, identity, options, hooks, started => {
      started.reserve(EVENTS_TARGET, new ServerEventChannel(started.serverPublicKey, takers));
    });
    return link;
  }

  /** The relay goes down in an orderly way. Who does not leave then is left. */
  #leave(link: Link, reconnectIn: number, tryFor: number): Timer {
    const delay = Math.min(reconnectIn, MAX_RECONNECT_IN);
    link.tryUntil = monotonicNow() + delay + Math.min(tryFor, MAX_TRY_FOR);
    // Nobody who comes from now on would have it for long.
    forget(this);
    return startTimer(delay, () => {
      link.close(new SecureWebSocketError('RESTARTING', 'The relay is restarting.'), 1001);
    });
  }
}

const shared = new Map<string, SharedLink>();

function forget(link: SharedLink): void {
  if (shared.get(link.key) === link) shared.delete(link.key);
}

/** Whether there is, or is going to be, a link to the relay at `url`, be it somebody else's. */
export function hasSharedLink(url: string): boolean {
  return [...shared.values()].some(link => link.url === url);
}

/** A link that was asked for. `release` must be called once; the last to do so closes the link. */
export interface LinkLease {
  readonly ready: Promise<Link>;
  release(): void;
}

/**
 * The link of `identity` to the relay at `url`: the one that exists, or a new one. `connectionId`: the one that is asked
 * for, where there was one before. `headStart`: what a new one may start with.
 */
export function leaseLink(
  url: string,
  location: string,
  identity: Identity,
  options: AttemptOptions,
  user: LinkUser,
  connectionId?: number,
  headStart?: HeadStart,
): LinkLease {
  const key = JSON.stringify([
    url,
    identity.publicKey,
    options.userId,
    options.deviceId,
    options.maxPayload,
    options.maxChannelsPerPeer,
    options.maxPeers,
    // Somebody's wrong pin must not fail the link of others.
    options.serverKey,
    // Of a function's tokens one is as good as the other.
    options.freshToken ? undefined : options.token,
    ...[options.freshToken, options.trustStore, options.WebSocket, options.headers, options.tls].map(
      objectNumber,
    ),
  ]);
  let link = shared.get(key);
  if (!link) {
    const place = JSON.stringify([url, identity.publicKey]);
    // Whoever asks for an id that another link of ours has would end that one.
    const isTaken = [...shared.values()].some(
      other => other.place === place && other.connectionId === connectionId,
    );
    const wanted = isTaken ? undefined : connectionId;
    link = new SharedLink(key, place, url, location, identity, options, wanted, headStart);
    shared.set(key, link);
  }
  const mine = link;
  mine.users.add(user);
  // A trust store may be of another opinion by now.
  const ready = mine.ready.then(async existing => {
    await checkServerKey(options, location, existing.serverPublicKey);
    mine.chooseTaker(existing);
    return existing;
  });
  return {
    ready,
    release: () => {
      if (!mine.users.delete(user) || mine.users.size > 0) {
        mine.ready.then(
          existing => {
            mine.chooseTaker(existing);
          },
          () => undefined,
        );
        return;
      }
      forget(mine);
      const error = new SecureWebSocketError('ABORTED', 'Nobody uses this connection any more.');
      mine.abort(error);
      mine.ready.then(
        existing => {
          existing.close(error);
        },
        () => undefined,
      );
    },
  };
}

/** Dials and registers, with the server's key checked as `options` say. */
export function register(
  url: string,
  location: string,
  identity: Identity,
  options: AttemptOptions,
  connectionId?: number,
  headStart?: HeadStart,
): ReturnType<typeof registerDialled> {
  const { userId, deviceId, token, WebSocket, headers, tls } = options;
  return registerDialled({
    url,
    location,
    identity,
    userId,
    deviceId,
    token,
    connectionId,
    WebSocket,
    headers,
    tls,
    headStart,
    checkServerKey: publicKey => checkServerKey(options, location, publicKey),
  });
}

type LinkHooks = Pick<LinkOptions, 'onControl' | 'onIncoming' | 'onClosed' | 'onIdle' | 'resumption'>;

/** Puts an endpoint on a socket that has just been registered. `prepare` is called before anything that has come is read. */
export function startLink(
  dialled: DialledSocket,
  identity: Identity,
  options: AttemptOptions,
  hooks: LinkHooks,
  prepare: (link: Link) => void,
): Link {
  const endpoint = new Endpoint({
    crypto: identity.crypto,
    keyPair: identity.keyPair,
    connectionId: dialled.connectionId,
    maxFrame: dialled.maxFrame,
    allocate: length => dialled.socket.allocate?.(length) ?? new Uint8Array(length),
    maxPayload: options.maxPayload,
    maxChannelsPerPeer: options.maxChannelsPerPeer,
    maxPeers: options.maxPeers,
    resumables: hooks.resumption?.channels,
    wallClock,
  });
  const link = new Link({
    endpoint,
    socket: dialled.socket,
    maxFrame: dialled.maxFrame,
    publicKey: identity.publicKey,
    serverPublicKey: toHex(dialled.serverKey),
    connectionId: dialled.connectionId,
    ...hooks,
  });
  prepare(link);
  dialled.start({
    binary: data => {
      link.binary(data);
    },
    drained: () => {
      link.drained();
    },
    closed: (code, reason, detail) => {
      link.lost(code, reason, detail);
    },
  });
  return link;
}
