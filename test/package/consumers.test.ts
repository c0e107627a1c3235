import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPackage, node, removeFolder, run } from './installed-package.js';

let folder: string;

beforeAll(async () => {
  folder = await installPackage();
});

afterAll(() => removeFolder(folder));

function write(name: string, content: string): string {
  fs.writeFileSync(path.join(folder, name), content);
  return name;
}

describe('what is published', () => {
  const files = () =>
    fs
      .readdirSync(path.join(folder, 'node_modules/secure-websocket'), { recursive: true, encoding: 'utf8' })
      .map(name => name.replaceAll('\\', '/'));

  it('is the build, its sources and the documents that npm and users look for', () => {
    const topLevel = new Set(files().map(name => name.split('/')[0]));
    expect([...topLevel].sort()).toEqual(
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'deploy',
        'dist',
        'docs',
        'package.json',
        'src',
      ].sort(),
    );
  });

  it('holds every source that a source map names', () => {
    const present = new Set(files());
    const maps = files().filter(name => name.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(0);
    for (const map of maps) {
      const content = fs.readFileSync(path.join(folder, 'node_modules/secure-websocket', map), 'utf8');
      const { sources } = JSON.parse(content) as { sources: string[] };
      for (const source of sources)
        expect(present).toContain(path.posix.join(path.posix.dirname(map), source));
    }
  });

  it('has a command', async () => {
    const help = await run(path.join(folder, 'node_modules/.bin/secure-websocket'), ['--help'], folder);
    expect(help).toMatch(/usage/i);
  });
});

/** Prints what both entries export and makes an identity, so that libsodium is loaded too. */
const report = `
  const names = entry => Object.keys(entry).filter(name => name !== 'default' && name !== 'module.exports').sort();
  const shared = names(client).filter(name => name in server);
  client.Identity.generate().then(identity => console.log(JSON.stringify({
    client: names(client),
    server: names(server),
    different: shared.filter(name => client[name] !== server[name]),
    misnamed: [client, server].flatMap(entry => names(entry)
      .filter(name => typeof entry[name] === 'function' && entry[name].name !== name)
      .map(name => name + ' is called ' + entry[name].name)),
    key: identity.publicKey,
  })));`;

describe.each([
  [
    'ESM',
    'exports.mjs',
    "import * as client from 'secure-websocket'; import * as server from 'secure-websocket/server';",
  ],
  [
    'CommonJS',
    'exports.cjs',
    "const client = require('secure-websocket'); const server = require('secure-websocket/server');",
  ],
])('%s in Node', (_format, file, load) => {
  interface Report {
    client: string[];
    server: string[];
    different: string[];
    misnamed: string[];
    key: string;
  }
  let result: Report;

  beforeAll(async () => {
    result = JSON.parse(await node([write(file, load + report)], folder)) as Report;
  });

  it('loads both entries', () => {
    expect(result.client).toEqual(
      expect.arrayContaining(['ClientSecureWebSocket', 'Identity', 'SecureWebSocketError']),
    );
    expect(result.server).toEqual(
      expect.arrayContaining(['Relay', 'SecureWebSocketServer', 'ServerSecureWebSocket']),
    );
  });

  it('has one class for one name in both entries, so that instanceof works', () => {
    const differentOnPurpose = ['SecureWebSocketServer', 'ServerSecureWebSocket'];
    expect(result.different.filter(name => !differentOnPurpose.includes(name))).toEqual([]);
  });

  it('keeps the names of classes and functions', () => {
    expect(result.misnamed).toEqual([]);
  });

  it('loads libsodium when an identity is made', () => {
    expect(result.key).toMatch(/^[0-9a-f]{64}$/);
  });
});

it('exports its package.json', async () => {
  const program = write('manifest.cjs', "console.log(require('secure-websocket/package.json').name)");
  expect((await node([program], folder)).trim()).toBe('secure-websocket');
});
