import type { IncomingMessage } from 'node:http';
import type { WebSocket as WsWebSocket } from 'ws';
import { SecureWebSocketError } from '../core/errors.js';
import type { Identity } from '../core/identity.js';
import { acceptDirect, type DirectChannel, type RegistrationOptions } from '../link/accept.js';
import type { ChannelPort } from '../link/channel-port.js';
import { resolveIdentity } from '../link/identities.js';
import type { KeyStore } from '../link/key-store.js';
import type { Resumption } from '../link/resumption.js';
import { selectProtocol, type HandleProtocols } from './server-options.js';
import { ServerSecureWebSocket as NeutralServerSecureWebSocket } from './server-secure-web-socket.js';

const OPEN = 1;

/**
 * A WebSocket of `ws`, as far as types go. Named here so that a program needs the types of `ws` only if it uses `ws` itself.
 */
export interface AcceptedWebSocket {
  readonly readyState: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever the types of `ws` say of their listeners
  on(event: any, listener: any): unknown;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- and of what can be sent
  send(data: any, ...rest: any[]): void;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}

/** How a connection of `ws` is registered. */
export interface ChannelAcceptOptions extends Partial<
  Pick<RegistrationOptions, 'addresses' | 'userId' | 'deviceId' | 'registrationTimeout' | 'maxFrame'>
> {
  /** Who this end is. Default: the identity in `keyStore`. */
  readonly identity?: Identity | Promise<Identity> | undefined;
  /** Where the identity is kept. Default: a file of this user. */
  readonly keyStore?: KeyStore | undefined;
  /** Largest message, bytes. Default: 100 MiB. */
  readonly maxPayload?: number | undefined;
}

/** Options of {@link ServerSecureWebSocket.accept}. */
export interface AcceptOptions extends ChannelAcceptOptions {
  /** Chooses one of the subprotocols that the client offers, or false for none. Default: the first. */
  readonly handleProtocols?: HandleProtocols<IncomingMessage | undefined> | undefined;
  /** Answer pings. Default: true. */
  readonly autoPong?: boolean | undefined;
  /**
   * Whether `message` and other events may be emitted several times in one task, one right after the other, when the
   * messages have come together; promises that a listener settles are served only behind the last of them then. False:
   * each has a task of its own, as the WebSockets Standard asks and as `ClientSecureWebSocket` does; slower. As in `ws`.
   * Default: true.
   */
  readonly allowSynchronousEvents?: boolean | undefined;
  /**
   * Keeps connections while their clients are away: one for all calls of a service. A client that comes back is given
   * the socket that it had, so `accept` resolves to a socket that it has resolved to before. Default: none are kept.
   */
  readonly resumption?: Resumption | undefined;
}

/**
 * The server's end of one encrypted channel, with the face of a WebSocket of `ws`; in Node it can also be put around
 * one WebSocket of `ws`.
 */
export class ServerSecureWebSocket extends NeutralServerSecureWebSocket {
  /**
   * Puts the encryption around one WebSocket that a server of `ws` has accepted: registers its client, and waits for
   * the channel that it opens. To be called at once in the `connection` handler: it listens from the first tick, and a
   * listener that is added right after `await` misses nothing.
   *
   * From then on `ws.send` throws (`PLAINTEXT_REFUSED`): it would send plaintext into the encrypted stream.
   *
   * @param request The HTTP request of the upgrade, as the `connection` handler gets it.
   * @throws SecureWebSocketError (as a rejection) when the client does not prove its key in time, or opens no channel;
   *   the connection is closed then.
   */
  static async accept(
    ws: AcceptedWebSocket,
    options: AcceptOptions = {},
    request?: IncomingMessage,
  ): Promise<ServerSecureWebSocket> {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- of any copy of `ws`
    const accepted = await acceptChannel(ws as WsWebSocket, options, request, options.resumption);
    if ('resumed' in accepted) return socketOf(accepted.resumed);
    const { incoming } = accepted;
    let accepting: ChannelPort | undefined;
    let protocol: string;
    try {
      protocol = selectProtocol(incoming.protocols, options.handleProtocols, request);
    } catch (error) {
      incoming.refuse(500, 'Internal Server Error');
      throw error;
    }
    const socket = new ServerSecureWebSocket(
      {
        ...incoming,
        accept: (chosen, listener) => {
          const port = incoming.accept(chosen, listener);
          accepting = port;
          return port;
        },
      },
      protocol,
      { autoPong: options.autoPong, allowSynchronousEvents: options.allowSynchronousEvents },
    );
    if (accepting) sockets.set(accepting, socket);
    return socket;
  }
}

/** The sockets that `accept` gave, for clients that come back. */
const sockets = new WeakMap<ChannelPort, ServerSecureWebSocket>();

function socketOf(port: ChannelPort): ServerSecureWebSocket {
  const socket = sockets.get(port);
  if (!socket)
    throw new SecureWebSocketError('CHANNEL_LOST', 'The socket of this connection is not one of these.');
  return socket;
}

const taken = new WeakSet<WsWebSocket>();

/** Registers the client of `ws`, and waits for its channel. Begins at once, whatever the identity has to wait for. */
export async function acceptChannel(
  ws: WsWebSocket,
  options: ChannelAcceptOptions,
  request: IncomingMessage | undefined,
  resumption: Resumption | undefined,
): Promise<DirectChannel> {
  if (taken.has(ws)) {
    throw new SecureWebSocketError(
      'INVALID_ARGUMENT',
      'This WebSocket is taken already: accept it only once.',
    );
  }
  taken.add(ws);
  const { addresses, userId, deviceId, registrationTimeout, maxFrame, maxPayload } = options;
  const register = (identity: Identity): Promise<DirectChannel> =>
    acceptDirect(
      ws,
      {
        identity,
        addresses,
        userId,
        deviceId,
        registrationTimeout,
        maxFrame,
        maxPayload,
        resumption,
      },
      request,
    );
  const { identity } = options;
  if (identity !== undefined && !('then' in identity)) {
    const accepted = register(identity);
    refusePlaintext(ws);
    return accepted;
  }
  // Until the identity is there nothing may be lost, and nothing that happens to the socket may end the process.
  const ignore = (): void => undefined;
  ws.on('error', ignore);
  ws.pause();
  const allowPlaintext = refusePlaintext(ws);
  let loaded: Identity;
  try {
    loaded = await resolveIdentity(options, 'server');
  } catch (error) {
    ws.terminate();
    throw error;
  }
  if (ws.readyState !== OPEN) {
    throw new SecureWebSocketError('LINK_LOST', 'The client went away before it was registered.');
  }
  allowPlaintext();
  const accepted = register(loaded);
  refusePlaintext(ws);
  ws.off('error', ignore);
  ws.resume();
  return accepted;
}

/** Makes `ws.send` throw; returns what undoes it. The link keeps the method that it found when it began. */
function refusePlaintext(ws: WsWebSocket): () => void {
  const before = Object.getOwnPropertyDescriptor(ws, 'send');
  Object.defineProperty(ws, 'send', {
    configurable: true,
    value: () => {
      throw new SecureWebSocketError(
        'PLAINTEXT_REFUSED',
        'This WebSocket carries an encrypted channel: ws.send would send plaintext. Use send of the ServerSecureWebSocket.',
      );
    },
  });
  return () => {
    if (before) Object.defineProperty(ws, 'send', before);
    else Reflect.deleteProperty(ws, 'send');
  };
}
