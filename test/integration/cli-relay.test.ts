import { once } from 'node:events';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { MemoryKeyStore } from '../../src/link/memory-key-store.js';
import { Relay, type RelayClient } from '../../src/relay/relay.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.js';
import type { CliProcess } from '../support/cli-process.js';
import { CliScene } from '../support/cli-scene.js';
import { adapted, Nginx, nginxToTest } from '../support/nginx.js';
import { freePort } from '../support/free-port.js';

// The relay as its operator meets it: a real process, configured from files, variables and options, and its signals.

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const posix = process.platform !== 'win32';

const scene = new CliScene();

function start(args: readonly string[], variables: Record<string, string> = {}): CliProcess {
  return scene.start(args, { variables });
}

async function startRelay(
  args: readonly string[],
  variables?: Record<string, string>,
): Promise<CliProcess & { url: string }> {
  const relay = start(['relay', '--port', '0', '--host', '127.0.0.1', ...args], variables);
  const [, url = ''] = await relay.says(/^Relay at +(wss?:\S+)$/m);
  await relay.says('Press Ctrl-C');
  return Object.assign(relay, { url });
}

async function write(name: string, content: string): Promise<string> {
  const path = join(scene.home, name);
  // As careful programs do, so that nobody reads half of it.
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
  return path;
}

describe('the configuration of a relay', () => {
  it('comes from a file, the environment and the command line', async () => {
    const config = await write(
      'relay.yaml',
      'path: /from-file\nuser-id: file\npublic-url: [wss://file.example]\n',
    );
    const relay = await startRelay(['--public-url', 'wss://flag.example'], {
      SECURE_WEBSOCKET_CONFIG: config,
      SECURE_WEBSOCKET_PUBLIC_URL: 'wss://environment.example',
    });
    expect(relay.url).toBe('wss://flag.example/from-file');
  });

  it('can be checked before', async () => {
    const config = await write('relay.json', '{\n  "port": 0,\n  "max-frames": 1\n}');
    const wrong = start(['relay', '--config', config, '--check-config']);
    expect(await wrong.exit).toBe(2);
    expect(wrong.stdout.text).toBe('');
    await wrong.tells(`error: ${config}:3: there is no setting max-frames. Did you mean max-frame?`);
    const right = start(['relay', '--check-config'], { SECURE_WEBSOCKET_MAX_FRAME: '64KiB' });
    expect(await right.exit).toBe(0);
    await right.says(/^The configuration is valid\.\n\n/);
    await right.says(/^max-frame +environment +64KiB$/m);
    expect(right.stderr.text).toBe('');
  });

  it('ends a relay that cannot be like that, before it listens', async () => {
    const cert = await write('cert.pem', 'no certificate');
    const key = await write('key.pem', CERTIFICATE_KEY);
    for (const last of [[], ['--check-config']]) {
      const child = start(['relay', '--port', '0', '--tls-cert', cert, '--tls-key', key, ...last]);
      expect(await child.exit).toBe(2);
      await child.tells(cert);
      expect(child.stdout.text).toBe('');
      expect(child.stderr.text).not.toContain(CERTIFICATE_KEY.split('\n')[1]);
    }
  });

  it('is checked in rounds at most two: first what it says, then all that it names', async () => {
    const allow = await write('allow.txt', 'nobody\n');
    const audit = join(scene.home, 'none', 'audit.jsonl');
    const settings = `deny-keys: ${join(scene.home, 'deny.txt')}\nallow-keys: ${allow}\naudit-log: ${audit}\n`;
    const config = await write('relay.yaml', `${settings}identity: ${scene.home}\nmax-frames: 1\n`);
    const first = start(['relay', '--config', config, '--check-config']);
    expect(await first.exit).toBe(2);
    expect(first.stderr.text).toBe(
      `error: ${config}:5: there is no setting max-frames. Did you mean max-frame?\n` +
        '  See secure-websocket relay --help\n' +
        'What the settings name (certificates, keys, lists, logs) was not looked at yet: mend this, and check again.\n',
    );
    await write('relay.yaml', `${settings}identity: ${scene.home}\n`);
    const second = start(['relay', '--config', config, '--check-config']);
    expect(await second.exit).toBe(2);
    const told = [...second.stderr.text.matchAll(/^error: (.*)$/gm)].map(([, text = '']) => text);
    expect(told).toHaveLength(4);
    for (const [line, name] of ['deny-keys', 'allow-keys', 'audit-log', 'identity'].entries())
      expect(told).toContainEqual(expect.stringContaining(`${config}:${line + 1}: ${name}: `));
    expect(second.stderr.text).not.toContain('not looked at yet');
    expect((await readdir(scene.home)).sort()).toEqual(['allow.txt', 'relay.yaml']);
  });

  it('has a page for operators, if one is wanted', async () => {
    const relay = await startRelay(['--internal-port', '0']);
    const [, url = ''] = await relay.says(/^Status at +(http:\S+)$/m);
    const ready = await fetch(new URL('/readyz', url));
    expect([ready.status, (await ready.text()).trim()]).toEqual([200, 'ready']);
    const { port } = new URL(url);
    const second = start(['relay', '--port', '0', '--internal-port', port]);
    expect(await second.exit).toBe(1);
    await second.tells(
      `error: Another program listens at 127.0.0.1, port ${port} already.\n  Choose another with --internal-port`,
    );
  });
});

describe('a key that is refused', () => {
  it('is said last to have been made just now, if it was', async () => {
    const relay = await startRelay(['--allow-keys', await write('allow.txt', '')]);
    const typo = join(scene.home, 'typo.key');
    const hint =
      `\n  A new identity was made for this, as there was none: ${typo}. If you have another, name its file with ` +
      '--identity. Ask whoever runs the relay to add this key to its list: "secure-websocket keygen --show" prints it.\n';
    for (const args of [
      ['connect', `${relay.url}/${'1a'.repeat(32)}`],
      ['listen', '--relay', relay.url],
    ]) {
      await rm(typo, { force: true });
      const made = start([...args, '--identity', typo]);
      expect(await made.exit).toBe(3);
      expect(made.stderr.text).toContain('error: ');
      expect(made.stderr.text.slice(-hint.length)).toBe(hint);
      const kept = start([...args, '--identity', typo]);
      expect(await kept.exit).toBe(3);
      expect(kept.stderr.text).not.toContain('new identity');
    }
  });
});

describe('the end of a connection over TLS', () => {
  /** Has `connect` say something to a server behind `relay`, and tells how that ended for the relay. */
  async function endings(relay: Relay, url: string, ca: string): Promise<number[]> {
    const server = new SecureWebSocketServer({
      relay: url,
      keyStore: new MemoryKeyStore(),
      tls: { ca: await readFile(ca) },
    });
    scene.after(() => {
      server.close();
    });
    await server.ready;
    const codes: number[] = [];
    for (let round = 0; round < 3; round++) {
      const ended = once(relay, 'disconnection') as Promise<[RelayClient, number]>;
      const connect = start(['connect', '--ephemeral', '--ca', ca, String(server.url)]);
      connect.stdin.end('hello\n');
      expect(await connect.exit).toBe(0);
      codes.push((await ended)[1]);
    }
    return codes;
  }

  it('is in order at the relay, though the process ends at once', async () => {
    const ca = await write('cert.pem', CERTIFICATE);
    const tls = { certFile: ca, keyFile: await write('key.pem', CERTIFICATE_KEY) };
    const relay = new Relay({ port: 0, keyStore: new MemoryKeyStore(), tls });
    scene.after(() => relay.close());
    await relay.listen();
    expect(await endings(relay, relay.url, ca)).toEqual([1000, 1000, 1000]);
  });

  it.skipIf(nginxToTest() === undefined)('is in order behind nginx', async () => {
    const nginx = await Nginx.prepare();
    const [port, relayPort] = [await freePort(), await freePort()];
    const url = `wss://localhost:${String(port)}/relay`;
    const relay = new Relay({
      port: relayPort,
      host: '127.0.0.1',
      path: '/relay',
      addresses: [`wss://localhost:${String(port)}`],
      keyStore: new MemoryKeyStore(),
    });
    scene.after(async () => {
      await relay.close();
      await nginx.stop();
    });
    await relay.listen();
    await nginx.start(
      `http {\n${adapted('deploy/nginx.conf', {
        'listen 443 ssl;': `listen 127.0.0.1:${String(port)} ssl;`,
        'listen [::]:443 ssl;': '',
        '/etc/letsencrypt/live/relay.example/fullchain.pem': nginx.certFile,
        '/etc/letsencrypt/live/relay.example/privkey.pem': nginx.keyFile,
        '127.0.0.1:8080': `127.0.0.1:${String(relayPort)}`,
      })}\n}`,
    );
    expect(await endings(relay, url, nginx.certFile)).toEqual([1000, 1000, 1000]);
  });
});

describe('admission by tokens', () => {
  it('lets in who has one in a file, and tells who has none', async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
    const keys = await write(
      'keys.json',
      JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'EdDSA' }] }),
    );
    const relay = await startRelay([
      ...['--jwt-keys', keys, '--jwt-algorithms', 'EdDSA'],
      ...['--jwt-issuer', 'https://issuer.example', '--jwt-audience', 'relay'],
    ]);
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('https://issuer.example')
      .setAudience('relay')
      .setExpirationTime('1h')
      .sign(privateKey);
    const file = await write('token', `${token}\n`);
    const listen = start(['listen', '--relay', relay.url, '--token-file', file]);
    const [url] = await listen.tells(/ws:\S+/);
    const connect = start(['connect', '--token-file', file, url]);
    connect.stdin.write('hello\n');
    await listen.says('hello');
    const stranger = start(['connect', '--ephemeral', url]);
    expect(await stranger.exit).toBe(3);
    await stranger.tells(/^error: .*token/i);
    for (const { stderr, stdout } of scene.processes) expect(stderr.text + stdout.text).not.toContain(token);
  });
});

describe.runIf(posix)('signals to a relay', () => {
  it('SIGHUP has it read its files again, and nobody who may stay is disconnected', async () => {
    const [one, other] = [await Identity.generate(), await Identity.generate()];
    const allowed = await write('allowed', `${one.publicKey}\n`);
    const cert = await write('cert.pem', CERTIFICATE);
    const key = await write('key.pem', CERTIFICATE_KEY);
    const relay = await startRelay(['--allow-keys', allowed, '--tls-cert', cert, '--tls-key', key]);
    expect(relay.url).toMatch(/^wss:/);
    await write('allowed', `${one.publicKey}\n${other.publicKey}\n`);
    relay.kill('SIGHUP');
    await relay.tells('SIGHUP: every file was looked at again.');
    await relay.tells('The list of allowed keys was read again.');
    await write('allowed', 'no key\n');
    relay.kill('SIGHUP');
    await relay.tells(
      /error: The new list of allowed keys cannot be used: [^]*What was in use before, if anything, stays in use\./,
    );
    relay.kill('SIGINT');
    expect(await relay.exit).toBe(0);
  });

  it('SIGTERM gives clients the time to go elsewhere', async () => {
    const relay = await startRelay(['--drain-delay', '0', '--drain-time', '500ms', '--internal-port', '0']);
    const listen = start(['listen', '--relay', relay.url]);
    await listen.tells(/ws:\S+/);
    relay.kill('SIGTERM');
    await relay.tells('SIGTERM: 1 connection will move elsewhere.');
    await relay.tells('Nobody is connected any more.');
    expect(await relay.exit).toBe(0);
  });

  it('a second one ends it at once, whatever it has to wait for', async () => {
    for (const [second, code] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      const relay = await startRelay(['--drain-delay', '20d']);
      relay.kill('SIGTERM');
      await relay.tells('SIGTERM: 0 connections will move elsewhere.');
      relay.kill(second);
      expect(await relay.exit).toBe(code);
    }
  });

  it('SIGHUP ends what has nothing to read again', async () => {
    const relay = await startRelay([]);
    const listen = start(['listen', '--relay', relay.url]);
    await listen.tells(/ws:\S+/);
    listen.kill('SIGHUP');
    expect(await listen.exit).toBe('SIGHUP');
  });
});
