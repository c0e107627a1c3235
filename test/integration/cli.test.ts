import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import {
  SecureWebSocketServer,
  type SecureWebSocketServerOptions,
} from '../../src/socket/node-secure-web-socket-server.js';
import type { ServerSecureWebSocket } from '../../src/socket/node-server-secure-web-socket.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.js';
import { type CliProcess, sha256 } from '../support/cli-process.js';
import { CliScene } from '../support/cli-scene.js';
import { DialledPeer } from '../support/dialled-peer.js';
import { freePort } from '../support/free-port.js';

// The command line as its user meets it: real processes, real sockets, real pipes.

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MEBIBYTE = 1_048_576;
const ADDRESS = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';
const posix = process.platform !== 'win32';

const scene = new CliScene();

function start(args: readonly string[], stdin: 'pipe' | 'ignore' = 'pipe'): CliProcess {
  return scene.start(args, { stdin });
}

async function startRelay(...args: string[]): Promise<CliProcess & { url: string; publicKey: string }> {
  const relay = start(['relay', '--port', '0', '--host', '127.0.0.1', ...args]);
  const [, url = ''] = await relay.says(/^Relay at +(ws:\S+)$/m);
  const [, publicKey = ''] = await relay.says(/^Public key +([0-9a-f]{64})$/m);
  await relay.says('Press Ctrl-C');
  return Object.assign(relay, { url, publicKey });
}

async function startListen(
  args: readonly string[],
  stdin: 'pipe' | 'ignore' = 'pipe',
): Promise<CliProcess & { url: string }> {
  const listen = start(['listen', ...args], stdin);
  const [, url = ''] = await listen.tells(/^(ws:\S+)\n/);
  await listen.tells(/secure-websocket connect .*\n/);
  return Object.assign(listen, { url });
}

async function startConnect(...args: string[]): Promise<CliProcess> {
  const connect = start(['connect', ...args]);
  await connect.tells('Connected to');
  return connect;
}

/** A server of this process, for what `listen` does not do. */
async function serve(options: Partial<SecureWebSocketServerOptions> = {}): Promise<SecureWebSocketServer> {
  const server = new SecureWebSocketServer({
    port: 0,
    host: '127.0.0.1',
    identity: Identity.generate(),
    ...options,
  });
  scene.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await server.ready;
  return server;
}

describe('relay, listen and connect', () => {
  it('talk in three processes', async () => {
    const relay = await startRelay('--verbose');
    const listen = await startListen(['--relay', relay.url]);
    expect(listen.url).toMatch(new RegExp(`^${relay.url}/[0-9a-f]{64}$`));
    // Exactly what is to be pasted.
    await listen.tells(`\n  secure-websocket connect ${listen.url}\n`);

    const connect = await startConnect(listen.url);
    await connect.tells(`Connected to ${listen.url.slice(-64)} as `);
    connect.stdin.write('one\ntwo: größer\n\n');
    await listen.says(/^one\ntwo: größer\n\n$/);
    listen.stdin.write('back\n');
    await connect.says(/^back\n$/);

    connect.stdin.end('the last, without a newline');
    expect(await connect.exit).toBe(0);
    await listen.says(/the last, without a newline\n$/);
    await listen.tells(/^Disconnected: [0-9a-f]{8}$/m);
    // Listening goes on.
    const again = await startConnect(listen.url);
    again.stdin.end('again\n');
    expect(await again.exit).toBe(0);
    await listen.says(/again\n$/);
    expect(again.stdout.text).toBe('');

    const [, key = ''] = await connect.tells(/ as ([0-9a-f]{64})/);
    await relay.says(new RegExp(`^\\S+ \\+ ${key.slice(0, 8)} connection \\d+ from 127\\.0\\.0\\.1$`, 'm'));
    await relay.says(new RegExp(`^\\S+ - ${key.slice(0, 8)} connection \\d+ \\(1000\\)$`, 'm'));
  });

  it('keep the identities of both ends', async () => {
    const relay = await startRelay();
    const first = await startListen(['--relay', relay.url]);
    await first.tells(`A new identity was made: ${join(scene.home, 'server.key')}`);
    const connect = await startConnect(first.url);
    const [, key] = await connect.tells(/ as ([0-9a-f]{64})/);
    connect.stdin.end();
    await connect.exit;
    first.kill('SIGTERM');
    await first.exit;

    const second = await startListen(['--relay', relay.url]);
    expect(second.url).toBe(first.url);
    await (await startConnect(second.url)).tells(` as ${key ?? ''}`);
    expect(second.stderr.text).not.toContain('A new identity');
    if (posix) {
      for (const name of ['client', 'server', 'relay']) {
        expect((await stat(join(scene.home, `${name}.key`))).mode & 0o777).toBe(0o600);
      }
    }
  });

  it('talk to several at once, of the same identity too', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    const a = await startConnect(listen.url);
    const b = await startConnect(listen.url);
    const c = await startConnect('--ephemeral', listen.url);
    await listen.tells(/(Connected: .*[^]*){3}/);
    listen.stdin.write('to all\n');
    for (const peer of [a, b, c]) await peer.says(/^to all\n$/);
    for (const peer of [a, b, c]) peer.stdin.end('from one\n');
    expect(await Promise.all([a.exit, b.exit, c.exit])).toEqual([0, 0, 0]);
    await listen.says(/^(from one\n){3}$/);
  });

  it('keep lines that are piped in until somebody comes', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--relay', relay.url]);
    listen.stdin.end('one\ntwo');
    const connect = await startConnect(listen.url);
    await connect.says(/^one\ntwo\n$/);
    expect(await Promise.all([listen.exit, connect.exit])).toEqual([0, 0]);
  });

  it('stop listening when --once has got its one', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--relay', relay.url]);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    const late = start(['connect', listen.url]);
    expect(await late.exit).toBe(3);
    await late.tells('error: The peer refused the channel (503): somebody else is connected.');
    connect.stdin.end('still here\n');
    expect(await Promise.all([listen.exit, connect.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe('still here\n');
  });

  it('stop listening at once with --no-reconnect, as nobody could come back', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--no-reconnect', '--relay', relay.url]);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    const late = start(['connect', listen.url]);
    expect(await late.exit).toBe(1);
    await late.tells('error: Nobody listens at this address');
    connect.stdin.end('still here\n');
    expect(await Promise.all([listen.exit, connect.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe('still here\n');
  });

  it('need no relay', async () => {
    const listen = await startListen(['--port', '0', '--host', '127.0.0.1']);
    const [, key = ''] = await listen.tells(/^Our public key: ([0-9a-f]{64})$/m);
    await listen.tells(`\n  secure-websocket connect --server-key ${key} ${listen.url}\n`);
    const connect = await startConnect('--server-key', key, listen.url);
    connect.stdin.write('direct\n');
    await listen.says('direct\n');
    expect(connect.stderr.text).not.toContain('--server-key');
    // Who is not pinned is named, so that it can be.
    await (await startConnect(listen.url)).tells(`--server-key ${key}\n`);
  });

  it('report to programs with --json', async () => {
    const relay = start([
      'relay',
      '--port',
      '0',
      '--host',
      '127.0.0.1',
      '--json',
      '--drain-delay=0',
      '--drain-time=0',
    ]);
    const [line = ''] = await relay.says(/^.*\n/);
    const { url, publicKey } = JSON.parse(line) as { url: string; publicKey: string };
    expect(JSON.parse(line)).toMatchObject({ event: 'listening', urls: [url] });
    const listen = await startListen(['--relay', url, '--server-key', publicKey]);
    listen.kill('SIGTERM');
    await listen.exit;
    await relay.says('"disconnection"');
    relay.kill('SIGTERM');
    expect(await relay.exit).toBe(0);
    const events = relay.stdout.text
      .trim()
      .split('\n')
      .map(text => JSON.parse(text) as Record<string, unknown>);
    const client = { publicKey: listen.url.slice(-64), remoteAddress: '127.0.0.1' };
    expect(events.slice(1)).toMatchObject([
      { event: 'connection', ...client },
      { event: 'disconnection', ...client, code: 1000 },
      { event: 'draining', signal: 'SIGTERM', connections: 0 },
      { event: 'drained' },
    ]);
  });
});

describe('--binary', () => {
  it('carries files both ways at once', async () => {
    const relay = await startRelay();
    const there = randomBytes(7 * MEBIBYTE + 1);
    const back = randomBytes(3 * MEBIBYTE + 5);
    const listen = await startListen(['--binary', '--once', '--wait', '--relay', relay.url]);
    await listen.tells(`secure-websocket connect --binary ${listen.url}`);
    const connect = start(['connect', '--binary', '--wait', listen.url]);
    connect.stdin.end(there);
    listen.stdin.end(back);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.sha256).toBe(sha256(there));
    expect(connect.stdout.sha256).toBe(sha256(back));
  });

  it('needs no relay', async () => {
    const file = randomBytes(5 * MEBIBYTE);
    const listen = await startListen(['--binary', '--once', '--port', '0', '--host', '127.0.0.1'], 'pipe');
    const connect = start(['connect', '--binary', listen.url]);
    connect.stdin.end(file);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.sha256).toBe(sha256(file));
  });

  it('sends a file to whoever comes, and ends', async () => {
    const relay = await startRelay();
    const file = randomBytes(4 * MEBIBYTE);
    const listen = await startListen(['-b1', '-r', relay.url]);
    listen.stdin.end(file);
    const connect = start(['connect', '-b', listen.url]);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(connect.stdout.sha256).toBe(sha256(file));
  });

  it.each(['listen', 'connect'])('goes at the pace of whoever reads: %s', async reads => {
    const relay = await startRelay();
    const file = randomBytes(12 * MEBIBYTE);
    const listen = await startListen(['--binary', '--once', '--relay', relay.url]);
    const connect = start(['connect', '--binary', listen.url]);
    const [reader, writer] = reads === 'listen' ? [listen, connect] : [connect, listen];
    reader.output.pause();
    for (const at of [0, MEBIBYTE]) {
      await new Promise(done => writer.stdin.write(file.subarray(at, at + MEBIBYTE), done));
    }
    let isSent = false;
    writer.stdin.end(file.subarray(2 * MEBIBYTE), () => {
      isSent = true;
    });
    // Others are not held up; meanwhile this one could have sent the rest, if there were any place for it.
    const other = await startListen(['-b1', '--ephemeral', '--relay', relay.url], 'pipe');
    const another = start(['connect', '-b', '--ephemeral', other.url]);
    another.stdin.end(file);
    expect(await Promise.all([other.exit, another.exit])).toEqual([0, 0]);
    expect(other.stdout.sha256).toBe(sha256(file));
    expect(isSent).toBe(false);
    reader.output.resume();
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(reader.stdout.sha256).toBe(sha256(file));
  });

  it('takes one peer at a time', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--binary', '--relay', relay.url]);
    const first = await startConnect('--binary', listen.url);
    await listen.tells('Connected: ');
    const second = start(['connect', '--binary', listen.url]);
    expect(await second.exit).toBe(3);
    await second.tells('The peer refused the channel (503): somebody else is connected.');
    first.stdin.end('one');
    expect(await first.exit).toBe(0);
    await listen.tells('Disconnected');
    const third = await startConnect('--binary', listen.url);
    third.stdin.end('two');
    expect(await third.exit).toBe(0);
    await listen.says(/^onetwo$/);
  });

  it('takes one peer at a time without a relay, too', async () => {
    const listen = await startListen(['--binary', '--port', '0', '--host', '127.0.0.1']);
    const first = await startConnect('--binary', listen.url);
    await listen.tells('Connected: ');
    const second = start(['connect', '--binary', listen.url]);
    expect(await second.exit).toBe(1);
    await second.tells('The other side closed the connection with code 1013 (somebody else is connected).');
    first.stdin.end('one');
    expect(await first.exit).toBe(0);
    await listen.says(/^one$/);
  });
});

describe('the end of the input', () => {
  it('ends a connection at once, with --wait when the other side is done', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    const waiting = start(['connect', '--wait', listen.url], 'ignore');
    await waiting.tells('Connected to');
    const other = start(['connect', listen.url], 'ignore');
    expect(await other.exit).toBe(0);
    listen.stdin.write('still here\n');
    await waiting.says('still here\n');
    listen.stdin.end('and gone\n');
    expect(await waiting.exit).toBe(0);
    expect(waiting.stdout.text).toBe('still here\nand gone\n');
  });

  it('is told with a ping, and understood: by connect', async () => {
    const server = await serve();
    const connected = once(server, 'connection');
    const connect = start(['connect', '--wait', server.url ?? ''], 'ignore');
    const [socket] = (await connected) as [ServerSecureWebSocket];
    const closed = once(socket, 'close');
    expect(String((await once(socket, 'ping'))[0])).toBe('secure-websocket end of input');
    socket.send('the last words');
    socket.ping('secure-websocket end of input');
    expect((await closed)[0]).toBe(1000);
    expect(await connect.exit).toBe(0);
    expect(connect.stdout.text).toBe('the last words\n');
  });

  it('is told with a ping, and understood: by listen', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--wait', '--relay', relay.url], 'ignore');
    const peer = new DialledPeer(listen.url, { identity: Identity.generate() });
    const ending = Buffer.from('secure-websocket end of input');
    expect(await peer.events.next()).toEqual(['ping', ending.toString('hex')]);
    peer.text('the last words');
    peer.ping(...ending);
    expect((await peer.events.take(2)).at(-1)).toEqual(['close', 1000, '']);
    expect(await listen.exit).toBe(0);
    expect(listen.stdout.text).toBe('the last words\n');
  });

  it('is not the end of listening', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url], 'ignore');
    for (const text of ['one\n', 'two\n']) {
      const connect = start(['connect', '--wait', listen.url]);
      connect.stdin.end(text);
      expect(await connect.exit).toBe(0);
      await listen.says(text);
    }
  });

  it('of the other side loses nothing silently', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--binary', '--once', '--relay', relay.url], 'ignore');
    const connect = start(['connect', '--binary', listen.url]);
    connect.stdin.write(randomBytes(20 * MEBIBYTE));
    expect(await connect.exit).toBe(1);
    await connect.tells('The other side closed the connection before all of the input was sent.');
    expect(await listen.exit).toBe(0);
  });
});

describe('trust', () => {
  it('is not given to a relay with another key', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url, '--server-key', relay.publicKey]);
    const pinned = await startConnect('--server-key', relay.publicKey, listen.url);
    pinned.stdin.end();
    expect(await pinned.exit).toBe(0);
    for (const args of [
      ['connect', '--server-key', ADDRESS, listen.url],
      ['listen', '--server-key', ADDRESS, '--relay', relay.url, '--ephemeral'],
    ]) {
      const refused = start(args);
      expect(await refused.exit).toBe(3);
      await refused.tells(`has the key ${relay.publicKey}, which is not the one given`);
      await refused.tells(/\n {2}Ask whoever runs the server/);
      expect(refused.stdout.text).toBe('');
    }
  });

  it('is not given to a server with another key', async () => {
    const server = await serve();
    const refused = start(['connect', '--server-key', ADDRESS, server.url ?? '']);
    expect(await refused.exit).toBe(3);
    await refused.tells(`has the key ${server.publicKey ?? ''}, which is not`);
  });

  it('is not given to a relay that claims another address', async () => {
    const port = await freePort();
    const relay = start(['relay', '--port', String(port), '--public-url', 'wss://relay.example']);
    await relay.says(/^Relay at +wss:\/\/relay\.example$/m);
    const refused = start(['connect', `ws://127.0.0.1:${port}/${ADDRESS}`]);
    expect(await refused.exit).toBe(3);
    await refused.tells(`does not answer to ws://127.0.0.1:${port}, but to wss://relay.example`);
  });

  it('is given to the certificates of --ca', async () => {
    const file = join(scene.home, 'ca.pem');
    await writeFile(file, CERTIFICATE);
    const https = createHttpsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY }).listen(0, '127.0.0.1');
    await once(https, 'listening');
    scene.after(() => {
      https.closeAllConnections();
      https.close();
    });
    const server = await serve({ port: undefined, host: undefined, server: https });
    expect(server.url).toMatch(/^wss:/);
    const refused = start(['connect', server.url ?? '']);
    expect(await refused.exit).toBe(1);
    await refused.tells(/^error: Could not connect to wss:.*self-signed certificate/m);
    (await startConnect('--ca', file, server.url ?? '')).stdin.end();
  });

  it('is given to those whom --allow names', async () => {
    const relay = await startRelay();
    const keygen = start(['keygen']);
    await keygen.exit;
    const listen = await startListen(['--once', '--allow', keygen.stdout.text.trim(), '--relay', relay.url]);
    const stranger = start(['connect', '--ephemeral', listen.url]);
    stranger.stdin.write('let me in\n');
    expect(await stranger.exit).toBe(3);
    await stranger.tells('with code 1008 (this key is not allowed)');
    await listen.tells(/Refused: [0-9a-f]{64}/);
    // That was not the one connection of --once.
    const friend = await startConnect(listen.url);
    friend.stdin.end('hello\n');
    expect(await Promise.all([friend.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe('hello\n');
  });
});

describe('what goes wrong', () => {
  it('nobody listens', async () => {
    const relay = await startRelay();
    const connect = start(['connect', `${relay.url}/${ADDRESS}`]);
    expect(await connect.exit).toBe(1);
    await connect.tells(
      'error: Nobody listens at this address on the relay.\n  Start "secure-websocket listen',
    );
  });

  it('no relay', async () => {
    const port = await freePort();
    for (const args of [
      ['connect', `ws://127.0.0.1:${port}/${ADDRESS}`],
      ['listen', '--relay', `ws://127.0.0.1:${port}`],
    ]) {
      const child = start(args);
      expect(await child.exit).toBe(1);
      await child.tells(`error: Could not connect to ws://127.0.0.1:${port} (`);
      await child.tells('ECONNREFUSED');
    }
  });

  it('a port that is taken', async () => {
    const server = await serve();
    const { port } = server.address() as { port: number };
    for (const command of ['relay', 'listen']) {
      const child = start([command, '--host', '127.0.0.1', '--port', String(port)]);
      expect(await child.exit).toBe(1);
      await child.tells(
        `error: Another program listens at 127.0.0.1, port ${port} already.\n  Choose another with --port`,
      );
    }
  });

  it('the relay dies, and nobody wants to wait for it', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--no-reconnect', '--relay', relay.url]);
    const connect = await startConnect(listen.url);
    const patient = await startConnect('--reconnect', listen.url);
    await listen.tells(/(Connected: [^]*){2}/);
    relay.kill('SIGKILL');
    // Where it was connected to nobody waits for it.
    expect(await Promise.all([connect.exit, listen.exit, patient.exit])).toEqual([1, 1, 1]);
    for (const child of [connect, listen]) await child.tells(/^error: The connection was lost \(1006/m);
  });

  it('the other side dies', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--relay', relay.url]);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    connect.kill('SIGKILL');
    expect(await listen.exit).toBe(1);
    await listen.tells('error: The peer is no longer connected to the relay.');
  });

  it('the other side closes with a code, and says why in colours', async () => {
    const server = await serve();
    server.on('connection', socket => {
      socket.close(4001, 'no \u001b[31mway');
    });
    const connect = start(['connect', server.url ?? '']);
    expect(await connect.exit).toBe(1);
    await connect.tells(
      String.raw`error: The other side closed the connection with code 4001 (no \x1b[31mway).`,
    );
  });

  it('a path that looks like a public key', async () => {
    const server = await serve({ path: `/${ADDRESS}` });
    const url = server.url ?? '';
    expect(url).toContain(`/${ADDRESS}`);
    const relayed = start(['connect', url]);
    expect(await relayed.exit).toBe(1);
    (await startConnect('--direct', url)).stdin.end();
  });

  it('the subprotocol does not fit', async () => {
    const server = await serve({ handleProtocols: offered => (offered.has('chat') ? 'chat' : false) });
    const fits = await startConnect('--protocol', 'x', '--protocol', 'chat', server.url ?? '');
    await fits.tells(' (chat) as ');
    const refused = start(['connect', '--protocol', 'x', server.url ?? '']);
    expect(await refused.exit).toBe(3);
    await refused.tells('chose none of the subprotocols');
  });

  it('answers pings, so that a silent connection is kept', async () => {
    const server = await serve();
    const connected = once(server, 'connection');
    await startConnect(server.url ?? '');
    const [socket] = (await connected) as [ServerSecureWebSocket];
    const pong = once(socket, 'pong');
    socket.ping('are you there?');
    expect(String((await pong)[0])).toBe('are you there?');
  });

  it.runIf(posix)('a key that others can read', async () => {
    const file = join(scene.home, 'mine.key');
    await start(['keygen', file]).exit;
    await chmod(file, 0o640);
    for (const args of [
      ['connect', `ws://127.0.0.1:9/${ADDRESS}`],
      ['listen', '--port', '0'],
      ['relay', '--port', '0'],
    ]) {
      const child = start([...args, '--identity', file]);
      expect(await child.exit).toBe(4);
      await child.tells(`error: The key file ${file} has mode 0640: other users have access to it.`);
      expect(child.stderr.text).not.toContain((await readFile(file, 'utf8')).split(':')[1]?.trim());
    }
  });

  it('nobody reads what it prints', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    const connect = await startConnect(listen.url);
    connect.output.destroy();
    // It is noticed with the next line.
    listen.stdin.write('x\n'.repeat(1_000));
    expect(await connect.exit).toBe(0);
    expect(connect.stderr.text).not.toContain('EPIPE');
    await listen.tells('Disconnected');
  });
});

describe.runIf(posix)('signals', () => {
  it('end a connection in order', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const connect = await startConnect(listen.url);
      connect.stdin.write(`${signal}\n`);
      await listen.says(signal);
      connect.kill(signal);
      expect(await connect.exit).toBe(code);
    }
    await listen.tells(/(Disconnected: \S+ with code 1001 \(interrupted\)[^]*){2}/);
    listen.kill('SIGINT');
    expect(await listen.exit).toBe(0);
    relay.kill('SIGINT');
    expect(await relay.exit).toBe(0);
    await relay.tells('SIGINT: closing 0 connections.');
  });

  it('end listening for one before it came', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--once', '--relay', relay.url]);
    listen.kill('SIGTERM');
    expect(await listen.exit).toBe(143);
  });

  it('end a relay with all who are connected, who are told', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    const resolute = await startListen(['--no-reconnect', '--ephemeral', '--relay', relay.url]);
    const connect = await startConnect(listen.url);
    relay.kill('SIGINT');
    expect(await Promise.all([relay.exit, resolute.exit, connect.exit])).toEqual([0, 1, 1]);
    await relay.tells('SIGINT: closing 3 connections.');
    const told = 'The connection was lost (1001: The relay is going down.).';
    for (const child of [resolute, connect]) await child.tells(`error: ${told}`);
    await listen.tells(`Lost the relay: ${told} Trying again in `);
    listen.kill('SIGTERM');
    expect(await listen.exit).toBe(0);
  });

  it('end it at once when there are two of them', async () => {
    const relay = await startRelay();
    const listen = await startListen(['--relay', relay.url]);
    // It will not answer the closing handshake.
    listen.kill('SIGSTOP');
    relay.kill('SIGINT');
    relay.kill('SIGTERM');
    // The one that comes second, which both can be. Without it the relay would wait, and end with 0.
    expect([130, 143]).toContain(await relay.exit);
  });
});

describe('the program', () => {
  it('explains itself', async () => {
    const help = start(['--help']);
    expect(await help.exit).toBe(0);
    expect(help.stdout.text).toContain('Usage: secure-websocket <command>');
    const wrong = start(['listen', '--rely', 'x']);
    expect(await wrong.exit).toBe(2);
    expect(wrong.stderr.text).toBe(
      'error: Unknown option --rely. Did you mean --relay?\n  See secure-websocket listen --help\n',
    );
    expect(await readFile(scene.main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it('knows its version wherever it was built to', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    const child = start(['--version']);
    expect(await child.exit).toBe(0);
    expect(child.stdout.text).toBe(`${version}\n`);
  });
});
