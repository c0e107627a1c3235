/** What only those need who listen (see client.ts): behind a relay a page can. */
export { SecureWebSocketServer } from './socket/secure-web-socket-server.js';
export { ServerSecureWebSocket } from './socket/server-secure-web-socket.js';
