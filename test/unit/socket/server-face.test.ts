import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { afterAll, beforeAll } from 'vitest';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { ServerSecureWebSocket } from '../../../src/socket/server-secure-web-socket.js';
import { EventQueue } from '../../support/event-queue.js';
import { ScriptedChannel } from '../../support/scripted-channel.js';
import {
  describeServerFace,
  type FacePair,
  type FacePeer,
  type PeerEvent,
} from '../../support/server-face.js';

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

/** `ws` against `ws`, over TCP. */
function wsPeer(client: WebSocket): FacePeer {
  const events = new EventQueue<PeerEvent>();
  client.on('message', (data: Buffer, isBinary) => {
    events.push(isBinary ? ['binary', hex(data)] : ['text', data.toString()]);
  });
  client.on('ping', data => events.push(['ping', hex(data)]));
  client.on('pong', data => events.push(['pong', hex(data)]));
  client.on('close', (code, reason) => events.push(['close', code, reason.toString()]));
  client.on('error', () => undefined);
  const whenOpen = (act: () => void): void => {
    if (client.readyState === WebSocket.OPEN) act();
    else client.once('open', act);
  };
  return {
    events,
    text: text => whenOpen(() => client.send(text)),
    binary: (...bytes) => whenOpen(() => client.send(Buffer.from(bytes))),
    ping: (...bytes) => whenOpen(() => client.ping(Buffer.from(bytes))),
    pong: (...bytes) => whenOpen(() => client.pong(Buffer.from(bytes))),
    close: (code, reason) => whenOpen(() => client.close(code, reason)),
    drop: () => whenOpen(() => client.terminate()),
  };
}

let server: WebSocketServer;
beforeAll(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
});
afterAll(() => {
  for (const client of server.clients) client.terminate();
  server.close();
});

describeServerFace('ws itself', async onConnection => {
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${String(port)}`);
  const peer = wsPeer(client);
  const pair = new Promise<FacePair>(resolve => {
    server.once('connection', socket => {
      onConnection({ socket, peer });
      resolve({ socket, peer });
    });
  });
  await once(client, 'open');
  return pair;
});

/** A port with a peer behind it that is there at once, and acts in turns of its own. */
class PlayedChannel extends ScriptedChannel {
  readonly #events = new EventQueue<PeerEvent>();
  #isPaused = false;
  readonly #inbox: (() => void)[] = [];

  readonly peer: FacePeer = {
    events: this.#events,
    text: text => {
      this.#arrives(() => super.text(text));
    },
    binary: (...bytes) => {
      this.#arrives(() => super.binary(...bytes));
    },
    ping: (...bytes) => {
      this.#later(() => this.listener.ping?.(Uint8Array.from(bytes)));
    },
    pong: (...bytes) => {
      this.#later(() => this.listener.pong?.(Uint8Array.from(bytes)));
    },
    close: (code = 1005, reason = '') => {
      this.#later(() => {
        this.listener.closing?.();
        this.#events.push(['close', code, reason]);
        this.end({ code, reason, wasClean: true });
      });
    },
    drop: () => {
      this.#later(() =>
        this.end({ error: new SecureWebSocketError('LINK_LOST', 'The connection was lost.') }),
      );
    },
  };

  override send(data: Uint8Array, isText: boolean): void {
    super.send(data, isText);
    this.#later(() => {
      this.#events.push(isText ? ['text', Buffer.from(data).toString()] : ['binary', hex(data)]);
      this.flush(data.length);
    });
  }

  override ping(data: Uint8Array): void {
    this.#later(() => {
      this.#events.push(['ping', hex(data)]);
      this.listener.pong?.(data);
    });
  }

  override pong(data: Uint8Array): void {
    this.#later(() => this.#events.push(['pong', hex(data)]));
  }

  override close(code?: number, reason?: string): void {
    this.#later(() => {
      this.#events.push(['close', code ?? 1005, reason ?? '']);
      this.end({ code: code ?? 1005, reason: reason ?? '', wasClean: true });
    });
  }

  override terminate(): void {
    this.#later(() => {
      this.#events.push(['close', 1006, '']);
      this.end({ error: new SecureWebSocketError('ABORTED', 'The socket was terminated by this end.') });
    });
  }

  override pause(): void {
    this.#isPaused = true;
  }

  override resume(): void {
    this.#isPaused = false;
    this.#later(() => {
      for (const message of this.#inbox.splice(0)) message();
    });
  }

  #arrives(message: () => void): void {
    this.#later(() => {
      if (this.#isPaused) this.#inbox.push(message);
      else message();
    });
  }

  #later(act: () => unknown): void {
    queueMicrotask(act);
  }
}

describeServerFace('ServerSecureWebSocket over a channel', onConnection => {
  const channel = new PlayedChannel();
  // A type check as well: it goes wherever a WebSocket of `ws` is asked for.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
  const socket: WebSocket = new ServerSecureWebSocket(channel);
  const pair = { socket, peer: channel.peer };
  onConnection(pair);
  return Promise.resolve(pair);
});
