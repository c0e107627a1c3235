import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { SecureContextOptions } from 'node:tls';

const GREETING =
  'This is a secure-websocket relay. It speaks WebSocket only: dial its URL with a slash and the address of a peer behind it.\n';

/**
 * An HTTP server that tells whoever comes without a WebSocket where they are, and waits for nobody: `timeout` in
 * milliseconds. With a certificate it speaks TLS.
 */
export function createRelayServer(timeout: number, tls?: SecureContextOptions): Server | SecureServer {
  const options = {
    // Of clients that send their request byte by byte, or none at all.
    headersTimeout: timeout,
    requestTimeout: timeout,
    // A relay is dialled once: nobody needs a connection to ask twice.
    keepAliveTimeout: 1_000,
    maxRequestsPerSocket: 16,
    connectionsCheckingInterval: Math.max(100, Math.min(timeout / 2, 5_000)),
  };
  if (tls === undefined) return createServer(options, greet);
  return createSecureServer({ ...options, ...secure(tls), handshakeTimeout: timeout }, greet);
}

/** No TLS before 1.2, even where Node was told to allow it. */
export function secure(context: SecureContextOptions): SecureContextOptions {
  return { ...context, minVersion: 'TLSv1.2' };
}

const greet: RequestListener = (_request, response) => {
  response.writeHead(426, {
    Connection: 'close, Upgrade',
    Upgrade: 'websocket',
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(GREETING),
  });
  response.end(GREETING);
};

/** The path that a request names, without query and final slash. */
export function pathOf(request: IncomingMessage): string {
  return normalPath((request.url ?? '/').replace(/[?#].*$/s, ''));
}

export function normalPath(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}
