// A page that knows nothing of this library talks to a public key, with the browser's own WebSocket and through a proxy.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, testEngines, type TestBrowser, type TestPage } from '../support/pages.js';
import { proxyScene } from '../support/proxy-scene.js';
import { relayScene } from '../support/relay-scene.js';

const TOKEN = 'a-token-that-is-long-enough';

declare global {
  /** What the functions below leave in a page. */
  var plain: {
    socket: WebSocket;
    received: unknown[];
    opened: boolean;
    closed: { code: number; reason: string; wasClean: boolean } | undefined;
  };
}

const relays = relayScene();
const scene = proxyScene();

/** In the page. */
function connect(url: string, protocols: string[]): void {
  const socket = new WebSocket(url, protocols);
  const plain: typeof globalThis.plain = { socket, received: [], opened: false, closed: undefined };
  globalThis.plain = plain;
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    plain.opened = true;
  };
  socket.onmessage = ({ data }) => {
    plain.received.push(typeof data === 'string' ? data : [...new Uint8Array(data as ArrayBuffer)]);
  };
  socket.onclose = ({ code, reason, wasClean }) => {
    plain.closed = { code, reason, wasClean };
  };
}

/** In the page: whether it is open, once that is known. */
const outcome = (): string | undefined => {
  const { opened, closed, socket } = globalThis.plain;
  if (opened) return `open ${socket.protocol}`.trim();
  return closed && `closed ${String(closed.code)}`;
};

describe.each(testEngines)('in %s', engine => {
  let browser: TestBrowser;
  let pages: Server;
  let port: number;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
    pages = createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>A page</title>');
    });
    pages.listen(0, '127.0.0.1');
    await once(pages, 'listening');
    ({ port } = pages.address() as AddressInfo);
  });
  afterAll(async () => {
    pages.close();
    pages.closeAllConnections();
    await browser.close();
  });

  async function pageAt(host: string): Promise<TestPage> {
    const page = await browser.newPage();
    await page.goto(`http://${host}:${port}/`);
    return page;
  }

  it('a page that is allowed talks to a public key', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay, { handleProtocols: offered => offered.has('b') && 'b' });
    const closed = new Promise<unknown>(resolve => {
      echo.on('connection', socket => {
        socket.on('close', (code, reason) => {
          resolve([code, String(reason)]);
        });
      });
    });
    const proxy = await scene.proxy([
      ...['--relay', relay.url, '--allow-origin', `http://127.0.0.1:${port}`],
    ]);
    const page = await pageAt('127.0.0.1');
    await page.evaluate(connect, `${proxy.url}/${echo.publicKey ?? ''}/chat?x=1`, ['a', 'b']);
    expect(await page.waitFor(outcome)).toBe('open b');
    await page.evaluate(() => {
      globalThis.plain.socket.send('hello');
      globalThis.plain.socket.send(new Uint8Array([0, 1, 255]));
      globalThis.plain.socket.send('x'.repeat(1_000_000));
    });
    await page.waitFor(() => globalThis.plain.received.length === 3);
    const received = await page.evaluate(() => [
      ...globalThis.plain.received.slice(0, 2),
      (globalThis.plain.received[2] as string).length,
    ]);
    expect(received).toEqual(['hello', [0, 1, 255], 1_000_000]);
    await page.evaluate(() => {
      globalThis.plain.socket.close(4321, 'enough');
    });
    expect(await closed).toEqual([4321, 'enough']);
    expect(await page.waitFor(() => globalThis.plain.closed)).toEqual({
      code: 4321,
      reason: 'enough',
      wasClean: true,
    });
  });

  it('another page is refused, at the same port of the same machine', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay);
    const proxy = await scene.proxy([
      ...['--to', echo.url ?? '', '--allow-origin', `http://127.0.0.1:${port}`],
    ]);
    const page = await pageAt('localhost');
    await page.evaluate(connect, proxy.url, []);
    expect(await page.waitFor(outcome)).toBe('closed 1006');
    await proxy.tells(/^Refused with 403: Origin not allowed/m);
    expect(echo.clients.size).toBe(0);
  });

  it('a page shows a token', async () => {
    const relay = await relays.relay();
    const echo = await relays.echo(relay, { handleProtocols: () => false });
    const proxy = await scene.proxy(['--to', echo.url ?? '', '--allow-origin', `http://127.0.0.1:${port}`], {
      SECURE_WEBSOCKET_CLIENT_TOKEN: TOKEN,
    });
    const page = await pageAt('127.0.0.1');
    await page.evaluate(connect, proxy.url, []);
    expect(await page.waitFor(outcome)).toBe('closed 1006');
    await proxy.tells(/^Refused with 401: /m);
    const bearer = `secure-websocket.bearer.${Buffer.from(TOKEN).toString('base64url')}`;
    await page.evaluate(connect, proxy.url, [bearer, 'secure-websocket.proxy']);
    expect(await page.waitFor(outcome)).toBe('open secure-websocket.proxy');
  });
});
