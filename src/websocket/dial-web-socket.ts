import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as netConnect, isIP, type NetConnectOpts, type OnReadOpts, type Socket } from 'node:net';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import { largeBuffers } from '../core/buffer-pool.js';
import { describeError } from '../core/describe-error.js';
import { acceptKey } from './accept-web-socket.js';
import { FRAME_HEADROOM } from './frame.js';
import { withHeadroom } from './headroom.js';
import type { RawSocket, RawSocketListener } from './raw-socket.js';
import { WebSocketConnection } from './web-socket-connection.js';

/** The upgrade must be answered within so many milliseconds. */
const HANDSHAKE_TIMEOUT = 20_000;
/** As much as the operating system is asked for at once, bytes. */
const READ_SIZE = 65_536;

/**
 * What is read goes here, and is copied from here: memory that is not used again would be what the garbage collector has
 * most to do with. One for all sockets, as what was read is dealt with before the next socket reads; but Windows reads
 * ahead.
 */
const shared = process.platform === 'win32' ? undefined : Buffer.allocUnsafeSlow(READ_SIZE);

export interface DialOptions {
  /** HTTP headers of the opening handshake. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Options of `tls.connect`, such as `ca`. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
  /** Largest message that is taken, bytes. */
  readonly maxPayload: number;
}

/**
 * Dials a WebSocket (RFC 6455 section 4.1), without extensions and subprotocols, and follows no redirect.
 * @throws when the URL or an option of the request cannot be what it is
 */
export function dialWebSocket(url: string, options: DialOptions, listener: RawSocketListener): RawSocket {
  return new DialledWebSocket(new URL(url), options, listener);
}

class DialledWebSocket extends WebSocketConnection {
  /** Until it is answered. */
  #request: ClientRequest | undefined;
  #isUpgraded = false;
  /** What `allocate` gave: only there is room for a header. */
  readonly #allocated = new Set<Uint8Array>();
  readonly #key = randomBytes(16).toString('base64');
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(url: URL, options: DialOptions, listener: RawSocketListener) {
    super({ masked: false, borrowed: true, maxPayload: options.maxPayload, memory: largeBuffers }, listener);
    const isSecure = url.protocol === 'wss:';
    const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
    const request = (isSecure ? httpsRequest : httpRequest)({
      host,
      port: url.port || (isSecure ? 443 : 80),
      path: url.pathname + url.search,
      ...(url.username || url.password ? { auth: credentialsOf(url) } : {}),
      headers: {
        ...options.headers,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': this.#key,
      },
      createConnection: connection => this.#connect(connection as NetConnectOpts, isSecure, options.tls),
    });
    this.#request = request;
    this.#deadline = setTimeout(() => {
      this.#fail('the server did not answer the opening handshake in time');
    }, HANDSHAKE_TIMEOUT);
    request.on('upgrade', (response, socket, head) => {
      this.#open(response, socket, head);
    });
    request.on('response', ({ statusCode = 0 }) => {
      const redirect =
        statusCode >= 300 && statusCode < 400 ? ', a redirect, and those are not followed' : '';
      this.#fail(`server answered ${String(statusCode)}${redirect}`);
    });
    request.on('error', error => {
      this.#fail(describeError(error));
    });
    request.end();
  }

  allocate(length: number): Uint8Array {
    const message = withHeadroom(length, largeBuffers).subarray(FRAME_HEADROOM, FRAME_HEADROOM + length);
    this.#allocated.add(message);
    return message;
  }

  override send(data: string | Uint8Array): void {
    if (typeof data !== 'string' && this.#allocated.delete(data)) this.sendInPlace(data);
    else super.send(data);
  }

  override close(code?: number, reason?: string): void {
    if (this.#request) this.#fail('closed before it was open');
    else super.close(code, reason);
  }

  override terminate(): void {
    if (this.#request) this.#fail('closed before it was open');
    else super.terminate();
  }

  #connect(
    options: NetConnectOpts,
    isSecure: boolean,
    tls: Readonly<Record<string, unknown>> | undefined,
  ): Socket {
    const onread: OnReadOpts = {
      buffer: shared ?? Buffer.allocUnsafeSlow(READ_SIZE),
      callback: (length, buffer) => {
        const chunk = buffer.subarray(0, length);
        // The answer is for the parser of HTTP to read.
        if (this.#isUpgraded) this.receive(chunk);
        else socket.push(Buffer.from(chunk));
        return true;
      },
    };
    const { host } = options as { host: string };
    const socket: Socket = isSecure
      ? tlsConnect({
          ...(options as ConnectionOptions),
          servername: isIP(host) ? '' : host,
          ...tls,
          // Else it would be taken for the path of a Unix socket.
          path: undefined,
          onread,
        } as ConnectionOptions)
      : netConnect({ ...options, path: undefined, onread } as NetConnectOpts);
    return socket;
  }

  #open(response: IncomingMessage, socket: Socket, head: Buffer): void {
    if (!this.#request) {
      socket.destroy();
      return;
    }
    const { headers } = response;
    let wrong: string | undefined;
    if (headers.upgrade?.toLowerCase() !== 'websocket') wrong = 'it does not upgrade to websocket';
    else if (headers['sec-websocket-accept'] !== acceptKey(this.#key))
      wrong = 'Sec-WebSocket-Accept is wrong';
    else if (headers['sec-websocket-protocol'] !== undefined)
      wrong = 'it names a subprotocol, and none was offered';
    else if (headers['sec-websocket-extensions'] !== undefined)
      wrong = 'it names an extension, and none was offered';
    if (wrong !== undefined) {
      socket.destroy();
      this.#fail(`the answer to the opening handshake is not valid: ${wrong}`);
      return;
    }
    clearTimeout(this.#deadline);
    this.#request = undefined;
    this.#isUpgraded = true;
    this.attach(socket);
    this.listener.open?.();
    if (head.length > 0) this.receive(head);
  }

  #fail(detail: string): void {
    const request = this.#request;
    if (!request) return;
    this.#request = undefined;
    clearTimeout(this.#deadline);
    request.destroy();
    this.failed(new Error(detail));
    setTimeout(() => {
      this.closed();
    }, 0);
  }
}

function credentialsOf({ username, password }: URL): string {
  return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
}
