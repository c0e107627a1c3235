// What the relay sees, as server-sent events to every page that wants to show it.
const MAX_VIEWERS = 32;
/** Bytes of each ciphertext that are shown. */
const SHOWN = 160;

/** Events that are kept for pages that come later, or come back. */
const MAX_KEPT = 100;

export class RelayView {
  #viewers = new Set();
  #kept = [];
  /** Ids of events begin with it: those of another run mean nothing here. */
  #run = Date.now().toString(36);
  #count = 0;

  /** `after`: the id of the last event that the page has seen, if any. */
  subscribe(response, after) {
    if (this.#viewers.size >= MAX_VIEWERS) {
      response.writeHead(503).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 1000\n\n');
    const [run, number] = after?.split('-') ?? [];
    const seen = run === this.#run ? Number(number) : 0;
    for (const kept of this.#kept) if (kept.number > seen) response.write(kept.event);
    this.#viewers.add(response);
    response.on('close', () => this.#viewers.delete(response));
  }

  /** Everything that the relay tells of itself. */
  watch(relay) {
    relay.on('connection', ({ publicKey }) => this.#show({ type: 'registered', key: publicKey }));
    relay.on('disconnection', ({ publicKey }) => this.#show({ type: 'gone', key: publicKey }));
  }

  /** `onEnvelope` of a relay: what goes between two members, which is keys. */
  showEnvelope({ from, to, body, size }) {
    // `from` and `to` are 36 bytes each: a public key and a connection id.
    this.#show({
      type: 'envelope',
      from: Buffer.from(from).toString('hex', 0, 32),
      to: Buffer.from(to).toString('hex', 0, 32),
      size,
      ...shown(body),
    });
  }

  /** `onSpace` of a relay: who enters and leaves, and what is sent to everybody. */
  showSpace(seen) {
    const { type, space, publicKey: key } = seen;
    if (type === 'multicast') {
      const { size, recipients, message } = seen;
      this.#show({ type, space, key, size, recipients, ...shown(message) });
    } else {
      this.#show({ type, space, key, members: seen.members, reason: seen.reason });
    }
  }

  close() {
    for (const viewer of this.#viewers) viewer.end();
  }

  #show(seen) {
    const number = ++this.#count;
    const event = `id: ${this.#run}-${number}\ndata: ${JSON.stringify(seen)}\n\n`;
    this.#kept.push({ number, event });
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
    for (const viewer of this.#viewers) {
      // A page that does not keep up misses some: this is a view, not the chat.
      if (viewer.writableLength < 65_536) viewer.write(event);
    }
  }
}

function shown(bytes) {
  return {
    body: Buffer.from(bytes.subarray(0, SHOWN)).toString('hex'),
    more: Math.max(0, bytes.length - SHOWN),
  };
}

/**
 * The same from the chat server of a relay elsewhere: passed on, so that the page needs to speak with nobody but its own
 * server. A relay that is not of this example shows nothing.
 */
export async function passRelayView(relayUrl, response, after) {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    const url = `${relayUrl.replace(/^ws/, 'http')}/relay-view?${new URLSearchParams({ after: after ?? '' })}`;
    const answer = await fetch(url, { signal: gone.signal, redirect: 'error' });
    if (!answer.ok || !answer.headers.get('content-type')?.startsWith('text/event-stream')) {
      await answer.body?.cancel();
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    for await (const chunk of answer.body) if (response.writableLength < 65_536) response.write(chunk);
    response.end();
  } catch {
    // Nobody there, or the page has gone. The page asks again when the stream ends.
    if (response.headersSent) response.end();
    else response.writeHead(404).end();
  }
}
