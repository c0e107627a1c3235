import { fromHex } from '../core/bytes.js';
import { SecureWebSocketError } from '../core/errors.js';
import { peerAddress } from '../core/frame.js';
import type { Location } from '../core/location.js';
import type { AttemptOptions } from './dial-options.js';
import type { HeadStart } from './head-start.js';
import type { Link } from './link.js';
import { leaseLink, type LinkLease, type LinkUser, register, startLink } from './link-pool.js';

/** Whether all who dial the same relay as the same identity have one link: to peers behind it, its spaces, and itself. */
export function isShared({ peerKey, space, isService = false }: Location): boolean {
  return peerKey !== undefined || space !== undefined || isService;
}

/** The link of one dialled channel: its own in direct use, a share of one through a relay. */
export class DialledLink {
  readonly ready: Promise<Link>;
  /** The key of the server at the other end, once it is ready. */
  serverKey: Uint8Array = new Uint8Array(0);
  /** The connection id that the server gave us, or the one that we ask for. */
  connectionId: number | undefined;
  readonly #location: Location;
  readonly #options: AttemptOptions;
  readonly #user: LinkUser;
  #link: Link | undefined;
  #release: () => void = () => undefined;
  #released = false;

  /**
   * `connectionId`: the one that we had before and want again. `headStart`: a WebSocket to this location that was dialled
   * ahead; claimed before this returns, if it is of use. `user`: whoever is told of the link.
   */
  constructor(
    location: Location,
    options: AttemptOptions,
    user: LinkUser,
    connectionId?: number,
    headStart?: HeadStart,
  ) {
    this.#user = user;
    this.#location = location;
    this.#options = options;
    this.connectionId = connectionId;
    this.ready = isShared(location) ? this.#share(headStart) : this.#dial(headStart);
    // Whoever waits for it is told; nobody may.
    this.ready.catch(() => undefined);
  }

  /** The status with which the other end closed it, if it did. */
  get closeCode(): number | undefined {
    return this.#link?.closeCode;
  }

  /** Until when the relay, which starts anew, is to be tried without pause, of the clock of `monotonicNow`. */
  get tryUntil(): number | undefined {
    return this.#link?.tryUntil;
  }

  /** The connection id that we had, once nothing has it any more: on a link that lives it is somebody else's, too. */
  get formerConnectionId(): number | undefined {
    return this.#link === undefined || this.#link.isClosed ? this.connectionId : undefined;
  }

  /** Whether it is still there, and what a channel at this location with these options would use. */
  isFor(location: Location, options: AttemptOptions): boolean {
    return (
      this.#link?.isClosed === false &&
      isShared(location) &&
      location.dialled === this.#location.dialled &&
      options.identity === this.#options.identity &&
      (options.freshToken === undefined
        ? options.token === this.#options.token
        : options.freshToken === this.#options.freshToken) &&
      String(options.serverKey) === String(this.#options.serverKey)
    );
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#release();
  }

  /** Direct use: a link of its own, whose registration is the first session with the server. */
  async #dial(headStart: HeadStart | undefined): Promise<Link> {
    const { dialled, origin } = this.#location;
    const { identity } = this.#options;
    const dialling = register(dialled, origin, identity, this.#options, this.connectionId, headStart);
    const aborted = new SecureWebSocketError('ABORTED', 'The socket was closed before it was open.');
    this.#release = () => {
      dialling.abort(aborted);
    };
    const socket = await dialling.registered;
    if (this.#released) {
      socket.socket.close(1000);
      throw aborted;
    }
    this.serverKey = socket.serverKey.slice();
    const link = startLink(
      socket,
      identity,
      this.#options,
      {
        onIdle: () => {
          link.close(new SecureWebSocketError('ABORTED', 'The socket was closed.'));
        },
      },
      ({ endpoint }) => {
        endpoint.adopt(peerAddress(socket.serverKey, 0), socket.keys);
      },
    );
    this.#link = link;
    // It is closed when its channel has ended; or now, if there never was one.
    this.#release = () => {
      if (link.endpoint.isIdle) link.close(aborted);
    };
    return link;
  }

  async #share(headStart: HeadStart | undefined): Promise<Link> {
    const { dialled, origin } = this.#location;
    const options = this.#options;
    const { identity } = options;
    const lease: LinkLease = leaseLink(
      dialled,
      origin,
      identity,
      options,
      this.#user,
      this.connectionId,
      headStart,
    );
    this.#release = () => {
      lease.release();
    };
    const link = await lease.ready;
    this.#link = link;
    this.connectionId = link.connectionId;
    this.serverKey = fromHex(link.serverPublicKey);
    return link;
  }
}
