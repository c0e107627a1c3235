// Importing the package does nothing but define things: nothing random is drawn, no timer starts, and no global is
// read that a page, a worker, a test or a server may not have, or may replace later.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { installPackage, node, removeFolder, repository } from './installed-package.js';

interface Record {
  exports: string[];
  touched: string[];
  loaded: string[];
  resources: string[];
}

const OWN = '/node_modules/secure-websocket/';

/** What is loaded by whoever uses it, and by nobody else. */
const ON_DEMAND = ['libsodium-wrappers', 'jose', 'prom-client', 'pino', 'rate-limiter-flexible', 'yaml'];

let folder: string;

beforeAll(async () => {
  folder = await installPackage();
  fs.copyFileSync(
    path.join(repository, 'test/package/record-import.mjs'),
    path.join(folder, 'record-import.mjs'),
  );
  // Stand-ins that tell when they are loaded, by import or by require.
  for (const name of ON_DEMAND) {
    const standIn = path.join(folder, 'node_modules', name);
    removeFolder(standIn);
    fs.mkdirSync(standIn);
    fs.writeFileSync(path.join(standIn, 'index.js'), `(globalThis.wereLoaded ??= []).push('${name}');`);
  }
});

afterAll(() => removeFolder(folder));

async function record(how: 'import' | 'require', specifier: string): Promise<Record> {
  return JSON.parse(await node(['record-import.mjs', how, specifier, OWN], folder)) as Record;
}

it.each([
  ['import', 'secure-websocket'],
  ['import', 'secure-websocket/server'],
  ['import', 'secure-websocket/lite'],
  ['require', 'secure-websocket'],
  ['require', 'secure-websocket/server'],
  ['require', 'secure-websocket/lite'],
] as const)('%s of %s touches nothing', async (how, specifier) => {
  const result = await record(how, specifier);
  expect(result.exports.length).toBeGreaterThan(0);
  expect(result).toMatchObject({ touched: [], loaded: [], resources: [] });
});

it.each(['browser', 'browser-lite'])('import of the build for browsers (%s) touches nothing', async build => {
  const result = await record(
    'import',
    path.join(folder, `node_modules/secure-websocket/dist/${build}/index.js`),
  );
  expect(result.exports).toContain('ClientSecureWebSocket');
  expect(result).toMatchObject({ touched: [], loaded: [], resources: [] });
});

it('would be noticed if it did', async () => {
  const file = path.join(folder, 'node_modules/secure-websocket/control.mjs');
  fs.writeFileSync(
    file,
    `import { randomBytes } from 'node:crypto';
     import 'libsodium-wrappers';
     export const values = [randomBytes(1), Math.random(), Date.now(), new Date(), performance.now(), typeof WebSocket,
       globalThis.window, globalThis.document, globalThis.indexedDB, globalThis.localStorage, globalThis.navigator,
       process.env.HOME, crypto.getRandomValues(new Uint8Array(1)), new Date(0), Date.UTC(2000)];
     setTimeout(() => {}, 1);
     setInterval(() => {}, 1e9).unref();`,
  );
  const result = await record('import', file);
  expect(result.touched.map(line => line.slice(0, line.indexOf(' at '))).sort()).toEqual(
    [
      'node:crypto.randomBytes',
      'Math.random',
      'Date.now',
      'new Date',
      'performance.now',
      'WebSocket',
      'window',
      'document',
      'indexedDB',
      'localStorage',
      'navigator',
      'process.env',
      'crypto.getRandomValues',
      'setTimeout',
      'setInterval',
    ].sort(),
  );
  expect(result.loaded).toEqual(['libsodium-wrappers']);
  expect(result.resources).toEqual(['Timeout']);
});
