// npm start: a relay on loopback, and one page that uses it. Open the page in two tabs and talk.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Identity, Relay } from 'secure-websocket/server';
import { RelayView } from './relay-view-stream.js';

const HOST = '127.0.0.1';
const PORT = Number(process.env.PORT ?? 8080);

const require = createRequire(import.meta.url);
const here = name => fileURLToPath(new URL(name, import.meta.url));
const library = here('../../dist/browser/');
const libsodium = createRequire(require.resolve('libsodium-wrappers')).resolve('libsodium');

// What the page may load, and nothing else.
const files = new Map([
  ['/', [here('page/index.html'), 'text/html; charset=utf-8']],
  ['/style.css', [here('page/style.css'), 'text/css; charset=utf-8']],
  ['/icon.svg', [here('page/icon.svg'), 'image/svg+xml']],
  ...['chat.js', 'view.js', 'relay-view.js', 'tab-name.js'].map(name =>
    script(`/${name}`, here(`page/${name}`)),
  ),
  ...(await readdir(library))
    .filter(name => name.endsWith('.js'))
    .map(name => script(`/secure-websocket/${name}`, library + name)),
  script('/libsodium-wrappers.mjs', esm(require.resolve('libsodium-wrappers'), 'libsodium-wrappers')),
  script('/libsodium.mjs', esm(libsodium, 'libsodium')),
]);

function script(path, file) {
  return [path, [file, 'text/javascript; charset=utf-8']];
}

/** The ES module beside the CommonJS one that `require` finds. */
function esm(file, name) {
  return file.replace(/modules[/\\][^/\\]*$/, `modules-esm/${name}.mjs`);
}

// A strict policy works: WebAssembly needs its own permission, and the import map is allowed by its hash.
const html = await readFile(here('page/index.html'), 'utf8');
const importMap = /<script type="importmap">([^]*?)<\/script>/.exec(html)[1];
const importMapHash = createHash('sha256').update(importMap).digest('base64');
const policy = [
  "default-src 'none'",
  `script-src 'self' 'wasm-unsafe-eval' 'sha256-${importMapHash}'`,
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self' ws:",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const relayView = new RelayView();

const server = createServer((request, response) => {
  void answer(request, response);
});

async function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/relay-view') {
    relayView.subscribe(response);
    return;
  }
  const [file, type] = files.get(pathname) ?? [];
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    'content-type': type,
    'content-security-policy': policy,
    'cache-control': 'no-cache',
  });
  response.end(await readFile(file));
}

await listen(PORT);
const relay = new Relay({
  server,
  identity: await Identity.generate(),
  // For the right-hand pane only: the relay shows what it gets to see.
  onEnvelope: envelope => relayView.show(envelope),
});
await relay.listen();

console.log(`
  secure-websocket demo

  Open   http://localhost:${server.address().port}   in two tabs, or in two browsers.

  relay  ${relay.publicKey}
  Ctrl-C ends it.
`);

async function listen(port) {
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (error.code !== 'EADDRINUSE' || port === 0) throw error;
    console.log(`  Port ${port} is in use: taking a free one. (PORT=9000 npm start chooses.)`);
    await listen(0);
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close());

async function close() {
  relayView.close();
  await relay.close();
  server.close();
  server.closeAllConnections();
}
