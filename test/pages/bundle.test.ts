// The built bundle, in pages of an origin that is neither the relay's nor the service's, in every engine.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type * as Library from '../../src/index.js';
import { startBundleServer } from '../support/bundle-server.js';
import { launchBrowser, testEngines, type TestBrowser, type TestPage } from '../support/pages.js';

declare global {
  /** What a test page has at hand. */
  var library: typeof Library;
  /** What the functions below leave in a page. */
  var received: string[];
  var socket: InstanceType<typeof Library.ClientSecureWebSocket>;
}

const { direct, directKey, relay } = inject('services');

let bundle: Awaited<ReturnType<typeof startBundleServer>>;
beforeAll(async () => {
  bundle = await startBundleServer();
});
afterAll(() => bundle.close());

describe.each(testEngines)('in %s', engine => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
  });
  afterAll(() => browser.close());

  async function openPage(): Promise<TestPage> {
    const page = await browser.newPage();
    await page.goto(bundle.origin);
    await page.waitFor(() => 'library' in globalThis);
    return page;
  }

  it('a page talks to a Node service of another origin', async () => {
    const page = await openPage();
    await page.evaluate(dial, direct, 'over there?');
    expect(await page.waitFor(() => globalThis.received[0])).toBe('over there?');
    expect(await page.evaluate(() => globalThis.socket.peerPublicKey)).toBe(directKey);
  });

  it('a page talks to a page through the relay', async () => {
    const [first, second] = [await openPage(), await openPage()];
    const location = await listenIn(first);
    await second.evaluate(dial, location, 'hello, page');
    expect(await first.waitFor(() => globalThis.received[0])).toBe('hello, page');
    expect(await second.waitFor(() => globalThis.received[0])).toBe('you said: hello, page');
  });

  it('two tabs with one stored identity work at the same time', async () => {
    const listener = await openPage();
    const location = await listenIn(listener);
    const [one, two] = [await openPage(), await openPage()];
    await one.evaluate(dial, location, 'one');
    await one.waitFor(() => globalThis.received[0]);
    await two.evaluate(dial, location, 'two');
    expect(await two.waitFor(() => globalThis.received[0])).toBe('you said: two');
    await one.evaluate(() => {
      globalThis.socket.send('still here');
    });
    expect(await one.waitFor(() => globalThis.received[1])).toBe('you said: still here');
    const keys = await Promise.all([one, two].map(page => page.evaluate(() => globalThis.socket.publicKey)));
    expect(keys[0]).toBe(keys[1]);
  });

  it('the identity outlives a reload', async () => {
    const page = await openPage();
    await page.evaluate(dial, direct, 'before');
    await page.waitFor(() => globalThis.received[0]);
    const before = await page.evaluate(() => globalThis.socket.publicKey);
    await page.reload();
    await page.waitFor(() => 'library' in globalThis);
    await page.evaluate(dial, direct, 'after');
    await page.waitFor(() => globalThis.received[0]);
    expect(await page.evaluate(() => globalThis.socket.publicKey)).toBe(before);
  });
});

/** Listens behind the relay with an identity of its own; what is received is sent back. Resolves to the location. */
async function listenIn(page: TestPage): Promise<string> {
  await page.evaluate(relayUrl => {
    const { Identity, SecureWebSocketServer } = globalThis.library;
    globalThis.received = [];
    const server = new SecureWebSocketServer({ relay: relayUrl, identity: Identity.generate() });
    server.on('listening', () => {
      document.title = server.url ?? '';
    });
    server.on('connection', socket => {
      socket.on('message', data => {
        const text = (data as Uint8Array).toString();
        globalThis.received.push(text);
        socket.send(`you said: ${text}`);
      });
    });
  }, relay);
  return page.waitFor(() => document.title.startsWith('ws') && document.title);
}

/** Runs in a page: dials with the identity that the browser keeps, and says something. */
function dial(url: string, text: string): void {
  const { ClientSecureWebSocket } = globalThis.library;
  globalThis.received = [];
  const socket = new ClientSecureWebSocket(url);
  globalThis.socket = socket;
  socket.addEventListener('message', ({ data }) => {
    globalThis.received.push(data as string);
  });
  socket.addEventListener('error', event => {
    globalThis.received.push(`error: ${String('message' in event && event.message)}`);
  });
  socket.addEventListener('open', () => {
    socket.send(text);
  });
}
