/**
 * Resolves when a socket is open, rejects when it does not come to that.
 *
 * @param {import('secure-websocket').ClientSecureWebSocket} socket
 */
export function opened(socket) {
  return new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', ({ error }) => reject(error));
  });
}
