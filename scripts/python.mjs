// @ts-check
// Whether there is a Python with its `websockets`, which the proxy is tested with, and how to get one that is missing.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const DEBIAN_PACKAGES = ['python3', 'python3-websockets'];

/**
 * A Python of this machine that has `websockets`: PYTHON_BIN, else the first in the PATH, else the system's own. Undefined
 * where there is none.
 *
 * @returns {string | undefined}
 */
export function findPython() {
  const named = process.env['PYTHON_BIN'];
  if (named && !fs.existsSync(named)) throw new Error(`PYTHON_BIN is "${named}", and there is no such file.`);
  return (named ? [named] : inPath()).find(hasWebSockets);
}

/** @param {string} executable */
function hasWebSockets(executable) {
  const options = { stdio: /** @type {const} */ ('ignore'), timeout: 30_000 };
  return spawnSync(executable, ['-c', 'import websockets'], options).status === 0;
}

/** Those that others manage come first in the PATH, and may lack what the system has packages for. */
function inPath() {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/bin'];
  return [...new Set(folders)]
    .map(folder => path.join(folder, 'python3'))
    .filter(file => fs.existsSync(file));
}

/** Whether Python must not be missing: REQUIRE_PYTHON is true, or else CI is. */
export function isPythonRequired() {
  return (process.env['REQUIRE_PYTHON'] ?? process.env['CI']) === 'true';
}

/** @typedef {import('./browsers.mjs').Host} Host */

/**
 * The commands that install it, one after the other. Empty where it is not known how, or impossible.
 *
 * @param {Host} host
 * @returns {string[][]}
 */
export function pythonInstallPlan({ distribution, elevation }) {
  if ((distribution !== 'debian' && distribution !== 'ubuntu') || elevation === undefined) return [];
  const elevate = elevation === 'sudo' ? ['sudo', '-n'] : [];
  const aptGet = [
    ...elevate,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-o',
    'DPkg::Lock::Timeout=60',
  ];
  return [
    [...aptGet, 'update', '-qq'],
    [...aptGet, 'install', '-y', '-qq', '--no-install-recommends', ...DEBIAN_PACKAGES],
  ];
}

/** What to tell somebody whose machine has none. */
export function missingPythonMessage() {
  return [
    'No Python with its package "websockets" to test with.',
    `On Debian: sudo apt-get install --no-install-recommends ${DEBIAN_PACKAGES.join(' ')}`,
    'elsewhere: python3 -m pip install websockets; or name one that has it: PYTHON_BIN (a path).',
  ].join('\n');
}
