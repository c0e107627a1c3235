import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { SecureWebSocketServerEvent } from '../../src/socket/events.js';
import { EventQueue } from './event-queue.js';

/** What the service of the relay has told a socket, as `space: data`. */
export function serverEvents(socket: ClientSecureWebSocket): EventQueue<string> {
  const events = new EventQueue<string>();
  socket.addEventListener('serverevent', event => {
    events.push(shown(event));
  });
  return events;
}

function shown({ space, data }: SecureWebSocketServerEvent): string {
  const text = data instanceof ArrayBuffer ? `[${new Uint8Array(data).join(' ')}]` : String(data);
  return `${space}: ${text}`;
}
