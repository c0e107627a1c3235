import type { Duplex } from 'node:stream';

/** Resolves when a socket is closed. `once` would reject when the other end has reset the connection. */
export function closed(socket: Duplex): Promise<void> {
  return new Promise(resolve => {
    socket.once('close', () => {
      resolve();
    });
  });
}
