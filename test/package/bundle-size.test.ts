// What a page has to load before it can do anything, and what it loads when it dials.
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundlePage } from '../../scripts/bundle-size.mjs';
import { installPackage, removeFolder } from './installed-package.js';
import { bundleForPage } from './page-bundle.js';

/** For a page that dials, gzip: the promise of the README. */
const LIMIT = 16 * 1024;

let folder: string;

beforeAll(async () => {
  folder = await installPackage();
});

afterAll(() => removeFolder(folder));

const gzip = (files: readonly { gzip: number }[]): number => files.reduce((sum, file) => sum + file.gzip, 0);

describe('a page bundled with esbuild', () => {
  it('loads little with its first script, and neither libsodium nor the engine', async () => {
    const { atOnce, later, warnings } = await bundlePage(['ClientSecureWebSocket'], folder);
    expect(warnings).toEqual([]);
    expect(gzip(atOnce)).toBeLessThanOrEqual(LIMIT);
    // And it is there: a bundle without the socket would be small, too.
    expect(gzip(atOnce)).toBeGreaterThan(LIMIT / 2);
    expect(atOnce.flatMap(file => file.inputs).join()).not.toMatch(/libsodium|engine/);
    for (const part of ['libsodium-wrappers', '/engine-']) {
      expect(later.flatMap(file => file.inputs).filter(input => input.includes(part))).not.toEqual([]);
    }
  });

  it('loads what only spaces need with no other part', async () => {
    const { later } = await bundlePage(['ClientSecureWebSocket'], folder);
    const [spaces, ...others] = later.filter(file =>
      file.inputs.some(input => input.includes('/space-port-')),
    );
    expect(others).toEqual([]);
    expect(spaces?.inputs.join()).not.toMatch(/libsodium|engine/);
    expect(spaces?.gzip).toBeGreaterThan(LIMIT / 2);
  });

  it('pays nothing for names that the socket itself needs', async () => {
    const socket = await bundlePage(['ClientSecureWebSocket'], folder);
    const more = ['SecureWebSocketError', 'FirstUseTrustStore', 'parseAddress', 'formatAddress'];
    const { atOnce } = await bundlePage(['ClientSecureWebSocket', ...more], folder);
    expect(gzip(atOnce) - gzip(socket.atOnce)).toBeLessThan(200);
  });

  it('has the engine at once when it listens itself', async () => {
    const { atOnce } = await bundlePage(['SecureWebSocketServer'], folder);
    expect(gzip(atOnce)).toBeGreaterThan(LIMIT);
    expect(atOnce.flatMap(file => file.inputs).join()).not.toContain('libsodium-wrappers');
  });
});

describe('a page bundled with Vite', () => {
  it('loads little with its first script, and neither libsodium nor the engine', async () => {
    const { entry, files } = await bundleForPage(
      "export { ClientSecureWebSocket } from 'secure-websocket';",
      {
        folder,
        minify: true,
      },
    );
    const atOnce = new Set<string>();
    const load = (name: string): void => {
      if (atOnce.has(name)) return;
      atOnce.add(name);
      for (const imported of files.find(file => file.name === name)?.imports ?? []) load(imported);
    };
    load(entry);
    const first = files.filter(file => atOnce.has(file.name));
    expect(gzip(first)).toBeLessThanOrEqual(LIMIT);
    expect(gzip(first)).toBeGreaterThan(LIMIT / 2);
    const modules = first.flatMap(file => file.modules).map(module => path.relative(folder, module));
    expect(modules.join()).not.toMatch(/libsodium|engine/);
  });
});
