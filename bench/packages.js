// @ts-check
// The packages of the peers are not dependencies of the library: they have a package.json of their own, and are installed
// when one of them is measured for the first time.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { adapterNamed } from './adapters/index.js';

const ROOT = new URL('../', import.meta.url);
const PEERS = new URL('adapters/peers/', import.meta.url);

/**
 * Installs what adapters need and what is missing, or is there in another version than the lock file says.
 *
 * @param {readonly string[]} names of adapters
 * @throws Error when npm fails
 */
export function installPackages(names) {
  const peers = names.map(adapterNamed).filter(({ isPeer }) => isPeer);
  const { packages } = readJson(new URL('package-lock.json', PEERS));
  const isMissing = peers
    .flatMap(adapter => adapter.packages)
    .some(name => versionOf(name, PEERS) !== packages[`node_modules/${name}`].version);
  if (!isMissing) return;
  process.stderr.write('installing the peers (once)\n');
  const { status } = spawnSync(
    'npm',
    ['--prefix', fileURLToPath(PEERS), 'ci', '--ignore-scripts', '--no-audit', '--loglevel', 'error'],
    // Only the result goes to the standard output.
    { stdio: ['ignore', 2, 2], shell: process.platform === 'win32' },
  );
  if (status !== 0) {
    throw new Error('npm could not install the peers. Measure without: --adapters plain-ws,secure-websocket');
  }
}

/**
 * Whether a package is there that this library depends on, or could.
 *
 * @param {string} name
 */
export function isInstalled(name) {
  return versionOf(name, ROOT) !== undefined;
}

/**
 * Versions of what is measured, and of what it stands on.
 *
 * @param {readonly string[]} names of adapters
 * @returns {Record<string, string>}
 */
export function versionsOf(names) {
  /** @type {Record<string, string>} */
  const versions = { 'secure-websocket': readJson(new URL('package.json', ROOT)).version };
  for (const { packages, isPeer } of names.map(adapterNamed)) {
    for (const name of packages) versions[name] = versionOf(name, isPeer ? PEERS : ROOT) ?? 'not installed';
  }
  return versions;
}

/**
 * @param {string} name
 * @param {URL} folder
 * @returns {string | undefined}
 */
function versionOf(name, folder) {
  const file = new URL(`node_modules/${name}/package.json`, folder);
  return fs.existsSync(file) ? readJson(file).version : undefined;
}

/** @param {URL} file */
function readJson(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}
