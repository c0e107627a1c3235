import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { refuseUpgrade } from './refuse-upgrade.js';

/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';

/** What has to be answered to a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2). */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

/**
 * Checks an upgrade request of HTTP/1.1 and accepts it (RFC 6455 section 4.2), without extensions and subprotocols; then
 * `network` is one end of a WebSocket. False when it was refused: it is answered then, with 400, 405 or 426.
 */
export function acceptUpgrade(request: IncomingMessage, network: Duplex): boolean {
  const { method, headers } = request;
  const key = headers['sec-websocket-key'];
  if (method !== 'GET') {
    refuseUpgrade(network, 405, 'A WebSocket begins with a GET request.', { Allow: 'GET' });
  } else if (headers.upgrade?.toLowerCase() !== 'websocket') {
    refuseUpgrade(network, 400, 'This is a WebSocket server: the header Upgrade has to say "websocket".');
  } else if (headers['sec-websocket-version'] !== VERSION) {
    refuseUpgrade(network, 426, `This server speaks version ${VERSION} of the WebSocket protocol.`, {
      'Sec-WebSocket-Version': VERSION,
    });
  } else if (key === undefined || !/^[+/0-9A-Za-z]{22}==$/.test(key)) {
    refuseUpgrade(network, 400, 'The header Sec-WebSocket-Key has to be the Base64 of 16 bytes.');
  } else {
    network.write(
      'HTTP/1.1 101 Switching Protocols\r\n' +
        'Upgrade: websocket\r\n' +
        'Connection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`,
    );
    return true;
  }
  return false;
}
