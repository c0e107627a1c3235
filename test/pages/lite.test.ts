// Pages whose policy allows neither WebAssembly nor `eval`: `secure-websocket/lite`, bundled as an application does it.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type * as Library from '../../src/index.js';
import { bundleForPage } from '../package/page-bundle.js';
import { launchBrowser, testEngines, type TestBrowser, type TestPage } from '../support/pages.js';

declare global {
  var lite: typeof Library;
  var full: typeof Library;
  var answers: unknown[];
  var compiled: string;
}

const { direct, directKey } = inject('services');
const POLICY = "default-src 'none'; script-src 'self'; connect-src *";

let server: Server;
let origin: string;

beforeAll(async () => {
  const { entry, files } = await bundleForPage(
    `// Compiled by the page itself: what a test evaluates in it may be beyond its policy. It is an empty module.
     try {
       globalThis.compiled = String(new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)));
     } catch (error) {
       globalThis.compiled = error.name;
     }
     // For engines that do not enforce the policy.
     delete globalThis.WebAssembly;
     globalThis.lite = await import('secure-websocket/lite');
     globalThis.full = await import('secure-websocket');`,
  );
  const scripts = new Map(files.map(({ name, code }) => [`/${name}`, code]));
  server = createServer((request, response) => {
    const script = scripts.get(request.url ?? '');
    const type = script === undefined ? 'text/html' : 'text/javascript';
    const page = `<!doctype html><title>page</title><script type="module" src="/${entry}"></script>`;
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': POLICY });
    response.end(script ?? page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://localhost:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

describe.each(testEngines)('in %s, without WebAssembly', engine => {
  let browser: TestBrowser;
  let page: TestPage;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
    page = await browser.newPage();
    await page.goto(origin);
    await page.waitFor(() => 'full' in globalThis);
  });
  afterAll(() => browser.close());

  it('a page talks to a service that computes with something else', async () => {
    await page.evaluate(
      (url, text) => {
        globalThis.answers = [];
        const socket = new globalThis.lite.ClientSecureWebSocket(url);
        socket.onopen = () => {
          socket.send(text);
        };
        socket.onmessage = ({ data }) => {
          globalThis.answers.push(data, socket.peerPublicKey);
        };
      },
      direct,
      'over there?',
    );
    expect(await page.waitFor(() => globalThis.answers.length === 2 && globalThis.answers)).toEqual([
      'over there?',
      directKey,
    ]);
  });

  it('a page with libsodium is told why it does not work, and what would', async () => {
    const failure = await page.evaluate(() =>
      globalThis.full.Identity.generate().then(
        () => 'works',
        (error: unknown) => String(error),
      ),
    );
    expect(failure).toMatch(
      /^SecureWebSocketError: libsodium could not be loaded \(.+'wasm-unsafe-eval'.+\/lite/,
    );
  });

  // WebKitGTK compiles it nevertheless.
  it.skipIf(engine === 'webkit')('its policy does forbid WebAssembly', async () => {
    expect(await page.evaluate(() => globalThis.compiled)).toMatch(/Error$/);
  });
});
