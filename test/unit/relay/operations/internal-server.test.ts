import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InternalServer } from '../../../../src/relay/operations/internal-server.js';
import { Metrics } from '../../../../src/relay/operations/metrics.js';
import type { RelaySnapshot } from '../../../../src/relay/relay-observer.js';
import { snapshotOf } from '../../../support/relay-snapshot.js';
import { closed as ended } from '../../../support/closed.js';

let snapshot: () => RelaySnapshot;
let isReady: boolean;
let metrics: Metrics;
let server: InternalServer;

beforeEach(async () => {
  snapshot = snapshotOf;
  isReady = true;
  metrics = await Metrics.create(() => snapshot(), '1.2.3');
  server = await start();
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  metrics.close();
  for (const close of closing.splice(0)) await close();
});

async function start(
  host?: string,
  tuning?: ConstructorParameters<typeof InternalServer>[3],
): Promise<InternalServer> {
  const relay = { snapshot: () => snapshot(), isReady: () => isReady, version: '1.2.3' };
  const started = new InternalServer({ port: 0, host }, relay, metrics, tuning);
  await started.listen();
  closing.push(() => started.close());
  return started;
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function ask(
  path: string,
  options: { method?: string; host?: string; body?: string } = {},
): Promise<Answered> {
  const { method = 'GET', host, body } = options;
  const sent = request(new URL(path, server.url), {
    method,
    agent: false,
    headers: { ...(host === undefined ? {} : { Host: host }) },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, body: await text(response) };
}

async function dial(to = server): Promise<Socket> {
  const { port } = new URL(to.url);
  const socket = connect(Number(port), '127.0.0.1');
  closing.push(async () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('what there is', () => {
  it('gives Prometheus what it wants', async () => {
    snapshot = () => snapshotOf({ connections: 42 });
    const { status, headers, body } = await ask('/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe(metrics.contentType);
    expect(body).toContain('\nsecure_websocket_connections 42\n');
  });

  it('is alive as long as it can say so', async () => {
    isReady = false;
    snapshot = () => snapshotOf({ state: 'draining' });
    expect(await ask('/livez')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('is ready when the relay is, and else says why not', async () => {
    expect(await ask('/readyz')).toMatchObject({ status: 200, body: 'ready\n' });
    isReady = false;
    snapshot = () => snapshotOf({ state: 'draining' });
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: 'draining\n' });
  });

  it('gives the status page its data, and of clients neither keys nor addresses', async () => {
    const full = {
      ...snapshotOf({ connections: 3, certificateExpiresAt: 1_800_000_000 }),
      keys: ['c'.repeat(64)],
    };
    snapshot = () => full;
    const { status, headers, body } = await ask('/status.json?after=0');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    const { publicKey, ...expected } = full;
    const { keys: _keys, ...known } = expected;
    expect(JSON.parse(body)).toEqual({
      ...known,
      publicKey,
      version: '1.2.3',
      isReady: true,
      now: expect.any(Number) as number,
      history: { first: 0, samples: [] },
    });
    expect(body).not.toContain('c'.repeat(64));
  });

  it('is a page that loads nothing from elsewhere', async () => {
    const { status, headers, body } = await ask('/');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['content-security-policy']).toContain("default-src 'none'; style-src 'sha256-");
    expect(body).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  });

  it('answers HEAD with the same and no body', async () => {
    for (const path of ['/', '/metrics', '/livez', '/readyz', '/status.json']) {
      const { status, headers, body } = await ask(path, { method: 'HEAD' });
      expect([status, body]).toEqual([200, '']);
      expect(Number(headers['content-length'])).toBeGreaterThan(2);
    }
  });

  it('tells browsers to be careful, whatever the answer', async () => {
    for (const path of ['/', '/metrics', '/nothing']) {
      const { headers } = await ask(path);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['content-security-policy']).toContain("default-src 'none'");
    }
  });
});

describe('what is refused', () => {
  it('is any other path, and any other method', async () => {
    expect((await ask('/metrics/')).status).toBe(404);
    expect((await ask('/metrics/x')).status).toBe(404);
    for (const method of ['POST', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await ask(
        '/metrics',
        method === 'POST' ? { method, body: 'x' } : { method },
      );
      expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
    }
  });

  it('is a name that a stranger may have let point here', async () => {
    for (const host of [
      'evil.example',
      'evil.example:80',
      '127.0.0.1.evil.example',
      'localhost.evil.example',
    ]) {
      expect((await ask('/metrics', { host })).status, host).toBe(421);
    }
    for (const host of [
      '127.0.0.1',
      '[::1]:9090',
      '10.1.2.3:80',
      'localhost:9090',
      'LOCALHOST',
      'relay:9090',
    ]) {
      expect((await ask('/metrics', { host })).status, host).toBe(200);
    }
  });

  it('is not the name that it listens at', async () => {
    server = await start('localhost');
    expect(server.url).toMatch(/^http:\/\/localhost:\d+$/);
    expect((await ask('/livez', { host: 'localhost:80' })).status).toBe(200);
  });

  it('is not HTTP/1.0 without a name, as health checks speak it', async () => {
    const socket = await dial();
    socket.end('GET /readyz HTTP/1.0\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*ready\n$/s);
  });

  it('is a snapshot that cannot be had: that is said, and nothing breaks', async () => {
    snapshot = () => {
      throw new Error('secret');
    };
    const { status, body } = await ask('/metrics');
    expect(status).toBe(500);
    expect(body).not.toContain('secret');
    snapshot = snapshotOf;
    expect((await ask('/metrics')).status).toBe(200);
  });
});

describe('clients that mean harm', () => {
  it('do not hold a connection with half a request', async () => {
    const slow = await start(undefined, { timeout: 40 });
    for (const part of [
      '',
      'GET /livez HTTP/1.1\r\nHo',
      'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n',
    ]) {
      const socket = await dial(slow);
      socket.write(part);
      socket.resume();
      await ended(socket);
    }
  });

  it('do not hold a connection by sending byte after byte', async () => {
    const slow = await start(undefined, { timeout: 40 });
    const socket = await dial(slow);
    socket.on('error', () => undefined);
    socket.write('GET /livez HTTP/1.1\r\nX: ');
    socket.resume();
    const dribble = setInterval(() => socket.write('x'), 5);
    await new Promise(resolve => socket.on('close', resolve));
    clearInterval(dribble);
  });

  it('do not hold a connection by not reading', async () => {
    // More than the system takes off our hands.
    const large = { contentType: 'text/plain', render: () => Promise.resolve('x'.repeat(50_000_000)) };
    const relay = { snapshot: snapshotOf, isReady: () => true, version: '' };
    const slow = new InternalServer({ port: 0 }, relay, large, {
      timeout: 100,
      maxConnections: 1,
    });
    await slow.listen();
    closing.push(() => slow.close());
    const stuck = await dial(slow);
    stuck.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    // There is room for another one only when that one is gone.
    let answer = '';
    while (!answer.startsWith('HTTP/1.1 200 ')) {
      const other = await dial(slow);
      other.on('error', () => undefined);
      other.end('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      answer = await text(other).catch(() => '');
    }
  });

  it('have only so many connections', async () => {
    const narrow = await start(undefined, { maxConnections: 2 });
    const [one, two] = [await dial(narrow), await dial(narrow)];
    const three = await dial(narrow);
    three.resume();
    await ended(three);
    one.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [answer] = (await once(one, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    two.destroy();
  });

  it('send bodies that nobody reads, and headers that are too long', async () => {
    const socket = await dial();
    socket.write('POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nxxx');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 405 .*\r\nConnection: close\r\n/s);
    const long = await dial();
    long.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`);
    expect(await text(long)).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('its life', () => {
  it('has a URL while it listens, and rejects when it cannot listen', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const relay = { snapshot: snapshotOf, isReady: () => true, version: '' };
    const second = new InternalServer({ port: Number(new URL(server.url).port) }, relay, metrics);
    await expect(second.listen()).rejects.toThrow('EADDRINUSE');
    expect(() => second.url).toThrow('does not listen');
    await second.close();
  });

  it('cuts off whoever is still there when it is closed', async () => {
    const socket = await dial();
    socket.resume();
    const closed = ended(socket);
    await server.close();
    await closed;
  });
});
