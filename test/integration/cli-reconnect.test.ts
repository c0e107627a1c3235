import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { type CliProcess, sha256 } from '../support/cli-process.js';
import { CliScene } from '../support/cli-scene.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';

// What the command line does when a relay or a connection goes away and comes back: real processes, which are killed.

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const MEBIBYTE = 1_048_576;

const scene = new CliScene();

function start(...args: string[]): CliProcess {
  return scene.start(args);
}

async function startRelay(
  port = '0',
  ...args: string[]
): Promise<CliProcess & { url: string; port: string }> {
  const relay = start('relay', '--port', port, '--host', '127.0.0.1', ...args);
  const [, url = ''] = await relay.says(/^Relay at +(ws:\S+)$/m);
  await relay.says('Press Ctrl-C');
  return Object.assign(relay, { url, port: new URL(url).port });
}

/** The relay dies without a word. */
async function kill(relay: CliProcess): Promise<void> {
  relay.kill('SIGKILL');
  await relay.exit;
}

async function startListen(...args: string[]): Promise<CliProcess & { url: string }> {
  const listen = start('listen', ...args);
  const [, url = ''] = await listen.tells(/^(ws:\S+)\n/);
  return Object.assign(listen, { url });
}

async function startConnect(...args: string[]): Promise<CliProcess> {
  const connect = start('connect', '--reconnect', ...args);
  await connect.tells('Connected to');
  return connect;
}

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join('');
}

describe('the relay dies and comes back', () => {
  it('nothing is lost or repeated, either way', async () => {
    const relay = await startRelay();
    const listen = await startListen('--relay', relay.url);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    connect.stdin.write(lines(0, 1_000));
    listen.stdin.write(lines(0, 1_000));
    await kill(relay);
    connect.stdin.write(lines(1_000, 2_000));
    listen.stdin.write(lines(1_000, 2_000));
    await connect.tells(
      /^Lost the connection: The connection was lost \(1006.*\. Trying again in \d+\.\d s\.$/m,
    );
    await listen.tells(/^Lost the relay: The connection was lost \(1006.*\. Trying again in \d+\.\d s\.$/m);
    await listen.tells(/^Out of reach: [0-9a-f]{8}, The connection was lost/m);
    // Not even in reach.
    await connect.tells(/^Could not connect to .*ECONNREFUSED.* Trying again in /m);
    connect.stdin.write(lines(2_000, 3_000));

    const again = await startRelay(relay.port);
    await listen.tells(/^Listening again\.$/m);
    await connect.tells(/^Connected again, and going on\.$/m);
    await listen.tells(/^Back: [0-9a-f]{8}$/m);
    listen.stdin.write(lines(2_000, 3_000));
    connect.stdin.write(lines(3_000, 4_000));
    await connect.says('line 2999\n');
    connect.stdin.end('the end\n');
    expect(await connect.exit).toBe(0);
    await listen.says('the end\n');
    expect(listen.stdout.text).toBe(`${lines(0, 4_000)}the end\n`);
    expect(connect.stdout.text).toBe(lines(0, 3_000));
    // Others come as before.
    const other = start('connect', '--ephemeral', listen.url);
    other.stdin.end('another\n');
    expect(await other.exit).toBe(0);
    await listen.says('another\n');
    again.kill('SIGTERM');
  });

  it('a file arrives whole, and both end', async () => {
    const relay = await startRelay();
    const file = randomBytes(24 * MEBIBYTE);
    const back = randomBytes(5 * MEBIBYTE);
    const listen = await startListen('--binary', '--once', '--wait', '--relay', relay.url);
    const connect = start('connect', '--reconnect', '--binary', '--wait', listen.url);
    connect.stdin.end(file);
    listen.stdin.end(back);
    await listen.says(/[^]/);
    await kill(relay);
    await connect.tells('Lost the connection');
    await startRelay(relay.port);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.sha256).toBe(sha256(file));
    expect(connect.stdout.sha256).toBe(sha256(back));
  });

  it('the end of the input, told meanwhile, is heard', async () => {
    const relay = await startRelay();
    const listen = await startListen('--once', '--wait', '--relay', relay.url);
    const connect = await startConnect('--wait', listen.url);
    await listen.tells('Connected: ');
    await kill(relay);
    await connect.tells('Lost the connection');
    connect.stdin.end('the last\n');
    listen.stdin.end('of all\n');
    // Both have been read: what is left is what they make of it.
    await delay(500);
    expect([connect.stdout.text, listen.stdout.text]).toEqual(['', '']);
    await startRelay(relay.port);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect([connect.stdout.text, listen.stdout.text]).toEqual(['of all\n', 'the last\n']);
  });

  it('input that ends meanwhile closes when it has arrived', async () => {
    const relay = await startRelay();
    const listen = await startListen('--once', '--relay', relay.url);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    await kill(relay);
    await connect.tells('Lost the connection');
    connect.stdin.end(lines(0, 10_000));
    await connect.tells(/ECONNREFUSED/);
    await startRelay(relay.port);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe(lines(0, 10_000));
  });

  it('no more is read meanwhile than has a place', async () => {
    const relay = await startRelay();
    const listen = await startListen('--once', '--relay', relay.url);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    await kill(relay);
    await connect.tells('Lost the connection');
    // The shortest lines there are.
    const file = '\n'.repeat(512 * 1_024);
    let isRead = false;
    connect.stdin.end(file, () => {
      isRead = true;
    });
    await delay(2_000);
    expect(isRead).toBe(false);
    await startRelay(relay.port);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe(file);
  });

  it('as another one, which is not trusted', async () => {
    const relay = await startRelay();
    const listen = await startListen('--relay', relay.url);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    await kill(relay);
    await connect.tells('Lost the connection');
    connect.stdin.write('one\ntwo\n');
    await connect.tells(/ECONNREFUSED/);
    await startRelay(relay.port, '--ephemeral');
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([3, 3]);
    await connect.tells('Not acknowledged by the other side: 2 messages.\n');
    await connect.tells(/^error: .* has another key/m);
  });
});

describe('a connection without a relay', () => {
  it('is lost and goes on', async () => {
    const proxy = await FaultyProxy.start(0);
    try {
      const url = `ws://127.0.0.1:${proxy.port}`;
      const port = await freePort();
      proxy.retarget(port);
      const listen = await startListen('--port', String(port), '--host', '127.0.0.1', '--public-url', url);
      const connect = await startConnect(url);
      await listen.tells('Connected: ');
      listen.stdin.write(lines(0, 5_000));
      connect.stdin.write(lines(0, 5_000));
      await listen.says('line 10\n');
      proxy.refusing = true;
      proxy.cut();
      listen.stdin.write(lines(5_000, 10_000));
      connect.stdin.write(lines(5_000, 10_000));
      await connect.tells('Lost the connection: ');
      await listen.tells('Out of reach: ');
      proxy.refusing = false;
      await listen.tells('Back: ');
      await connect.says('line 9999\n');
      connect.stdin.end();
      expect(await connect.exit).toBe(0);
      await listen.says('line 9999\n');
      expect([connect.stdout.text, listen.stdout.text]).toEqual([lines(0, 10_000), lines(0, 10_000)]);
    } finally {
      await proxy.close();
    }
  });
});

describe('the other side', () => {
  it('is waited for', async () => {
    const relay = await startRelay();
    const [, key = ''] = /([0-9a-f]{64})/.exec(await publicKey('server')) ?? [];
    const connect = start('connect', '--reconnect', `${relay.url}/${key}`);
    await connect.tells(
      /^Not connected yet: Nobody listens at this address on the relay\. Trying again in /m,
    );
    connect.stdin.end('here you are\n');
    const listen = await startListen('--once', '--relay', relay.url);
    expect(await Promise.all([connect.exit, listen.exit])).toEqual([0, 0]);
    expect(listen.stdout.text).toBe('here you are\n');
    expect(connect.stderr.text).not.toContain('Lost');
  });

  it('is waited for while it has another guest', async () => {
    const relay = await startRelay();
    const listen = await startListen('--binary', '--relay', relay.url);
    const first = await startConnect('--binary', listen.url);
    await listen.tells('Connected: ');
    const second = start('connect', '--reconnect', '--binary', listen.url);
    second.stdin.end('two');
    await second.tells('Not connected yet: The peer refused the channel (503): somebody else is connected.');
    first.stdin.end('one');
    expect(await Promise.all([first.exit, second.exit])).toEqual([0, 0]);
    await listen.says(/^onetwo$/);
  });

  it('has lost its place: that is the end, and what is missing is told', async () => {
    const relay = await startRelay();
    const listen = await startListen('--relay', relay.url);
    const connect = await startConnect(listen.url);
    await listen.tells('Connected: ');
    await kill(listen);
    await connect.tells(
      'Lost the connection: The peer is no longer connected to the relay. Trying again in ',
    );
    connect.stdin.write('one\ntwo\nthree\n');
    await startListen('--relay', relay.url);
    expect(await connect.exit).toBe(1);
    await connect.tells(/^Not acknowledged by the other side: 3 messages\.\nerror: /m);
    expect(connect.stdout.text).toBe('');
  });

  it('goes for a while, and another takes its place', async () => {
    const relay = await startRelay();
    const listen = await startListen('--relay', relay.url);
    const connect = await startConnect('--wait', listen.url);
    connect.stdin.write('one\n');
    await listen.says('one\n');
    listen.kill('SIGTERM');
    expect(await listen.exit).toBe(0);
    await connect.tells(/^Lost the connection: .*\(1001: interrupted\)\. Trying again in /m);
    connect.stdin.end('two\n');
    const again = await startListen('--once', '--wait', '--relay', relay.url);
    await connect.tells('Connected again. The other side had ended the connection: this is a new one.');
    again.stdin.end('three\n');
    expect(await Promise.all([connect.exit, again.exit])).toEqual([0, 0]);
    expect([connect.stdout.text, again.stdout.text]).toEqual(['three\n', 'two\n']);
  });

  it('goes for a while, and no file goes on in its middle elsewhere', async () => {
    const relay = await startRelay();
    const listen = await startListen('--binary', '--relay', relay.url);
    const connect = await startConnect('--binary', listen.url);
    connect.stdin.write('one');
    await listen.says('one');
    listen.kill('SIGTERM');
    await connect.tells('Lost the connection');
    const again = await startListen('--binary', '--relay', relay.url);
    expect(await connect.exit).toBe(1);
    await connect.tells(
      'error: The other side ended the connection, and a new one would begin in the middle',
    );
    expect(again.stdout.text).toBe('');
  });
});

it.runIf(process.platform !== 'win32')('somebody has waited long enough', async () => {
  const relay = await startRelay();
  const listen = await startListen('--once', '--relay', relay.url);
  const connect = await startConnect(listen.url);
  await listen.tells('Connected: ');
  await kill(relay);
  await connect.tells('Lost the connection');
  connect.stdin.write('one\n');
  await connect.tells(/ECONNREFUSED/);
  for (const child of [connect, listen]) child.kill('SIGINT');
  const since = performance.now();
  expect(await Promise.all([connect.exit, listen.exit])).toEqual([130, 130]);
  // Nobody is there who could be told.
  expect(performance.now() - since).toBeLessThan(1_500);
  await connect.tells('Not acknowledged by the other side: 1 message.\n');
});

/** The public key of the default identity of a role, which is made if need be. */
async function publicKey(role: string): Promise<string> {
  const keygen = start('keygen', join(scene.home, `${role}.key`));
  await keygen.exit;
  return keygen.stdout.text;
}
