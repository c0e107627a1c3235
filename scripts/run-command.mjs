// @ts-check
import { spawn } from 'node:child_process';
import path from 'node:path';

/** No single command may take longer, in milliseconds. */
const TIME_LIMIT = 300_000;

/**
 * Runs one command; its output is shown only when it fails.
 *
 * @param {string[]} command
 * @returns {Promise<void>}
 */
export function runCommand([program, ...args]) {
  return new Promise(resolve => {
    const child = spawn(String(program), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      env: {
        ...process.env,
        PATH: [path.resolve('node_modules/.bin'), process.env['PATH']].join(path.delimiter),
      },
    });
    let output = '';
    const collect = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString()).slice(-4000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => {
      output += `\nstopped after ${TIME_LIMIT / 1000} s`;
      // The whole group: apt-get and playwright have children of their own.
      if (child.pid !== undefined && process.platform !== 'win32') process.kill(-child.pid, 'SIGTERM');
      else child.kill();
    }, TIME_LIMIT);
    child.on('error', error => {
      output += error.message;
    });
    child.on('close', code => {
      clearTimeout(timer);
      if (code !== 0) console.log(output.trim().replaceAll(/^/gm, '    '));
      resolve();
    });
  });
}
