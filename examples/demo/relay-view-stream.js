const MAX_VIEWERS = 32;
/** Bytes of each sealed body that are shown. */
const SHOWN = 160;

/** Sends what the relay sees to every page that wants to show it, as server-sent events. */
export class RelayView {
  #viewers = new Set();

  subscribe(response) {
    if (this.#viewers.size >= MAX_VIEWERS) {
      response.writeHead(503).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 1000\n\n');
    this.#viewers.add(response);
    response.on('close', () => this.#viewers.delete(response));
  }

  /** `from` and `to` are 36-byte peer addresses: a public key and a connection id. */
  show({ from, to, body, size }) {
    if (this.#viewers.size === 0) return;
    const seen = {
      from: Buffer.from(from).toString('hex', 0, 32),
      to: Buffer.from(to).toString('hex', 0, 32),
      size,
      body: Buffer.from(body.subarray(0, SHOWN)).toString('hex'),
      more: Math.max(0, body.length - SHOWN),
    };
    const event = `data: ${JSON.stringify(seen)}\n\n`;
    for (const viewer of this.#viewers) {
      // A page that does not keep up misses some: this is a view, not the chat.
      if (viewer.writableLength < 65_536) viewer.write(event);
    }
  }

  close() {
    for (const viewer of this.#viewers) viewer.end();
  }
}
