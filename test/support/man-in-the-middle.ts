import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RawData, WebSocket, WebSocketServer } from 'ws';

/** One WebSocket message: text or binary. */
export type Message = string | Uint8Array;
export type Direction = 'to server' | 'to client';

/** A message on its way through. */
export interface Intercepted {
  readonly direction: Direction;
  readonly message: Message;
  /** How many messages went the same way on this connection before. */
  readonly index: number;
  readonly connection: InterceptedConnection;
}

/** What goes on instead of a message: itself, nothing, another one, several. */
export type Tampering = (intercepted: Intercepted) => Message | readonly Message[];

/** Lets everything pass. */
export const relaying: Tampering = ({ message }) => message;

/** One client's connection, with the one to the server that stands behind it. */
export class InterceptedConnection {
  /** Everything that came, in order, as it came. */
  readonly recorded: Intercepted[] = [];
  /** Resolves when both halves are closed: nothing comes after that. */
  readonly closed: Promise<unknown>;
  readonly #client: WebSocket;
  readonly #server: WebSocket;
  readonly #tampering: () => Tampering;
  readonly #counts = { 'to server': 0, 'to client': 0 };
  readonly #waiting: Message[] = [];

  constructor(client: WebSocket, server: WebSocket, tampering: () => Tampering) {
    this.#client = client;
    this.#server = server;
    this.#tampering = tampering;
    this.closed = Promise.all([client, server].map(ws => new Promise(resolve => ws.once('close', resolve))));
    server.on('open', () => {
      for (const message of this.#waiting.splice(0)) server.send(message);
    });
    client.on('message', (data, isBinary) => {
      this.#intercept('to server', data, isBinary);
    });
    server.on('message', (data, isBinary) => {
      this.#intercept('to client', data, isBinary);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', (code, reason) => {
        if (code === 1005 || code === 1006) other.terminate();
        else other.close(code, reason);
      });
    }
  }

  /** What went one way. */
  sent(direction: Direction): Message[] {
    return this.recorded.filter(message => message.direction === direction).map(({ message }) => message);
  }

  /** Sends something of our own. */
  inject(direction: Direction, message: Message): void {
    if (direction === 'to client') this.#client.send(message);
    else if (this.#server.readyState === WebSocket.CONNECTING) this.#waiting.push(message);
    else this.#server.send(message);
  }

  /** Ends both halves: with a closing handshake when there is a code. */
  cut(code?: number): void {
    for (const ws of [this.#client, this.#server]) {
      if (code === undefined) ws.terminate();
      else ws.close(code);
    }
  }

  #intercept(direction: Direction, data: RawData, isBinary: boolean): void {
    const bytes = data as Buffer;
    const message = isBinary ? Uint8Array.from(bytes) : bytes.toString();
    const intercepted = { direction, message, index: this.#counts[direction]++, connection: this };
    this.recorded.push(intercepted);
    const instead = this.#tampering()(intercepted);
    for (const each of Array.isArray(instead) ? (instead as readonly Message[]) : [instead as Message]) {
      this.inject(direction, each);
    }
  }
}

/**
 * Somebody on the path: clients dial `url`, and everything passes through `tampering` on its way to and from `target`.
 * A server that has `url` among its addresses can be attacked by it as from inside the network; any other as from
 * another place.
 */
export class ManInTheMiddle {
  /** Where messages go: the location of a server. */
  target = '';
  tampering: Tampering = relaying;
  /** Whether the server sees its own name in the `Host` header, or the one that the client dialled. */
  rewritesHost = true;
  readonly connections: InterceptedConnection[] = [];
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (client, request) => {
      this.#connect(client, request);
    });
  }

  static async start(): Promise<ManInTheMiddle> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await once(server, 'listening');
    return new ManInTheMiddle(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The latest connection. */
  get latest(): InterceptedConnection {
    const latest = this.connections.at(-1);
    if (latest === undefined) throw new Error('Nobody has connected.');
    return latest;
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #connect(client: WebSocket, request: IncomingMessage): void {
    const headers = this.rewritesHost ? {} : { Host: request.headers.host };
    const url = new URL(request.url ?? '/', this.target);
    const server = new WebSocket(url, { headers, perMessageDeflate: false });
    this.connections.push(new InterceptedConnection(client, server, () => this.tampering));
  }
}

/** Frames of one connection that go one way: what goes on instead of each. All else passes. */
export function changingFrames(
  connection: InterceptedConnection,
  direction: Direction,
  change: (frame: Uint8Array) => Uint8Array | readonly Uint8Array[],
): Tampering {
  return intercepted => {
    const { message } = intercepted;
    const applies = intercepted.connection === connection && intercepted.direction === direction;
    return applies && typeof message !== 'string' ? change(message) : message;
  };
}

/** Calls `change` for the first frame, and lets the others pass. */
export function theFirst(
  change: (frame: Uint8Array) => Uint8Array | readonly Uint8Array[],
): (frame: Uint8Array) => Uint8Array | readonly Uint8Array[] {
  let done = false;
  return frame => {
    if (done) return frame;
    done = true;
    return change(frame);
  };
}
