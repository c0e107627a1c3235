// @ts-check
// npm test: everything there is to check, with little to read when all is well.
//
//   npm test                             all of it
//   npm test -- --project node           further arguments go to Vitest
//
// A step is a script of package.json, so `npm run <step>` repeats it alone. Its output is shown when it fails. What
// does not depend on a failed step runs all the same.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ENGINES, findBrowsers } from './browsers.mjs';
import { findNginx } from './nginx.mjs';
import { findPython } from './python.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
// As npm does it: what the package depends on can be called by name.
const env = {
  ...process.env,
  PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env['PATH']}`,
};

/** Steps that tell what was found, or could not be: worth a line even when all is well. */
const FINDING = ['browsers', 'nginx', 'python'];

/** @type {string[]} */
const failed = [];
const begin = performance.now();

const seconds = (/** @type {number} */ since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs one script quietly.
 *
 * @param {string} name
 * @returns {Promise<boolean>} whether it succeeded
 */
function step(name) {
  const start = performance.now();
  return new Promise(resolve => {
    const child = spawn(scripts[name], { cwd: root, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    /** @type {Buffer[]} */
    const output = [];
    child.stdout.on('data', chunk => output.push(chunk));
    child.stderr.on('data', chunk => output.push(chunk));
    child.on('error', error => output.push(Buffer.from(error.message)));
    child.on('close', code => {
      const text = Buffer.concat(output).toString().trim();
      console.log(`${code === 0 ? '✓' : '✗'} ${name} (${seconds(start)})`);
      if (text !== '' && (code !== 0 || FINDING.includes(name))) console.log(text.replaceAll(/^/gm, '    '));
      if (code !== 0) failed.push(name);
      resolve(code === 0);
    });
  });
}

/**
 * Runs Vitest, whose output is meant to be read as it comes.
 *
 * @param {string[]} args
 * @returns {Promise<void>}
 */
function vitest(args) {
  return new Promise(resolve => {
    const child = spawn('vitest', ['run', ...args], {
      cwd: root,
      env,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
    child.on('error', error => console.log(error.message));
    child.on('close', code => {
      if (code !== 0) failed.push('vitest');
      resolve();
    });
  });
}

// Three lines of work that do not depend on each other; inside each, one step after the other.
const [, isBuilt] = await Promise.all([
  (async () => {
    for (const name of ['format:check', 'lint', 'typecheck']) await step(name);
  })(),
  (async () => {
    const built = await step('build');
    if (built) await step('package:lint');
    return built;
  })(),
  // One after the other: all may call apt-get.
  (async () => {
    for (const name of ['browsers', 'nginx', 'python']) await step(name);
  })(),
]);

if (isBuilt) await vitest(process.argv.slice(2));
else console.log('The tests need a build, and are left out.');

const found = findBrowsers();
const leftOut = ENGINES.filter(engine => found[engine] === undefined);
if (leftOut.length > 0) console.log(`Not tested in ${leftOut.join(', ')}: see "browsers" above.`);
if (findNginx() === undefined) console.log('Not tested behind nginx: see "nginx" above.');
if (findPython() === undefined) console.log('Not tested with Python: see "python" above.');
console.log(`${failed.length === 0 ? 'All is well' : `Failed: ${failed.join(', ')}`} (${seconds(begin)}).`);
process.exitCode = failed.length === 0 ? 0 : 1;
