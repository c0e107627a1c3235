import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Relay } from '../../src/relay/relay.js';
import { freePort } from '../support/free-port.js';
import { Program } from '../support/program.js';
import { proxyScene } from '../support/proxy-scene.js';
import { pythonToTest } from '../support/python.js';
import { relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

// `proxy` and `expose` between programs that nobody here wrote, through a relay of which everything is recorded.

vi.setConfig({ testTimeout: 60_000 });

const python = pythonToTest();
const wscat = join(createRequire(import.meta.url).resolve('wscat/package.json'), '../bin/wscat');

const relays = relayScene();
const scene = proxyScene();

function start(executable: string, args: readonly string[]): Program {
  const program = new Program(executable, args);
  relays.after(() => {
    program.kill();
    return program.exit;
  });
  return program;
}

/** A relay, and all that it got to see. */
async function recordingRelay(): Promise<{ relay: Relay; seen: () => Buffer }> {
  const bodies: Uint8Array[] = [];
  const relay = await relays.relay({
    onEnvelope: ({ body }) => {
      bodies.push(body);
    },
  });
  return { relay, seen: () => Buffer.concat(bodies) };
}

describe.runIf(python !== undefined)('Python', () => {
  const path = 'test/support/strangers';
  const SECRET = 'this is nothing for relays';

  it('talks to Python, and the relay sees ciphertext', async () => {
    const { relay, seen } = await recordingRelay();
    const server = start(python ?? '', [`${path}/server.py`]);
    const { port } = (await server.json()) as { port: number };
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`);
    const proxy = await scene.proxy(['--to', expose.url]);
    const [, publicKey] = /^Our public key: (\S+)$/m.exec(proxy.stderr) ?? [];
    const client = start(python ?? '', [`${path}/client.py`, `${proxy.url}/room?name=x`, SECRET]);
    expect(await server.json()).toEqual({ path: '/room?name=x', key: publicKey, subprotocol: 'chat' });
    expect(await client.json()).toEqual({ subprotocol: 'chat', code: 4321, reason: 'enough' });
    expect(await client.exit).toBe(0);
    expect(await server.json()).toEqual({ code: 4321, reason: 'enough' });
    const ciphertext = seen();
    // Four MiB each way, and nothing of it, of the path or of the subprotocol.
    expect(ciphertext.length).toBeGreaterThan(8 * 1_048_576);
    for (const plain of [SECRET, 'room?name', 'chat', 'enough', 'from the client', 'ünïcödé'])
      expect(ciphertext.includes(plain)).toBe(false);
    expect(ciphertext.includes(Buffer.from(Array.from({ length: 256 }, (_, index) => index)))).toBe(false);
  });

  it('many clients at a time', async () => {
    const { relay } = await recordingRelay();
    const server = start(python ?? '', [`${path}/server.py`]);
    const { port } = (await server.json()) as { port: number };
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`);
    const proxy = await scene.proxy(['--relay', relay.url]);
    const clients = ['one', 'two', 'three', 'four'].map(text =>
      start(python ?? '', [`${path}/client.py`, `${proxy.url}/${expose.publicKey}`, text]),
    );
    expect(await Promise.all(clients.map(({ exit }) => exit))).toEqual([0, 0, 0, 0]);
  });

  it('as the guide has it', async () => {
    const guide = await readFile('docs/proxy.md', 'utf8');
    const folder = await temporaryFolder();
    const script = async (name: string, replacements: Readonly<Record<string, string>>): Promise<Program> => {
      const [, code] = new RegExp(`<!-- test: ${name} -->\\s+\`\`\`python\\n([^]+?)\`\`\``).exec(guide) ?? [];
      expect(code).toBeDefined();
      let text = code ?? '';
      for (const [from, to] of Object.entries(replacements)) {
        expect(text).toContain(from);
        text = text.replaceAll(from, to);
      }
      const file = join(folder, `${name}.py`);
      await writeFile(file, text);
      return start(python ?? '', ['-u', file]);
    };
    const { relay } = await recordingRelay();
    const port = await freePort();
    const server = await script('server', { 3000: String(port) });
    expect(await server.line()).toBe('ready');
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`);
    const proxy = await scene.proxy(['--to', expose.url]);
    const client = await script('client', { 'ws://127.0.0.1:9000': proxy.url });
    expect(await client.line()).toBe('you said: hello');
    expect(await client.exit).toBe(0);
    expect(await server.line()).toMatch(/^[0-9a-f]{64} says hello$/);
  });
});

describe('wscat', () => {
  it('talks to wscat', async () => {
    const { relay, seen } = await recordingRelay();
    const port = await freePort();
    const server = start(process.execPath, [wscat, '--listen', String(port)]);
    const expose = await scene.expose(relay, `ws://127.0.0.1:${port}`);
    const proxy = await scene.proxy(['--to', expose.url, '--verbose']);
    // It says nothing when it listens: until then it refuses connections.
    let client: Program;
    for (;;) {
      client = start(process.execPath, [wscat, '--no-color', '--connect', proxy.url]);
      const connected = proxy.tells(/^\+ connection \d+/m).then(() => true);
      if (await Promise.race([connected, client.exit.then(() => false)])) break;
    }
    // What it reads before it is connected, wscat forgets.
    server.stdin.write('from the server of wscat\n');
    expect(await client.line()).toContain('from the server of wscat');
    client.stdin.write('from the client of wscat\n');
    expect(await server.line()).toContain('from the client of wscat');
    client.stdin.end();
    expect(await client.exit).toBe(0);
    await proxy.tells(/^- connection \d+ \(1005\)$/m);
    expect(seen().length).toBeGreaterThan(100);
    expect(seen().includes('of wscat')).toBe(false);
  });

  it('is told why it cannot be', async () => {
    const { relay } = await recordingRelay();
    const proxy = await scene.proxy(['--relay', relay.url]);
    const client = start(process.execPath, [wscat, '--connect', `${proxy.url}/nowhere`]);
    expect(await client.exit).not.toBe(0);
    expect(client.stderr).toContain('404');
    const page = start(process.execPath, [wscat, '--connect', proxy.url, '--origin', 'https://evil.example']);
    expect(await page.exit).not.toBe(0);
    expect(page.stderr).toContain('403');
  });

  it('shows a token', async () => {
    const { relay } = await recordingRelay();
    const echo = await relays.echo(relay);
    echo.on('connection', socket => {
      socket.send('welcome');
    });
    const token = 'a-token-that-is-long-enough';
    const proxy = await scene.proxy(['--to', echo.url ?? ''], { SECURE_WEBSOCKET_CLIENT_TOKEN: token });
    const client = start(process.execPath, [
      ...[wscat, '--no-color', '--connect', proxy.url, '--header', `Authorization: Bearer ${token}`],
    ]);
    expect(await client.line()).toContain('welcome');
    client.stdin.write('hello\n');
    expect(await client.line()).toContain('hello');
    client.stdin.end();
    expect(await client.exit).toBe(0);
  });
});
