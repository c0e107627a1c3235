import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { connect } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import type { Relay, RelayClient, RelayOptions, RelayRefusal } from '../../src/relay/relay.js';
import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { adapted, Nginx, nginxToTest } from '../support/nginx.js';
import { freePort } from '../support/free-port.js';
import { ending, event, exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { closed as ended } from '../support/closed.js';

// A relay behind nginx, configured with the files in deploy/: what they say is what operators get.

vi.setConfig({ testTimeout: 60_000 });

/** Clients come from here, nginx from 127.0.0.1: else nobody could tell one from the other. */
const CLIENT = '127.0.0.2';
const ANOTHER = '127.0.0.3';
/** The address of a peer that is not there. */
const NOBODY = '1a'.repeat(32);

const scene = relayScene();

/** How a client reaches 127.0.0.1 under any name, from `localAddress`. */
function tls(nginx: Nginx, localAddress = CLIENT): Record<string, unknown> {
  return {
    ca: nginx.certificate,
    // The certificate is for localhost.
    servername: 'localhost',
    localAddress,
    lookup: (_name: string, { all }: { all?: boolean }, done: (...args: unknown[]) => void): void => {
      if (all) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(null, '127.0.0.1', 4);
    },
  };
}

const portOf = (relay: Relay): string => String((relay.address() as { port: number }).port);

/** deploy/nginx.conf at a port of this machine, in front of a relay. */
function site(nginx: Nginx, port: number, upstream: string, changes: Record<string, string> = {}): string {
  const text = adapted('deploy/nginx.conf', {
    'listen 443 ssl;': `listen 127.0.0.1:${String(port)} ssl;`,
    'listen [::]:443 ssl;': '',
    '/etc/letsencrypt/live/relay.example/fullchain.pem': nginx.certFile,
    '/etc/letsencrypt/live/relay.example/privkey.pem': nginx.keyFile,
    'server 127.0.0.1:8080 max_fails=0;': upstream,
    ...changes,
  });
  return `http {\n${text}\n}`;
}

interface Scene {
  readonly nginx: Nginx;
  readonly port: number;
  readonly relay: Relay;
  /** As clients dial it. */
  readonly url: string;
  readonly configuration: string;
}

/** A relay behind nginx with TLS and a path. */
async function behindNginx(options: Partial<RelayOptions> = {}): Promise<Scene> {
  const nginx = await Nginx.prepare();
  const port = await freePort();
  const url = `wss://relay.example:${String(port)}`;
  const relay = await scene.relay({
    path: '/relay',
    addresses: [url],
    trustedProxies: ['127.0.0.1'],
    ...options,
  });
  const configuration = site(nginx, port, `server 127.0.0.1:${portOf(relay)} max_fails=0;`);
  scene.after(() => nginx.stop());
  await nginx.start(configuration);
  return { nginx, port, relay, url: `${url}/relay`, configuration };
}

/** Where a client that connects next comes from, as the relay has it. */
async function nextAddress(relay: Relay): Promise<string | undefined> {
  const [client] = (await event(relay, 'connection')) as [RelayClient];
  return client.remoteAddress;
}

async function getText({ nginx, port }: Scene, path: string): Promise<{ status: number; text: string }> {
  const request = get({ port, path, host: '127.0.0.1', agent: false, ...tls(nginx) });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

async function echo(where: Scene, localAddress?: string): Promise<SecureWebSocketServer> {
  return scene.echo(where.url, { tls: tls(where.nginx, localAddress) });
}

async function opened(socket: ClientSecureWebSocket): Promise<ClientSecureWebSocket> {
  const result = await failure(socket);
  if (result !== 'open') throw result;
  return socket;
}

describe.skipIf(nginxToTest() === undefined)('behind nginx', () => {
  it('both ends get through TLS, on a path, with and without a slash', async () => {
    const where = await behindNginx();
    expect(where.relay.url).toBe(where.url);
    const server = await echo(where);
    expect(server.url).toBe(`${where.url}/${server.publicKey}`);
    const client = await scene.client(server.url, { tls: tls(where.nginx) });
    await opened(client);
    expect(await exchange(client, 'through nginx')).toBe('through nginx');
    // More than any buffer on the way holds.
    const long = 'x'.repeat(3_000_000);
    expect(await exchange(client, long)).toBe(long);
    await scene.echo(`${where.url}/`, { tls: tls(where.nginx) });
    expect(where.relay.connections).toBe(3);
  });

  it('is reached under each of its public names, and under no other', async () => {
    const nginx = await Nginx.prepare();
    const port = await freePort();
    const names = ['relay.example', 'relay.example.org'].map(name => `wss://${name}:${String(port)}`);
    const relay = await scene.relay({ path: '/relay', addresses: names, trustedProxies: ['127.0.0.1'] });
    scene.after(() => nginx.stop());
    await nginx.start(site(nginx, port, `server 127.0.0.1:${portOf(relay)};`));

    const server = await scene.echo(`${names[0] ?? ''}/relay`, { tls: tls(nginx) });
    for (const name of names) {
      const client = await scene.client(`${name}/relay/${server.publicKey}`, { tls: tls(nginx) });
      expect(await outcome(client)).toBe('open');
    }
    const other = `wss://other.example:${String(port)}/relay/${server.publicKey}`;
    const refused = event(relay, 'refused');
    expect(await outcome(await scene.client(other, { tls: tls(nginx) }))).toBe('ADDRESS_NOT_CLAIMED');
    // It was the client that left.
    expect(await refused).toMatchObject([{ code: 'LINK_LOST' }]);
  });

  it('tells who comes without a WebSocket where they are', async () => {
    const where = await behindNginx();
    const { status, text } = await getText(where, '/relay');
    expect(status).toBe(426);
    expect(text).toContain('This is a secure-websocket relay.');
    expect((await getText(where, '/')).status).toBe(404);
  });

  it('is reached under no name that it was not told', async () => {
    const where = await behindNginx({ addresses: undefined });
    const socket = await scene.client(`${where.url}/${NOBODY}`, { tls: tls(where.nginx) });
    expect(await outcome(socket)).toBe('ADDRESS_NOT_CLAIMED');
  });

  it('answers other paths without asking the relay', async () => {
    const where = await behindNginx();
    const refusals: RelayRefusal[] = [];
    where.relay.on('refused', refusal => refusals.push(refusal));
    const error = await failure(
      await scene.client(`wss://relay.example:${String(where.port)}/other/${NOBODY}`, {
        tls: tls(where.nginx),
      }),
    );
    expect(error).toMatchObject({ code: 'LINK_FAILED', message: expect.stringContaining('404') as string });
    expect(refusals).toEqual([]);
  });

  it('knows where clients come from, and does not believe what they say themselves', async () => {
    const where = await behindNginx();
    const first = nextAddress(where.relay);
    await echo(where);
    expect(await first).toBe(CLIENT);
    for (const claim of ['203.0.113.7', '127.0.0.1', 'garbage, 127.0.0.1, , "']) {
      const next = nextAddress(where.relay);
      const headers = { 'X-Forwarded-For': claim };
      await scene.echo(where.url, { tls: tls(where.nginx, ANOTHER), headers });
      expect(await next).toBe(ANOTHER);
    }
  });

  it('believes no proxy that it was not told of', async () => {
    const where = await behindNginx({ trustedProxies: [] });
    const next = nextAddress(where.relay);
    await echo(where);
    expect(await next).toBe('127.0.0.1');
  });

  it('counts each client, and not nginx, and nginx passes the refusal on', async () => {
    const where = await behindNginx({ maxConnectionsPerIp: 1 });
    await echo(where);
    const limited = event(where.relay, 'limited');
    const socket = await scene.client(`${where.url}/${NOBODY}`, { tls: tls(where.nginx) });
    expect(await failure(socket)).toMatchObject({
      code: 'LINK_FAILED',
      message: expect.stringContaining('429') as string,
    });
    expect(await limited).toEqual([{ limit: 'connections_per_ip', remoteAddress: CLIENT }]);
    await echo(where, ANOTHER);
    expect(where.relay.connections).toBe(2);
  });

  it('keeps its connections when nginx is reloaded', async () => {
    const where = await behindNginx();
    const server = await echo(where);
    const disturbed = vi.fn();
    server.on('reconnecting', disturbed);
    const client = await opened(await scene.client(server.url, { tls: tls(where.nginx) }));
    expect(await exchange(client, 'before')).toBe('before');

    await where.nginx.reload(where.configuration.replace('return 404;', 'return 410;'));
    // That is what the new worker process says.
    const late = await scene.client(`${new URL(where.url).origin}/${NOBODY}`, {
      tls: tls(where.nginx),
    });
    expect(await failure(late)).toMatchObject({ message: expect.stringContaining('410') as string });
    expect(await exchange(client, 'after')).toBe('after');
    expect(where.relay.connections).toBe(2);
    expect(disturbed).not.toHaveBeenCalled();

    const later = await opened(await scene.client(server.url, { tls: tls(where.nginx) }));
    expect(await exchange(later, 'and new ones come')).toBe('and new ones come');
  });

  it('comes back to those that reconnect when nginx was gone', async () => {
    const where = await behindNginx();
    const server = await echo(where);
    const client = await opened(
      await scene.client(server.url, { tls: tls(where.nginx), reconnect: { minDelay: 0, maxDelay: 50 } }),
    );
    const lost = new Promise<void>(resolve => {
      client.addEventListener('reconnecting', () => {
        resolve();
      });
    });
    const answers = new Promise<unknown[]>(resolve => {
      const got: unknown[] = [];
      client.addEventListener('message', ({ data }) => {
        got.push(data);
        if (got.length === 2) resolve(got);
      });
    });
    client.send('one');
    await where.nginx.stop();
    await lost;
    client.send('two');
    await where.nginx.start(where.configuration);
    expect(await answers).toEqual(['one', 'two']);
  });

  it('hands over to a second relay without losing a message', async () => {
    const nginx = await Nginx.prepare();
    const port = await freePort();
    const identity = await Identity.generate();
    const url = `wss://relay.example:${String(port)}`;
    const options: Partial<RelayOptions> = {
      identity,
      path: '/relay',
      addresses: [url],
      trustedProxies: ['127.0.0.1'],
      drain: { delay: 0, time: 500, tryFor: 30_000 },
    };
    const first = await scene.relay(options);
    const second = await scene.relay(options);
    scene.after(() => nginx.stop());
    await nginx.start(
      site(nginx, port, `server 127.0.0.1:${portOf(first)} max_fails=0;`, {
        '# server 127.0.0.1:8081 backup': `server 127.0.0.1:${portOf(second)} backup`,
      }),
    );
    const server = await scene.echo(`${url}/relay`, { tls: tls(nginx) });
    const client = await opened(await scene.client(server.url, { tls: tls(nginx), reconnect: true }));
    expect([first.connections, second.connections]).toEqual([2, 0]);

    // Three messages are on their way all the time.
    const got: unknown[] = [];
    let sent = 0;
    let isMoving = true;
    let finished: () => void = () => undefined;
    const all = new Promise<void>(resolve => {
      finished = resolve;
    });
    client.addEventListener('message', ({ data }) => {
      got.push(data);
      if (isMoving) client.send(String(sent++));
      else if (got.length === sent) finished();
    });
    while (sent < 3) client.send(String(sent++));

    const moved = new Promise<void>(resolve => {
      second.on('connection', () => {
        if (second.connections === 2) resolve();
      });
    });
    await Promise.all([first.drain(), moved]);
    isMoving = false;
    client.send(String(sent++));
    await all;
    expect(got).toEqual(Array.from({ length: sent }, (_, index) => String(index)));
    expect([first.connections, second.connections]).toEqual([0, 2]);
  });
});

describe.skipIf(nginxToTest() === undefined)(
  'behind nginx that passes TCP on, with the PROXY protocol',
  () => {
    async function behindStream(options: Partial<RelayOptions> = {}): Promise<Scene> {
      const nginx = await Nginx.prepare();
      const port = await freePort();
      const url = `wss://relay.example:${String(port)}`;
      const relay = await scene.relay({
        addresses: [url],
        tls: { certFile: nginx.certFile, keyFile: nginx.keyFile },
        trustedProxies: ['127.0.0.1'],
        proxyProtocol: true,
        ...options,
      });
      const configuration = adapted('deploy/nginx-stream.conf', {
        'listen 443;': `listen 127.0.0.1:${String(port)};`,
        'listen [::]:443;': '',
        'server 127.0.0.1:8443 max_fails=0;': `server 127.0.0.1:${portOf(relay)} max_fails=0;`,
      });
      scene.after(() => nginx.stop());
      await nginx.start(configuration);
      return { nginx, port, relay, url, configuration };
    }

    it('TLS reaches to the relay, which knows where clients come from', async () => {
      const where = await behindStream();
      const first = nextAddress(where.relay);
      const server = await echo(where);
      expect(await first).toBe(CLIENT);
      const next = nextAddress(where.relay);
      const headers = { 'X-Forwarded-For': '203.0.113.7' };
      const client = await scene.client(server.url, { tls: tls(where.nginx, ANOTHER), headers });
      expect(await next).toBe(ANOTHER);
      await opened(client);
      const long = 'x'.repeat(3_000_000);
      expect(await exchange(client, long)).toBe(long);
    });

    it('counts each client', async () => {
      const where = await behindStream({ maxConnectionsPerIp: 1 });
      await echo(where);
      const socket = await scene.client(`${where.url}/${NOBODY}`, { tls: tls(where.nginx) });
      expect(await failure(socket)).toMatchObject({ message: expect.stringContaining('429') as string });
      await echo(where, ANOTHER);
    });

    it('does not let one client take the places of all, before it has said a word', async () => {
      const where = await behindStream({
        maxUnregistered: 4,
        maxUnregisteredPerIp: 2,
        registrationTimeout: 600_000,
      });
      // Twice as many places as there are: of those that a client may take, four are.
      const closed = Array.from({ length: 8 }, async () => {
        const socket = connect({ port: where.port, host: '127.0.0.1', localAddress: CLIENT });
        socket.on('error', () => undefined);
        scene.after(() => socket.destroy());
        socket.resume();
        await ended(socket);
      });
      let turnedAway = 0;
      await new Promise<void>(resolve => {
        for (const each of closed) {
          void each.then(() => {
            turnedAway += 1;
            if (turnedAway === 4) resolve();
          });
        }
      });
      await echo(where, ANOTHER);
      expect(where.relay.connections).toBe(1);
    });

    it('TLS may end at nginx as well', async () => {
      const nginx = await Nginx.prepare();
      const port = await freePort();
      const url = `wss://relay.example:${String(port)}`;
      const relay = await scene.relay({
        addresses: [url],
        trustedProxies: ['127.0.0.1'],
        proxyProtocol: true,
      });
      scene.after(() => nginx.stop());
      await nginx.start(
        adapted('deploy/nginx-stream.conf', {
          'listen 443;': `listen 127.0.0.1:${String(port)} ssl; ssl_certificate ${nginx.certFile}; ssl_certificate_key ${nginx.keyFile};`,
          'listen [::]:443;': '',
          'server 127.0.0.1:8443 max_fails=0;': `server 127.0.0.1:${portOf(relay)} max_fails=0;`,
        }),
      );
      const first = nextAddress(relay);
      const server = await scene.echo(url, { tls: tls(nginx) });
      expect(await first).toBe(CLIENT);
      const client = await opened(await scene.client(server.url, { tls: tls(nginx) }));
      expect(await exchange(client, 'through')).toBe('through');
    });

    it('refuses the proxy that forgets its header, and serves who comes without a proxy', async () => {
      const where = await behindStream();
      const refused = event(where.relay, 'refused');
      const socket = connect(Number(portOf(where.relay)), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.end('GET / HTTP/1.1\r\n\r\n');
      await ended(socket);
      expect(await refused).toEqual([
        {
          remoteAddress: '127.0.0.1',
          code: 'LINK_FAILED',
          message: expect.stringContaining('PROXY protocol') as string,
        },
      ]);

      // From an address that is not trusted, a header is what it looks like: no TLS.
      const stranger = connect({
        port: Number(portOf(where.relay)),
        host: '127.0.0.1',
        localAddress: CLIENT,
      });
      stranger.on('error', () => undefined);
      stranger.write('PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n');
      stranger.resume();
      await ended(stranger);

      const next = nextAddress(where.relay);
      const direct = await scene
        .echo(where.url.replace(String(where.port), portOf(where.relay)), {
          tls: tls(where.nginx, ANOTHER),
          reconnect: false,
        })
        .catch((error: unknown) => error);
      // It answers, though not under this port: only its public name is claimed.
      expect(direct).toMatchObject({ code: 'ADDRESS_NOT_CLAIMED' });
      await echo(where);
      expect(await next).toBe(CLIENT);
    });

    it('keeps its connections when nginx is reloaded', async () => {
      const where = await behindStream();
      const server = await echo(where);
      const client = await opened(await scene.client(server.url, { tls: tls(where.nginx) }));
      expect(await exchange(client, 'before')).toBe('before');
      const end = vi.fn();
      void ending(client).then(end);
      await where.nginx.reload(where.configuration);
      await opened(await scene.client(server.url, { tls: tls(where.nginx) }));
      expect(await exchange(client, 'after')).toBe('after');
      expect(end).not.toHaveBeenCalled();
    });
  },
);
