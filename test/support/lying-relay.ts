import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { compareBytes, toHex } from '../../src/core/bytes.js';
import {
  connectionIdOf,
  decodeFrame,
  encodeEnvelope,
  encodeNotice,
  NoticeReason,
  peerAddress,
  PUBLIC_KEY_LENGTH,
} from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import { type RegisteredLink, registerAccepted } from '../../src/link/accept.js';
import { wrapWsSocket } from '../../src/link/platform/ws-socket.js';

/** One connection to the relay. */
export class RelayedClient {
  /** Exact peer address. */
  readonly address: Uint8Array;
  readonly publicKey: string;
  listening = false;
  readonly #link: RegisteredLink;

  constructor(link: RegisteredLink) {
    this.address = peerAddress(link.publicKey, link.connectionId);
    this.publicKey = toHex(link.publicKey);
    this.#link = link;
  }

  /** Any frame. */
  send(frame: Uint8Array): void {
    this.#link.socket.send(frame);
  }

  /** A sealed body, said to come from `source`. */
  deliver(source: Uint8Array, body: Uint8Array): void {
    this.send(encodeEnvelope(source, body));
  }
}

/** A sealed body on its way. */
export interface Packet {
  readonly from: RelayedClient;
  readonly to: RelayedClient;
  /** The address that the recipient is told. */
  readonly source: Uint8Array;
  readonly body: Uint8Array;
}

/** What is delivered instead of a packet. */
export type Lie = (packet: Packet) => Packet | readonly Packet[];

/** Delivers what is sent to whom it is for, in the name of who sent it. */
export const truth: Lie = packet => packet;

/** A relay that registers its clients as it should, and then forwards, stamps and invents what it likes. */
export class LyingRelay {
  lie: Lie = truth;
  readonly clients: RelayedClient[] = [];
  /** What clients sent, as an honest relay would have delivered it. */
  readonly passed: Packet[] = [];
  readonly identity: Identity;
  readonly #server: WebSocketServer;
  #nextId = 1;

  private constructor(server: WebSocketServer, identity: Identity) {
    this.#server = server;
    this.identity = identity;
    server.on('connection', (ws, request) => {
      registerAccepted(wrapWsSocket(ws), { identity, connectionId: () => this.#nextId++ }, request).then(
        link => {
          this.#add(link);
        },
        () => undefined,
      );
    });
  }

  static async start(): Promise<LyingRelay> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await once(server, 'listening');
    return new LyingRelay(server, await Identity.generate());
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The latest connection of a key. */
  clientOf(publicKey: string): RelayedClient {
    const client = this.clients.filter(each => each.publicKey === publicKey).at(-1);
    if (!client) throw new Error('There is no such client.');
    return client;
  }

  async close(): Promise<void> {
    for (const ws of this.#server.clients) ws.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #add(link: RegisteredLink): void {
    const client = new RelayedClient(link);
    this.clients.push(client);
    link.start({
      text: () => undefined,
      binary: data => {
        const frame = decodeFrame(data);
        if (frame.type === 'listen') client.listening = frame.listening;
        if (frame.type === 'envelope') this.#forward(client, frame.address.slice(), frame.body.slice());
      },
      closed: () => {
        this.clients.splice(this.clients.indexOf(client), 1);
      },
    });
  }

  #forward(from: RelayedClient, destination: Uint8Array, body: Uint8Array): void {
    const to = this.#find(destination);
    if (!to) {
      from.send(encodeNotice(NoticeReason.NOT_HERE, destination));
      return;
    }
    const packet = { from, to, source: from.address, body };
    this.passed.push(packet);
    for (const each of [this.lie(packet)].flat()) each.to.deliver(each.source, each.body);
  }

  #find(destination: Uint8Array): RelayedClient | undefined {
    if (connectionIdOf(destination) !== 0) {
      return this.clients.find(client => compareBytes(client.address, destination) === 0);
    }
    const key = toHex(destination.subarray(0, PUBLIC_KEY_LENGTH));
    return this.clients.filter(client => client.listening && client.publicKey === key).at(-1);
  }
}
