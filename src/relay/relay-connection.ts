import type { Duplex } from 'node:stream';
import type { WebSocket as WsWebSocket } from 'ws';
import type { RegisteredListener } from '../link/accept.js';
import type { RawSocket } from '../link/raw-socket.js';
import type { Watched } from './keepalive.js';
import type { RouterConnection } from './router-connection.js';
import type { RouterPort } from './router.js';
import { Unmasker } from './unmasker.js';
import type { HeldWrites, WriteBatch } from './write-batch.js';

/** What is held back is not more than this, bytes: with so much of it, a write more or less costs nothing. */
const MAX_HELD = 65_536;

/** A registered client, as events tell of it. */
export interface RelayClient {
  /** Address of the client: 64 hex digits. */
  readonly publicKey: string;
  readonly connectionId: number;
  /** IP address, where it is known. */
  readonly remoteAddress: string | undefined;
}

/** What the connections of one relay share. */
export interface RelayConnectionOwner {
  readonly batch: WriteBatch;
  /** The connection of a registered client is closed, with this status code of RFC 6455. Called once. */
  readonly closed: (connection: RelayConnection, client: RelayClient, code: number) => void;
}

/**
 * One connection of a relay, from its upgrade until it is closed: between its socket and, once the client is registered,
 * its port of the router. A relay has very many of them, and most are idle: what is not needed then is not kept here.
 */
export class RelayConnection implements RouterConnection, RegisteredListener, Watched, HeldWrites {
  readonly ws: WsWebSocket;
  heard = true;
  readonly #owner: RelayConnectionOwner;
  /** The TCP or TLS socket under `ws`. */
  readonly #network: Duplex;
  readonly #unmasker = new Unmasker();
  #socket: RawSocket | undefined;
  #port: RouterPort | undefined;
  #client: RelayClient | undefined;
  /** About how many bytes are held back. 0: none are, and the network is not corked. */
  #held = 0;
  #isInBatch = false;

  /** `ws` has just been made of `network`, and has read nothing yet. */
  constructor(ws: WsWebSocket, network: Duplex, owner: RelayConnectionOwner) {
    this.ws = ws;
    this.#network = network;
    this.#owner = owner;
    // Before the listener of `ws`, which finds the bytes unmasked.
    network.prependListener('data', (chunk: Buffer) => {
      this.heard = true;
      owner.batch.read();
      this.#unmasker.unmask(chunk);
    });
  }

  /** The client is registered: what it sends goes to `port`, and what comes from there to `socket`. */
  connect(client: RelayClient, socket: RawSocket, port: RouterPort): void {
    this.#client = client;
    this.#socket = socket;
    this.#port = port;
  }

  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  send(bytes: Uint8Array): void {
    if (this.#held === 0 && bytes.length < MAX_HELD) this.#hold();
    if (this.#held !== 0) this.#held += bytes.length;
    this.#socket?.send(bytes);
    if (this.#held > MAX_HELD) this.flush();
  }

  flush(): void {
    if (this.#held === 0) return;
    this.#held = 0;
    this.#network.uncork();
  }

  /** The batch is over. */
  endOfTurn(): void {
    this.#isInBatch = false;
    this.flush();
  }

  close(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  ping(): void {
    this.ws.ping();
  }

  terminate(): void {
    this.ws.terminate();
  }

  binary(frame: Uint8Array): void {
    this.#port?.receive(frame);
  }

  drained(): void {
    this.#port?.drained();
  }

  closed(code: number): void {
    this.#port?.remove();
    if (this.#client) this.#owner.closed(this, this.#client, code);
  }

  #hold(): void {
    this.#held = 1;
    this.#network.cork();
    if (this.#isInBatch) return;
    this.#isInBatch = true;
    this.#owner.batch.add(this);
  }
}
