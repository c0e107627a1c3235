import { afterAll, beforeAll } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { DialledPeer } from '../support/dialled-peer.js';
import { describeServerFace, type FacePair } from '../support/server-face.js';

let server: SecureWebSocketServer;
beforeAll(async () => {
  server = new SecureWebSocketServer({
    port: 0,
    host: '127.0.0.1',
    identity: Identity.generate(),
    pingInterval: 0,
  });
  await server.ready;
});
afterAll(() => {
  for (const client of server.clients) client.terminate();
  server.close();
});

describeServerFace('ServerSecureWebSocket over TCP', async onConnection => {
  const peer = new DialledPeer(server.url ?? '', { identity: Identity.generate() });
  const pair = new Promise<FacePair>(resolve => {
    server.once('connection', socket => {
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the face is what is tested
      const connected: FacePair = { socket, peer };
      onConnection(connected);
      resolve(connected);
    });
  });
  await peer.opened;
  return pair;
});
