// Serves the page: its files, its settings, and nothing else.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const here = name => fileURLToPath(new URL(name, import.meta.url));
const library = here('../../dist/browser/');

const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  js: 'text/javascript; charset=utf-8',
};

/** Where the library finds libsodium. The page of the other way loads neither. */
const IMPORT_MAP = JSON.stringify({
  imports: {
    'secure-websocket': '/secure-websocket/index.js',
    'libsodium-wrappers': '/libsodium-wrappers.mjs',
    libsodium: '/libsodium.mjs',
  },
});

/**
 * An HTTP server with the page, or HTTPS if there is `tls` (`{ cert, key }`).
 *
 * @param options `way`: 'relay' or 'proxy'; `space`: the name that the page proposes; `url`: of the relay or proxy, ''
 *   for where the page came from; `relayKey`: the key that the relay must have, if it is known; `relayView(response, after)`
 *   answers who asks for the side pane. `url` may be set later, by changing the object.
 */
export async function createPageServer(options) {
  const { way, tls } = options;
  const files = await filesFor(way);
  const page = (await readFile(here('page/index.html'), 'utf8')).replace(
    '<!-- import map -->',
    way === 'relay' ? `<script type="importmap">${IMPORT_MAP}</script>` : '',
  );

  const answer = async (request, response) => {
    if (!URL.canParse(request.url, 'http://localhost')) {
      response.writeHead(400).end();
      return;
    }
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    if (request.method !== 'GET') {
      response.writeHead(405, { allow: 'GET' }).end();
      return;
    }
    if (pathname === '/relay-view') {
      // A browser that comes back by itself says in the header what it has seen last, our page in the query.
      await options.relayView(
        response,
        request.headers['last-event-id'] ?? searchParams.get('after') ?? undefined,
      );
      return;
    }
    if (pathname === '/settings.json') {
      const { space, url, relayKey } = options;
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify({ way, space, url, relayKey }));
      return;
    }
    const file = pathname === '/' ? 'index.html' : (files.get(pathname) ?? libraryFile(way, pathname));
    const body = pathname === '/' ? page : file && (await readFile(file).catch(() => undefined));
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[/\.m?(\w+)$/.exec(file)[1]],
      'content-security-policy': policyFor(way, options.url || `${tls ? 'wss' : 'ws'}://${hostOf(request)}`),
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    });
    response.end(body);
  };
  const listener = (request, response) => {
    answer(request, response).catch(error => {
      console.error(error);
      response.destroy();
    });
  };
  return tls ? createSecureServer(tls, listener) : createServer(listener);
}

/** Takes another port when this one is in use, and says so. */
export async function listen(server, port, host) {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error.code !== 'EADDRINUSE' || port === 0) throw error;
    console.log(`  Port ${port} is in use: taking a free one. (--port chooses.)`);
    await listen(server, 0, host);
  }
}

/** What the page may load and do: nothing of others, no inline scripts, no HTML made of text. */
function policyFor(way, url) {
  // WebAssembly needs its own permission, and the import map is allowed by its hash. Only the way that uses them has them.
  const forLibrary = ` 'wasm-unsafe-eval' 'sha256-${createHash('sha256').update(IMPORT_MAP).digest('base64')}'`;
  return [
    "default-src 'none'",
    `script-src 'self'${way === 'relay' ? forLibrary : ''}`,
    "style-src 'self'",
    "img-src 'self' blob:",
    `connect-src 'self' ${new URL(url).origin}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

/** From the request, but nothing that means something in a policy. */
function hostOf(request) {
  const host = request.headers.host ?? '';
  return /^[\w.:[\]-]+$/.test(host) ? host : 'localhost';
}

async function filesFor(way) {
  const names = (await readdir(here('page/'))).filter(name => name !== 'index.html');
  const files = new Map(names.map(name => [`/${name}`, here(`page/${name}`)]));
  if (way === 'proxy') return files;
  const wrappers = require.resolve('libsodium-wrappers');
  files.set('/libsodium-wrappers.mjs', esm(wrappers, 'libsodium-wrappers'));
  files.set('/libsodium.mjs', esm(createRequire(wrappers).resolve('libsodium'), 'libsodium'));
  return files;
}

/** The names of the library's parts change with each build. */
function libraryFile(way, pathname) {
  const [, name] = /^\/secure-websocket\/([\w-]+\.js)$/.exec(pathname) ?? [];
  return way === 'relay' && name !== undefined ? library + name : undefined;
}

/** The ES module beside the CommonJS one that `require` finds. */
function esm(file, name) {
  return file.replace(/modules[/\\][^/\\]*$/, `modules-esm/${name}.mjs`);
}
