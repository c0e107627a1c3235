// @ts-check
// Serves the pages of the benchmark: a blank one, the built bundle of the library, and what the pages run.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const wrappers = require.resolve('libsodium-wrappers');

/** What `npm run build` makes for browsers: one file or several. */
const BUNDLE = new URL('../../dist/browser/', import.meta.url);

/** @type {Record<string, string | URL>} */
const FILES = {
  '/libsodium-wrappers.mjs': besideAsModule(wrappers, 'libsodium-wrappers'),
  '/libsodium.mjs': besideAsModule(createRequire(wrappers).resolve('libsodium'), 'libsodium'),
};
for (const name of ['page/main', 'page/plain-ws', 'page/secure-websocket']) {
  FILES[`/${name}.js`] = new URL(`${name}.js`, import.meta.url);
}
for (const name of ['clients/ping-pong', 'clients/repeat-for', 'payloads', 'statistics']) {
  FILES[`/${name}.js`] = new URL(`../${name}.js`, import.meta.url);
}

const IMPORTS = {
  'secure-websocket': '/bundle/index.js',
  'libsodium-wrappers': '/libsodium-wrappers.mjs',
  libsodium: '/libsodium.mjs',
};
const PAGE = `<!doctype html><title>benchmark</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page/main.js"></script>`;

/** A page that is isolated has clocks of 5 µs; those of others count in 100 µs. */
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cache-control': 'no-store',
};

/** Starts the server on loopback. `origin` is where the page is. */
export async function startPageServer() {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    answer(pathname).then(
      ([type, body]) => {
        response.writeHead(200, { ...HEADERS, 'content-type': `${type}; charset=utf-8` }).end(body);
      },
      () => {
        response.writeHead(404).end('Run npm run build first.');
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    origin: `http://localhost:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * @param {string} pathname
 * @returns {Promise<[type: string, body: string | Buffer]>}
 */
async function answer(pathname) {
  if (pathname === '/') return ['text/html', PAGE];
  const [, bundled] = /^\/bundle\/([\w.-]+\.js)$/.exec(pathname) ?? [];
  const file = bundled === undefined ? FILES[pathname] : new URL(bundled, BUNDLE);
  if (file === undefined) throw new Error(`There is no ${pathname}.`);
  return ['text/javascript', await readFile(file)];
}

/**
 * The ES module beside the CommonJS one that `require` finds.
 *
 * @param {string} file
 * @param {string} name
 */
function besideAsModule(file, name) {
  return file.replace(/modules[/\\][^/\\]*$/, `modules-esm/${name}.mjs`);
}
