// Serves one blank page that has the built bundle at hand: an origin of its own, as an application would have.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const wrappers = require.resolve('libsodium-wrappers');

const FILES: Record<string, string> = {
  '/secure-websocket.js': fileURLToPath(new URL('../../dist/browser/index.js', import.meta.url)),
  '/libsodium-wrappers.mjs': besideAsModule(wrappers, 'libsodium-wrappers'),
  '/libsodium.mjs': besideAsModule(createRequire(wrappers).resolve('libsodium'), 'libsodium'),
};

const PAGE = `<!doctype html><title>page</title>
<script type="importmap">${JSON.stringify({
  imports: {
    'secure-websocket': '/secure-websocket.js',
    'libsodium-wrappers': '/libsodium-wrappers.mjs',
    libsodium: '/libsodium.mjs',
  },
})}</script>
<script type="module">
  import * as library from 'secure-websocket';
  globalThis.library = library;
</script>`;

/** The ES module beside the CommonJS one that `require` finds. */
function besideAsModule(file: string, name: string): string {
  return file.replace(/modules[/\\][^/\\]*$/, `modules-esm/${name}.mjs`);
}

/** Starts the server on loopback. `origin` is where the page is. */
export async function startBundleServer(): Promise<{ origin: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '/').then(
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
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(path: string): Promise<[type: string, body: string | Buffer]> {
  const file = FILES[path];
  if (file === undefined) return ['text/html; charset=utf-8', PAGE];
  return ['text/javascript; charset=utf-8', await readFile(file)];
}
