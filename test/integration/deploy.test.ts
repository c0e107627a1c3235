import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import path from 'node:path';
import { SignJWT } from 'jose';
import { describe, expect, it, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { RELAY_SETTINGS } from '../../src/cli/relay-settings.js';
import { run } from '../../src/cli/run.js';
import { variableOf } from '../../src/cli/setting.js';
import { Identity } from '../../src/core/identity.js';
import { fakeIo, type FakeIo } from '../support/cli-io.js';
import { makeCertificate } from '../support/make-certificate.js';
import { adapted, Nginx, nginxToTest } from '../support/nginx.js';
import { freePort } from '../support/free-port.js';
import { exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

// What is in deploy/ names settings, metrics and files of the relay: here they are held against it.

vi.setConfig({ testTimeout: 60_000 });

const scene = relayScene();
const SETTINGS: ReadonlyMap<string, string> = new Map(
  RELAY_SETTINGS.map(({ name }) => [variableOf(name), name]),
);

/** deploy/relay.yaml with everything that it names in a folder of the test, and the key that signs tokens. */
async function installed(replacements: Record<string, string> = {}) {
  const folder = await temporaryFolder();
  for (const name of ['etc', 'lib', 'log']) await mkdir(path.join(folder, name));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  await writeFile(
    path.join(folder, 'etc/jwt-public.pem'),
    publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  );
  await writeFile(path.join(folder, 'etc/deny.txt'), '# nobody yet\n');
  const text = adapted('deploy/relay.yaml', {
    '/etc/secure-websocket/': `${folder}/etc/`,
    '/var/lib/secure-websocket-relay/': `${folder}/lib/`,
    '/var/log/secure-websocket-relay/': `${folder}/log/`,
    ...replacements,
  });
  const config = path.join(folder, 'etc/relay.yaml');
  await writeFile(config, text);
  const token = (claims: Record<string, unknown>) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('https://auth.example')
      .setAudience('wss://relay.example')
      .setSubject('alice')
      .setExpirationTime('10m')
      .sign(privateKey);
  return { folder, config, token };
}

/** Resolves when `text` was written to stdout. */
function said({ stdout }: FakeIo, text: string): Promise<void> {
  return new Promise(resolve => {
    const write = stdout._write.bind(stdout);
    stdout._write = (chunk, encoding, done) => {
      write(chunk, encoding, done);
      if (stdout.utf8.includes(text)) resolve();
    };
  });
}

async function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, response => {
      let text = '';
      response.on('data', chunk => (text += String(chunk)));
      response.on('end', () => {
        resolve(text);
      });
    }).on('error', reject);
  });
}

describe('deploy/relay.yaml', () => {
  it('is a valid configuration', async () => {
    const { config } = await installed();
    const io = fakeIo();
    const code = await run(['relay', '--config', config, '--check-config'], io);
    expect({ code, stderr: io.stderr.utf8 }).toEqual({ code: 0, stderr: '' });
    expect(io.stdout.utf8).toContain('The configuration is valid.');
  });

  it('is like the one in the README, which is valid, too', async () => {
    const readme = await readFile('README.md', 'utf8');
    const [, text = ''] = /^```yaml\n(# relay\.yaml\n[^]*?)^```/m.exec(readme) ?? [];
    const short = parse(text) as Record<string, unknown>;
    const long = parse(await readFile('deploy/relay.yaml', 'utf8')) as Record<string, unknown>;
    for (const name of ['host', 'port', 'internal-port', 'log-level', 'audit-log', 'jwt-key-claim'])
      expect(short[name], name).toBe(long[name]);
    for (const name of ['public-url', 'trusted-proxy', 'jwt-audience'])
      expect([short[name]], name).toEqual(long[name]);
    const folder = await temporaryFolder();
    const log = '/var/log/secure-websocket-relay/';
    expect(text).toContain(log);
    const config = path.join(folder, 'relay.yaml');
    await writeFile(config, text.replaceAll(log, `${folder}/`));
    const io = fakeIo();
    const code = await run(['relay', '--config', config, '--ephemeral', '--check-config'], io);
    expect({ code, stderr: io.stderr.utf8 }).toEqual({ code: 0, stderr: '' });
    // Uncommented, the path fits, too.
    await writeFile(config, text.replaceAll(log, `${folder}/`).replace(/^# (path: \S+).*$/m, '$1'));
    const second = fakeIo();
    expect(await run(['relay', '--config', config, '--ephemeral', '--check-config'], second)).toBe(0);
    expect(second.stdout.utf8).toMatch(/^path +file +\/relay$/m);
  });

  it('is not valid without the files that it names, each of which it tells with its line', async () => {
    const io = fakeIo();
    const code = await run(['relay', '--config', 'deploy/relay.yaml', '--check-config'], io);
    expect(code).toBe(2);
    for (const name of ['jwt-keys', 'deny-keys', 'audit-log'])
      expect(io.stderr.utf8).toMatch(new RegExp(`^error: deploy/relay\\.yaml:\\d+: ${name}: .*ENOENT`, 'm'));
  });
});

describe.skipIf(nginxToTest() === undefined)('deploy/relay.yaml behind deploy/nginx.conf', () => {
  it('lets in who has a token, and nobody else, counts both, and records both', async () => {
    const nginx = await Nginx.prepare();
    const [port, relayPort, internalPort] = [await freePort(), await freePort(), await freePort()];
    const url = `wss://relay.example:${String(port)}`;
    const { folder, config, token } = await installed({
      'port: 8080': `port: ${String(relayPort)}`,
      'internal-port: 9464': `internal-port: ${String(internalPort)}`,
      '  - wss://relay.example': `  - ${url}`,
      'log-level: info': 'log-level: silent',
    });
    const io = fakeIo();
    const started = said(io, 'Press Ctrl-C');
    const ended = run(['relay', '--config', config], io);
    scene.after(async () => {
      io.signal('SIGINT');
      await ended;
    });
    scene.after(() => nginx.stop());
    await started;
    expect(io.stdout.utf8).toContain(`${url}/relay`);
    await nginx.start(
      `http {\n${adapted('deploy/nginx.conf', {
        'listen 443 ssl;': `listen 127.0.0.1:${String(port)} ssl;`,
        'listen [::]:443 ssl;': '',
        '/etc/letsencrypt/live/relay.example/fullchain.pem': nginx.certFile,
        '/etc/letsencrypt/live/relay.example/privkey.pem': nginx.keyFile,
        '127.0.0.1:8080': `127.0.0.1:${String(relayPort)}`,
      })}\n}`,
    );
    const tls = {
      ca: nginx.certificate,
      servername: 'localhost',
      lookup: (_name: string, { all }: { all?: boolean }, done: (...args: unknown[]) => void): void => {
        if (all) done(null, [{ address: '127.0.0.1', family: 4 }]);
        else done(null, '127.0.0.1', 4);
      },
    };

    const [service, alice, mallory] = await Promise.all([1, 2, 3].map(() => Identity.generate()));
    if (!service || !alice || !mallory) throw new Error('There are three.');
    const server = await scene.echo(`${url}/relay`, {
      identity: service,
      tls,
      token: await token({ key: service.publicKey }),
    });
    const hers = await token({ key: alice.publicKey });
    const client = await scene.client(server.url, { identity: alice, tls, token: hers });
    expect(await failure(client)).toBe('open');
    expect(await exchange(client, 'let in')).toBe('let in');

    const stolen = await scene.client(server.url, { identity: mallory, tls, token: hers });
    expect(await outcome(stolen)).toBe('TOKEN_NOT_YOURS');
    const without = await scene.client(server.url, { identity: mallory, tls });
    expect(await outcome(without)).toBe('TOKEN_REQUIRED');

    const metrics = await fetchText(`http://127.0.0.1:${String(internalPort)}/metrics`);
    expect(metrics).toContain('secure_websocket_connections 2');
    expect(metrics).toContain('secure_websocket_refusals_total{code="TOKEN_NOT_YOURS"} 1');
    expect(metrics).toContain('secure_websocket_refusals_total{code="TOKEN_REQUIRED"} 1');
    expect(await fetchText(`http://127.0.0.1:${String(internalPort)}/readyz`)).toBe('ready\n');

    io.signal('SIGINT');
    expect(await ended).toBe(0);
    const verified = fakeIo();
    expect(await run(['audit', 'verify', path.join(folder, 'log/audit.jsonl')], verified)).toBe(0);
    const audit = await readFile(path.join(folder, 'log/audit.jsonl'), 'utf8');
    expect(audit).toContain('"code":"TOKEN_NOT_YOURS"');
  });
});

describe('deploy/Dockerfile', () => {
  it('names settings that there are, and files that .dockerignore lets through', async () => {
    const text = await readFile('deploy/Dockerfile', 'utf8');
    const variables = [...text.matchAll(/\bSECURE_WEBSOCKET_[A-Z_]+\b/g)].map(([name]) => name);
    expect(variables.length).toBeGreaterThan(4);
    for (const variable of variables) {
      if (variable !== 'SECURE_WEBSOCKET_HOME') expect(SETTINGS.has(variable), variable).toBe(true);
    }
    const ignored = await readFile('.dockerignore', 'utf8');
    const copied = [...text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    );
    expect(copied).toContain('src');
    for (const file of copied) expect(ignored.split('\n')).toContain(`!${file}`);
  });

  it('gives what the relay takes: it becomes healthy', async () => {
    const text = await readFile('deploy/Dockerfile', 'utf8');
    const folder = await temporaryFolder();
    const port = await freePort();
    const env = Object.fromEntries(
      [...text.matchAll(/\b(SECURE_WEBSOCKET_[A-Z_]+)=(\S+)/g)]
        .filter(([line]) => !line.includes('50000'))
        .map(([, name = '', value = '']) => [name, value]),
    );
    const io = fakeIo({
      env: {
        ...env,
        SECURE_WEBSOCKET_HOME: folder,
        SECURE_WEBSOCKET_PORT: '0',
        SECURE_WEBSOCKET_INTERNAL_PORT: String(port),
        SECURE_WEBSOCKET_LOG_LEVEL: 'silent',
        SECURE_WEBSOCKET_IDENTITY: path.join(folder, 'relay.key'),
      },
    });
    const started = said(io, 'Press Ctrl-C');
    const ended = run(['relay'], io);
    await started;
    expect(await fetchText(`http://127.0.0.1:${String(port)}/livez`)).toBe('ok\n');
    io.signal('SIGINT');
    expect(await ended).toBe(0);
  });
});

describe('deploy/secure-websocket-relay.service', () => {
  it('waits longer than a drain of deploy/relay.yaml, or the default one', async () => {
    const text = await readFile('deploy/secure-websocket-relay.service', 'utf8');
    const timeout = Number(/^TimeoutStopSec=(\d+)s$/m.exec(text)?.[1]);
    const config = parse(await readFile('deploy/relay.yaml', 'utf8')) as Record<string, string>;
    const seconds = (name: string): number => Number(/^(\d+)s$/.exec(config[name] ?? '')?.[1]);
    expect(timeout).toBeGreaterThan(seconds('drain-delay') + seconds('drain-time') + 2);
    const fallback = (name: string): number =>
      Number(/^(\d+)s$/.exec(RELAY_SETTINGS.find(setting => setting.name === name)?.fallback ?? '')?.[1]);
    expect(timeout).toBeGreaterThan(fallback('drain-delay') + fallback('drain-time') + 2);
  });

  it('allows more files than connections', async () => {
    const text = await readFile('deploy/secure-websocket-relay.service', 'utf8');
    const config = parse(await readFile('deploy/relay.yaml', 'utf8')) as Record<string, number>;
    expect(Number(/^LimitNOFILE=(\d+)$/m.exec(text)?.[1])).toBeGreaterThan(
      2 * (config['max-connections'] ?? 0),
    );
  });
});

describe('deploy/prometheus.yml and deploy/alerts.yml', () => {
  it('ask for what the relay tells', async () => {
    const config = parse(await readFile('deploy/relay.yaml', 'utf8')) as Record<string, unknown>;
    const prometheus = await readFile('deploy/prometheus.yml', 'utf8');
    expect(prometheus).toContain(`127.0.0.1:${String(config['internal-port'])}`);

    const folder = await temporaryFolder();
    const { cert, key } = makeCertificate();
    const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
    const relay = await scene.relay({ internal: { port: 0 }, tls: { certFile, keyFile } });
    const metrics = await fetchText(`${String(relay.internalUrl)}/metrics`);
    const known = new Set([...metrics.matchAll(/^([a-z_]+)[ {]/gm)].map(([, name]) => name));
    // With labels once they have been counted.
    for (const [, name] of metrics.matchAll(/^# TYPE (\S+) counter$/gm)) known.add(name);

    const alerts = await readFile('deploy/alerts.yml', 'utf8');
    expect(parseAllDocuments(alerts).flatMap(({ errors }) => errors)).toEqual([]);
    const expressions = (
      parse(alerts) as { groups: { rules: { alert: string; expr: string }[] }[] }
    ).groups.flatMap(({ rules }) => rules);
    const used = expressions.flatMap(({ expr }) => [
      ...expr.replaceAll(/"[^"]*"/g, '').matchAll(/\b(?:secure_websocket|nodejs|process)_\w+/g),
    ]);
    expect(used.length).toBeGreaterThan(10);
    for (const [name] of used) expect(known, name).toContain(name);
    expect(alerts).toContain(`job="${String(/job_name: (\S+)/.exec(prometheus)?.[1])}"`);
  });
});
