import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { WebSocket, WebSocketServer, type ClientOptions, type ServerOptions } from 'ws';
import type { Relay } from '../../src/relay/relay.js';
import { RunningCommand } from './running-command.js';

/** A plain client, and all that happens to it. */
export interface PlainClient {
  readonly socket: WebSocket;
  /** 'open', or the HTTP status of a refusal, or what went wrong. */
  readonly outcome: Promise<string | number>;
  /** Words of a refusal. */
  readonly refusal: Promise<string>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** The next message: text, or bytes. */
  next(): Promise<string | Buffer>;
}

/** Plain WebSockets, and commands that bridge them. All of them end after each test. */
export function proxyScene() {
  const commands: RunningCommand[] = [];
  const sockets: WebSocket[] = [];
  const servers: WebSocketServer[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    for (const command of commands) command.signal();
    await Promise.all(commands.splice(0).map(({ exit }) => exit));
    for (const server of servers.splice(0)) {
      for (const client of server.clients) client.terminate();
      server.close();
    }
  });

  return {
    command(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
      const command = new RunningCommand(args, env);
      commands.push(command);
      return command;
    },

    /** `secure-websocket proxy` with `args`, and its address. */
    async proxy(
      args: readonly string[],
      env: Readonly<Record<string, string>> = {},
    ): Promise<RunningCommand & { readonly url: string }> {
      const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
      const command = this.command(['proxy', '--ephemeral', ...listen, ...args], env);
      const [, url = ''] = await command.tells(/^(ws:\S+)\n/m);
      return Object.assign(command, { url });
    },

    /** `secure-websocket expose` with `args`, and its address. */
    async expose(
      relay: Relay | string,
      to: string,
      ...args: readonly string[]
    ): Promise<RunningCommand & { readonly url: string; readonly publicKey: string }> {
      const url = typeof relay === 'string' ? relay : relay.url;
      const command = this.command(['expose', '--ephemeral', '--relay', url, '--to', to, ...args]);
      const [, address = '', publicKey = ''] = await command.tells(/^(ws:\S+\/([0-9a-f]{64}))\n/m);
      return Object.assign(command, { url: address, publicKey });
    },

    /** A plain server of `ws`, and its address. */
    async target(options: ServerOptions = {}): Promise<WebSocketServer & { readonly url: string }> {
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
      servers.push(server);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      return Object.assign(server, { url: `ws://127.0.0.1:${port}` });
    },

    client(url: string, protocols: readonly string[] = [], options: ClientOptions = {}): PlainClient {
      const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false, ...options });
      sockets.push(socket);
      return plainClient(socket);
    },
  };
}

function plainClient(socket: WebSocket): PlainClient {
  const messages: (string | Buffer)[] = [];
  const waiting: ((message: string | Buffer) => void)[] = [];
  socket.on('message', (data: Buffer, isBinary) => {
    const message = isBinary ? data : data.toString();
    const first = waiting.shift();
    if (first) first(message);
    else messages.push(message);
  });
  let words: (text: string) => void;
  const refusal = new Promise<string>(resolve => {
    words = resolve;
  });
  const outcome = new Promise<string | number>(resolve => {
    socket.on('open', () => {
      resolve('open');
    });
    socket.on('unexpected-response', (_, response) => {
      resolve(response.statusCode ?? 0);
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        words(text);
      });
    });
    socket.on('error', error => {
      resolve(error.message);
    });
  });
  const closed = new Promise<{ code: number; reason: string }>(resolve => {
    socket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
    });
  });
  const next = (): Promise<string | Buffer> =>
    new Promise(resolve => {
      const message = messages.shift();
      if (message === undefined) waiting.push(resolve);
      else resolve(message);
    });
  return { socket, outcome, refusal, closed, next };
}
