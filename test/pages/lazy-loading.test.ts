// What a page loads when, in every engine: little with its first script; the rest when it dials, all at the same time.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Library from '../../src/index.js';
import { Identity, SecureWebSocketServer } from '../../src/server.js';
import { type BundleServer, startBundleServer } from '../support/bundle-server.js';
import { launchBrowser, testEngines, type TestBrowser, type TestPage } from '../support/pages.js';

declare global {
  var library: typeof Library;
  /** What the functions below leave in a page. */
  var told: string[];
}

const ENGINE = /engine-\w+\.js(\?|$)/;
const SODIUM = /libsodium/;

let bundle: BundleServer;
let http: Server;
let server: SecureWebSocketServer;
let url: string;

beforeAll(async () => {
  bundle = await startBundleServer();
  http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  server = new SecureWebSocketServer({ server: http, identity: Identity.generate(), addresses: [url] });
  await server.ready;
});

afterAll(async () => {
  for (const socket of server.clients) socket.terminate();
  server.close();
  http.closeAllConnections();
  http.close();
  await bundle.close();
});

describe.each(testEngines)('in %s', engine => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
  });
  afterAll(() => browser.close());

  async function openPage(path: string): Promise<TestPage> {
    const page = await browser.newPage();
    await page.goto(bundle.origin + path);
    await page.waitFor(() => 'library' in globalThis);
    return page;
  }

  it('a page loads the engine and libsodium with its first socket, not before', async () => {
    bundle.requested.length = 0;
    const page = await openPage('/client');
    expect(bundle.requested).toContain('/secure-websocket/client.js');
    const before = bundle.requested.filter(path => ENGINE.test(path) || SODIUM.test(path));
    expect(before).toEqual([]);
    await page.evaluate(dial, url, false);
    await page.waitFor(() => globalThis.told.includes('open'));
    for (const part of [ENGINE, SODIUM]) expect(bundle.requested.some(path => part.test(path))).toBe(true);
  });

  it('libsodium is loaded while the engine is', async () => {
    const page = await openPage('/client');
    const release = hold(ENGINE);
    bundle.requested.length = 0;
    await page.evaluate(dial, url, false);
    await expect.poll(() => bundle.requested.some(path => SODIUM.test(path))).toBe(true);
    release();
    await page.waitFor(() => globalThis.told.includes('open'));
  });

  it('the connection is made while libsodium is loaded', async () => {
    const release = hold(SODIUM);
    const page = await openPage('/client');
    const upgrade = once(http, 'upgrade');
    await page.evaluate(dial, url, false);
    await upgrade;
    expect(await page.evaluate(() => globalThis.told)).toEqual([]);
    release();
    await page.waitFor(() => globalThis.told.includes('open'));
  });

  it('an engine that is not there fails the socket', async () => {
    const page = await openPage('/client');
    bundle.missing = ENGINE;
    await page.evaluate(dial, url, false);
    await page.waitFor(() => globalThis.told.length === 2);
    bundle.missing = undefined;
    const [error, close] = await page.evaluate(() => globalThis.told);
    expect(error).toMatch(
      /^error LINK_FAILED The part of secure-websocket that connects could not be loaded/,
    );
    expect(close).toBe('close 1006');
  });

  it('a socket that reconnects opens once the engine is there', async () => {
    const page = await openPage('/client');
    bundle.missing = ENGINE;
    await page.evaluate(dial, url, true);
    await page.waitFor(() => globalThis.told.length > 0);
    bundle.missing = undefined;
    await page.waitFor(() => globalThis.told.includes('open'));
    const others = (await page.evaluate(() => globalThis.told)).filter(entry => entry !== 'reconnecting');
    expect(others).toEqual(['open']);
  });
});

/** Keeps files back until what it returns is called. */
function hold(files: RegExp): () => void {
  let release!: () => void;
  const until = new Promise<void>(resolve => {
    release = resolve;
  });
  bundle.held = { files, until };
  return () => {
    bundle.held = undefined;
    release();
  };
}

/** Runs in a page: dials with the identity that the browser keeps. */
function dial(location: string, reconnect: boolean): void {
  const { ClientSecureWebSocket } = globalThis.library;
  globalThis.told = [];
  const socket = new ClientSecureWebSocket(location, [], { reconnect: reconnect && { maxDelay: 100 } });
  socket.addEventListener('open', () => {
    globalThis.told.push('open');
  });
  socket.addEventListener('error', event => {
    const { error } = event as unknown as { error: InstanceType<typeof Library.SecureWebSocketError> };
    globalThis.told.push(`error ${error.code} ${error.message}`);
  });
  socket.addEventListener('reconnecting', () => {
    globalThis.told.push('reconnecting');
  });
  socket.addEventListener('close', ({ code }) => {
    globalThis.told.push(`close ${String(code)}`);
  });
}
