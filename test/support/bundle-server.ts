// Serves one blank page that has the built bundle at hand: an origin of its own, as an application would have.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';

const require = createRequire(import.meta.url);
const wrappers = require.resolve('libsodium-wrappers');

/** What `/secure-websocket/` is. */
const library = new URL('../../dist/browser/', import.meta.url);

const FILES: Record<string, string> = {
  '/libsodium-wrappers.mjs': besideAsModule(wrappers, 'libsodium-wrappers'),
  '/libsodium.mjs': besideAsModule(createRequire(wrappers).resolve('libsodium'), 'libsodium'),
};

const PAGE = `<!doctype html><title>page</title>
<script type="importmap">${JSON.stringify({
  imports: {
    'secure-websocket': '/secure-websocket/index.js',
    'secure-websocket/dist/browser/client.js': '/secure-websocket/client.js',
    'libsodium-wrappers': '/libsodium-wrappers.mjs',
    libsodium: '/libsodium.mjs',
  },
})}</script>
<script type="module">
  import * as library from '$entry';
  globalThis.library = library;
</script>`;

/** The blank page with the whole library. */
const INDEX = PAGE.replace('$entry', 'secure-websocket');
/** The same with what a page needs before it dials. */
const CLIENT = PAGE.replace('$entry', 'secure-websocket/dist/browser/client.js');

/** The ES module beside the CommonJS one that `require` finds. */
function besideAsModule(file: string, name: string): string {
  return file.replace(/modules[/\\][^/\\]*$/, `modules-esm/${name}.mjs`);
}

export interface BundleServer {
  /** Where the page is. At `/client` is one that has less of the library at hand. */
  readonly origin: string;
  /** The paths that were asked for, in that order. */
  readonly requested: string[];
  /** Files that are not there, at present: paths that match. */
  missing: RegExp | undefined;
  /** Files that are answered with once this is settled, at present: paths that match. */
  held: { readonly files: RegExp; readonly until: Promise<void> } | undefined;
  close(): Promise<void>;
}

/** Starts the server on loopback. */
export async function startBundleServer(): Promise<BundleServer> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    bundle.requested.push(path);
    if (bundle.missing?.test(path)) {
      response.writeHead(404, { 'cache-control': 'no-store' }).end();
      return;
    }
    const held = bundle.held?.files.test(path) ? bundle.held.until : undefined;
    void Promise.resolve(held)
      .then(() => answer(path))
      .then(
        ([type, body]) => {
          response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
        },
        () => {
          response.writeHead(500).end('Run npm run build first.');
        },
      );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bundle: BundleServer = {
    requested: [],
    missing: undefined,
    held: undefined,
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return bundle;
}

async function answer(url: string): Promise<[type: string, body: string | Buffer]> {
  const [path = ''] = url.split('?');
  const [, part] = /^\/secure-websocket\/([\w-]+\.js)$/.exec(path) ?? [];
  const file = part === undefined ? FILES[path] : new URL(part, library);
  if (file === undefined) return ['text/html; charset=utf-8', path === '/client' ? CLIENT : INDEX];
  return ['text/javascript; charset=utf-8', await readFile(file)];
}
