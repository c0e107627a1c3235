// The programs of the README, as a stranger would run them: only ports and keys are filled in.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
let home: string;
let programs: Map<string, string>;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'secure-websocket-'));
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const blocks = readme.matchAll(/<!-- test: (.+?) -->\s+```js\n([^]+?)```/g);
  programs = new Map([...blocks].map(([, name = '', code = '']) => [name, code]));
});

afterAll(() => rm(home, { recursive: true }));

it('a browser or Node client talks to a service', async () => {
  const port = await freePort();
  const server = run('direct server', { 8080: port });
  const [, publicKey = ''] = /^\S+ ([0-9a-f]{64})$/.exec(await server.line()) ?? [];
  const client = run('direct client', { 8080: port, '<public key>': publicKey });
  expect(await client.line()).toBe('hello');
  expect(await server.line()).toMatch(/^[0-9a-f]{64} dialled \/chat$/);
  server.stop();
  expect(await client.line()).toBe('1006 false');
});

it('a client goes on where it stopped, and says what was lost with a process', async () => {
  const port = await freePort();
  const server = run('direct server', { 8080: port });
  await server.line();
  const client = run('resuming client', { 8080: port });
  // The first message has come back: they are connected.
  expect(await server.line()).toMatch(/dialled \/chat$/);
  server.stop();
  expect(await client.line()).toMatch(/^away 1 \d/);
});

it('two clients talk through a relay', async () => {
  const port = await freePort();
  const relay = run('relay', { 9000: port });
  await relay.line();
  const server = run('relayed server', { 9000: port });
  const url = await server.line();
  expect(url).toMatch(/^ws:\/\/localhost:\d+\/[0-9a-f]{64}$/);
  const client = run('relayed client', { 9000: port, '<public key>': url.slice(-64) });
  expect(await client.line()).toBe('you said: hello');
});

it('several programs talk in a space', async () => {
  const port = await freePort();
  const relay = run('relay', { 9000: port });
  await relay.line();
  const first = run('space', { 9000: port });
  expect(await first.line()).toBe('here are 1');
  const second = run('space', { 9000: port });
  expect(await second.line()).toBe('here are 2');
  expect(await first.line()).toMatch(/^[0-9a-f]{32} has come$/);
  expect(await first.line()).toMatch(/^[0-9a-f]{8}: hello$/);
  expect(await second.line()).toMatch(/^[0-9a-f]{8}: welcome$/);
});

/** Runs one program of the README with something filled in. */
function run(
  name: string,
  fillIn: Record<string, string | number>,
): { line(): Promise<string>; stop(): void } {
  let code = programs.get(name);
  if (code === undefined) throw new Error(`The README has no program marked "test: ${name}".`);
  for (const [what, by] of Object.entries(fillIn)) code = code.replaceAll(what, String(by));
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: root,
    env: { ...process.env, SECURE_WEBSOCKET_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  if (!child.stdout) throw new Error('a child process without output');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async line() {
      const next: IteratorResult<string, undefined> = await lines.next();
      if (next.done === true) throw new Error(`"${name}" ended without saying more`);
      return next.value;
    },
    stop: () => child.kill('SIGKILL'),
  };
}
