// @ts-check
// What this process has written to its connections, as they count it: WebSocket frames, with what opened the connection.
import { subscribe } from 'node:diagnostics_channel';

/** @typedef {import('node:net').Socket} Socket */

/** @type {Set<Socket>} */
const sockets = new Set();
/** Written to those that are closed. */
let before = 0;

/** Counts from now on: what is connected already is not seen. */
export function countUpload() {
  subscribe('net.client.socket', message => {
    const { socket } = /** @type {{ socket: Socket }} */ (message);
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      before += socket.bytesWritten;
    });
  });
}

/** Bytes that were written to all connections of this process that were made since `countUpload`. */
export function uploaded() {
  let bytes = before;
  for (const { bytesWritten } of sockets) bytes += bytesWritten;
  return bytes;
}
