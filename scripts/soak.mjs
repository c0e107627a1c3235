// @ts-check
// Hostile load for minutes: a relay, people who use it, and all attacks of test/support/hostile at once.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { bundle } from './soak/bundle.mjs';

const HELP = `npm run soak -- [--minutes M] [--seed N]

  --minutes M   so long, after the warm-up. Default 10
  --seed N      which attacks follow each other, and what they send. Default 1
  --tls         the relay speaks TLS

Runs a relay in a process of its own, attackers in another, and clients and a service that behave, over this machine's
loopback. Each 10 seconds a line: what the well-behaved were delivered, what the relay holds, and whom it turned away.
Exit code 1, and why: a message was lost, doubled or reordered; the relay ended; its tables are not empty when the
attackers have left; or its memory is not back where it was after the warm-up.`;

/**
 * @param {string} name
 * @param {string} value
 * @param {RegExp} pattern
 */
function number(name, value, pattern) {
  if (pattern.test(value) && Number(value) > 0) return Number(value);
  console.error(`--${name} must be a number above 0, not "${value}".\n\n${HELP}`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    tls: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
} else {
  const plan = {
    minutes: number('minutes', values.minutes, /^\d+(\.\d+)?$/),
    seed: number('seed', values.seed, /^\d{1,9}$/),
    tls: values.tls,
  };
  const { files, remove } = await bundle({
    soak: 'scripts/soak/soak.ts',
    attackers: 'scripts/soak/attackers.ts',
    relay: 'test/support/hostile/relay-process-main.ts',
  });
  try {
    const child = spawn(process.execPath, [files.soak, JSON.stringify({ ...plan, files })], {
      stdio: 'inherit',
    });
    // An interrupt goes to the whole group: the child ends by itself, and then this.
    process.on('SIGINT', () => undefined);
    process.exitCode = await new Promise(resolve => {
      child.on('exit', code => {
        resolve(code ?? 1);
      });
    });
  } finally {
    await remove();
  }
}
