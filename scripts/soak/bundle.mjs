// @ts-check
// Programs made of this package's sources as they are now, to be run in processes of their own: by tests, and by the soak.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles each of `entries`: paths of TypeScript files, from the root of the project, by name.
 *
 * @template {string} Name
 * @param {Record<Name, string>} entries
 * @returns {Promise<{ files: Record<Name, string>, remove: () => Promise<void> }>}
 */
export async function bundle(entries) {
  // Inside the project, so that its dependencies are found.
  const cache = path.join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(path.join(cache, 'bundle-'));
  /** @type {[string, string][]} */
  const named = Object.entries(entries);
  await build({
    config: false,
    entry: Object.fromEntries(named.map(([name, file]) => [name, path.join(root, file)])),
    outDir: directory,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    splitting: false,
    outExtension: () => ({ js: '.mjs' }),
    silent: true,
  });
  const files = Object.fromEntries(named.map(([name]) => [name, path.join(directory, `${name}.mjs`)]));
  return {
    files: /** @type {Record<Name, string>} */ (files),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
