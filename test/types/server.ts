// Compiled with the types of Node and without those of the DOM or of `ws`. Checked by test/package/types.test.ts.
import { createServer, type IncomingMessage } from 'node:http';
import {
  FileKeyStore,
  Identity,
  type PresencePolicy,
  Relay,
  type RelayClient,
  SecureWebSocketError,
  SecureWebSocketServer,
  type ServerRequest,
  type ServerSecureWebSocket,
} from 'secure-websocket/server';

export async function serve(): Promise<string> {
  const identity = await Identity.generate();
  const relay = new Relay({ host: '127.0.0.1', port: 0, identity });
  await relay.listen();
  const addresses: string[] = [relay.url, relay.publicKey, identity.publicKey];

  const servers = [
    new SecureWebSocketServer({ port: 0, identity, maxPayload: 1024, path: '/chat' }),
    new SecureWebSocketServer({
      port: 0,
      identity,
      resumeWindow: 60_000,
      maxResumable: 10,
      maxResumableBytes: 1024,
    }),
    new SecureWebSocketServer({ server: createServer(), keyStore: new FileKeyStore('identity.key') }),
    new SecureWebSocketServer({
      relay: relay.url,
      identity,
      handleProtocols: (protocols: Set<string>, request: ServerRequest) =>
        request.url === '/' && protocols.has('chat') ? 'chat' : false,
    }),
  ];
  for (const server of servers) {
    server.on('connection', (socket: ServerSecureWebSocket, request: ServerRequest) => {
      const from: string = socket.peerPublicKey;
      socket.on('message', (data, isBinary) => {
        socket.send(data, { binary: isBinary });
      });
      socket.on('suspended', error => addresses.push(error.code));
      socket.on('resumed', () => addresses.push('resumed'));
      void socket.drained.then(() => addresses.push('drained'));
      socket.on('close', () => {
        for (const { data, isBinary } of socket.unacknowledged)
          addresses.push(data.toString(), String(isBinary));
      });
      const echo: Promise<void> = socket.readable.pipeTo(socket.writable);
      echo.catch(() => undefined);
      socket.on('close', (code, reason) => addresses.push(from, String(code), String(reason)));
      socket.send(Buffer.from(request.url ?? ''), error => addresses.push(String(error)));
      socket.close(1000, 'done');
    });
  }
  const noServer = new SecureWebSocketServer({ noServer: true, identity });
  createServer().on('upgrade', (request: IncomingMessage, socket, head) => {
    noServer.handleUpgrade(request, socket, head, accepted => noServer.emit('connection', accepted, request));
  });

  relay.on('clientConnected', ({ publicKey, userId, deviceId, remoteAddress, connectionId }) => {
    addresses.push(publicKey, userId ?? '', deviceId ?? '', remoteAddress ?? '', String(connectionId));
  });
  relay.on('clientDisconnected', (client: RelayClient, code: number) => [client.publicKey, code]);
  const told: number =
    relay.emitToUsers(new Set(['alice']), 'hello') + relay.emitToSpace('lobby', Buffer.from('hello'));
  const isPresent: boolean = relay.isPresent('00'.repeat(32));
  const presence: PresencePolicy = async (asker, about) => Promise.resolve(asker.userId === about);
  new Relay({ port: 0, presence, userIds: 'claimed' });
  addresses.push(String(told), String(isPresent));

  await relay.close();
  return addresses.join();
}

export function explain(error: unknown): string {
  return error instanceof SecureWebSocketError ? error.code : String(error);
}

// @ts-expect-error a port is a number
new Relay({ port: {} });
