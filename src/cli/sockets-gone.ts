/** How Node calls sockets of TCP, also those that TLS is spoken over. */
const SOCKETS: ReadonlySet<string> = new Set(['TCPSocketWrap', 'TLSWrap']);
/** Milliseconds between two looks. */
const INTERVAL = 5;

/**
 * Resolves when no TCP socket of the process is open, or after `patience` milliseconds. What was written last, the frame
 * that closes a WebSocket say, may have been encrypted and not have left yet, and `process.exit` would take it along.
 *
 * @param resources `process.getActiveResourcesInfo()`: what keeps the process
 */
export async function socketsGone(resources: () => readonly string[], patience: number): Promise<void> {
  const deadline = performance.now() + patience;
  while (resources().some(name => SOCKETS.has(name)) && performance.now() < deadline) {
    await new Promise(resolve => {
      setTimeout(resolve, INTERVAL);
    });
  }
}
