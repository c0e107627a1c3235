import { generateKeyPair, exportJWK, SignJWT } from 'jose';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fs from 'node:fs/promises';
import path from 'node:path';
import { once } from 'node:events';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { encodeToken } from '../../src/core/frame.js';
import { RelayClient } from '../support/relay-client.js';
import type { RelayRefusal } from '../../src/relay/relay.js';
import type { RelayClient as ConnectedClient } from '../../src/relay/relay-connection.js';
import { ending, event, exchange, failure, outcome, relayScene } from '../support/relay-scene.js';
import { temporaryFolder } from '../support/temporary-folder.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'relay';
let signing: Awaited<ReturnType<typeof generateKeyPair>>;
let keySet: string;
beforeAll(async () => {
  signing = await generateKeyPair('EdDSA');
  keySet = JSON.stringify({ keys: [{ ...(await exportJWK(signing.publicKey)), alg: 'EdDSA' }] });
});

interface TokenClaims {
  readonly key?: string;
  readonly sub?: string;
  readonly peers?: readonly string[];
  readonly issuer?: string;
  /** Seconds. */
  readonly lifetime?: number;
}

function token({
  key,
  sub = 'alice',
  peers,
  issuer = ISSUER,
  lifetime = 600,
}: TokenClaims = {}): Promise<string> {
  return new SignJWT({ ...(key !== undefined && { key }), ...(peers && { peers }) })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setSubject(sub)
    .setIssuer(issuer)
    .setAudience(AUDIENCE)
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetime)
    .sign(signing.privateKey);
}

async function jwt(more: object = {}) {
  const keyFile = path.join(await temporaryFolder(), 'keys.json');
  await fs.writeFile(keyFile, keySet);
  return { keyFile, issuer: ISSUER, audience: AUDIENCE, algorithms: ['EdDSA'], clockTolerance: 0, ...more };
}

describe('lists of keys', () => {
  it('let in who is on one and not on the other, and tell the others why', async () => {
    const [alice, mallory, stranger] = await Promise.all([1, 2, 3].map(() => Identity.generate()));
    if (!alice || !mallory || !stranger) throw new Error('no identities');
    const service = await Identity.generate();
    const relay = await scene.relay({
      admission: {
        allow: [alice.publicKey, mallory.publicKey, service.publicKey],
        deny: [mallory.publicKey],
      },
    });
    const refusals: RelayRefusal[] = [];
    relay.on('refused', refusal => refusals.push(refusal));
    const { url } = await scene.echo(relay, { identity: service });

    const socket = await scene.client(url, { identity: alice });
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'hello')).toBe('hello');
    for (const [identity, code] of [
      [mallory, 'KEY_DENIED'],
      [stranger, 'KEY_NOT_ALLOWED'],
    ] as const) {
      // Terminal: with `reconnect` no other attempt is made either.
      const refused = await scene.client(url, { identity, reconnect: true });
      const error = await failure(refused);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toMatch(/list/);
      expect(refusals.at(-1)).toMatchObject({
        code,
        publicKey: identity.publicKey,
        remoteAddress: '127.0.0.1',
      });
    }
  });

  it('from a file count at once when it changes: who is denied meanwhile has to go, with 4004', async () => {
    const file = path.join(await temporaryFolder(), 'denied');
    await fs.writeFile(file, '# nobody yet\n');
    const relay = await scene.relay({ admission: { deny: { file } } });
    const { url } = await scene.echo(relay);
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const hers = await scene.client(url, { identity: alice, reconnect: true });
    const his = await scene.client(url, { identity: bob });
    expect(await outcome(hers)).toBe('open');
    expect(await outcome(his)).toBe('open');

    // A list that makes no sense changes nothing.
    const broken = event(relay, 'reloaded');
    await fs.writeFile(file, 'not a key\n');
    void relay.reload();
    expect((await broken)[1]).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await exchange(hers, 'still here')).toBe('still here');

    const ended = ending(hers);
    const disconnected = event(relay, 'disconnection');
    await fs.writeFile(file, `${alice.publicKey}  # she went too far\n`);
    void relay.reload();
    expect((await disconnected)[1]).toBe(4004);
    expect(await ended).toMatchObject({ code: 1006, error: { code: 'ADMISSION_REFUSED' } });
    expect(await exchange(his, 'and I')).toBe('and I');
    expect(await outcome(await scene.client(url, { identity: alice }))).toBe('KEY_DENIED');
  });
});

describe('tokens', () => {
  it('let in who has one for this relay and this key, as the user that it names', async () => {
    const relay = await scene.relay({ admission: { jwt: await jwt({ keyClaim: 'key' }) } });
    const clients: ConnectedClient[] = [];
    relay.on('connection', client => clients.push(client));
    const service = await Identity.generate();
    const { url } = await scene.echo(relay, {
      identity: service,
      token: await token({ key: service.publicKey, sub: 'service' }),
    });
    const alice = await Identity.generate();
    const socket = await scene.client(url, {
      identity: alice,
      token: await token({ key: alice.publicKey }),
    });
    expect(await outcome(socket)).toBe('open');
    expect(clients.map(({ userId }) => userId)).toEqual(['service', 'alice']);
    expect(await exchange(socket, 'hello')).toBe('hello');
  });

  it('are refused with a code of its own for each reason, and no word of them leaks', async () => {
    const relay = await scene.relay({ admission: { jwt: await jwt({ keyClaim: 'key' }) } });
    const refusals: RelayRefusal[] = [];
    relay.on('refused', refusal => refusals.push(refusal));
    const alice = await Identity.generate();
    const url = `${relay.url}/${alice.publicKey}`;
    const key = alice.publicKey;
    const good = await token({ key });
    const cases: [string | undefined, string][] = [
      [undefined, 'TOKEN_REQUIRED'],
      ['nonsense', 'TOKEN_INVALID'],
      [await token({ key, issuer: 'https://elsewhere.example' }), 'TOKEN_INVALID'],
      [`${good.slice(0, -8)}AAAAAAAA`, 'TOKEN_INVALID'],
      [await token({ key, lifetime: -60 }), 'TOKEN_EXPIRED'],
      [await token({ key: (await Identity.generate()).publicKey }), 'TOKEN_NOT_YOURS'],
    ];
    for (const [shown, code] of cases) {
      const socket = await scene.client(url, { identity: alice, token: shown, reconnect: true });
      const error = await failure(socket);
      expect(error).toMatchObject({ code });
      const refusal = refusals.at(-1);
      expect(refusal).toMatchObject({ code, publicKey: key });
      if (shown !== undefined && shown.length > 20) {
        for (const part of shown.split('.')) {
          expect(`${(error as Error).message} ${refusal?.message ?? ''}`).not.toContain(part);
        }
      }
    }
    expect(refusals).toHaveLength(cases.length);
  });

  it('end with the connection, 4003, unless a fresh one is shown in band', async () => {
    const relay = await scene.relay({ admission: { jwt: await jwt() } });
    const { url } = await scene.echo(relay, { token: await token() });
    // A string cannot be renewed: the link ends, and the next registration is refused.
    const fixed = await scene.client(url, { token: await token({ lifetime: 3 }), reconnect: true });
    // A function is asked again before that.
    const provide = vi.fn(() => token({ sub: 'bob', lifetime: 3 }));
    const renewed = await scene.client(url, { token: provide, reconnect: true });
    const reconnecting = vi.fn();
    renewed.addEventListener('reconnecting', reconnecting);
    expect(await outcome(fixed)).toBe('open');
    expect(await outcome(renewed)).toBe('open');

    const codes: number[] = [];
    relay.on('disconnection', (_client, code) => codes.push(code));
    const ended = await ending(fixed);
    expect(ended.error?.code).toBe('TOKEN_EXPIRED');
    expect(codes).toEqual([4003]);
    // By now the other one has been renewed, or it would have been closed as well.
    await expect.poll(() => provide.mock.calls.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(4);
    expect(await exchange(renewed, 'still the same')).toBe('still the same');
    expect(reconnecting).not.toHaveBeenCalled();
    expect(codes).toEqual([4003]);
  });

  it('for another user do not renew', async () => {
    const relay = await scene.relay({ admission: { jwt: await jwt() } });
    const { url } = await scene.echo(relay, { token: await token() });
    let sub = 'alice';
    const socket = await scene.client(url, { token: () => token({ sub, lifetime: 2 }) });
    expect(await outcome(socket)).toBe('open');
    sub = 'mallory';
    const [, code] = (await event(relay, 'disconnection')) as [unknown, number];
    expect(code).toBe(4003);
  });

  it('limit whom a client may begin to talk to', async () => {
    const relay = await scene.relay({ admission: { jwt: await jwt({ peersClaim: 'peers' }) } });
    const open = await scene.echo(relay, { token: await token({ peers: [] }) });
    const other = await scene.echo(relay, { token: await token({ peers: [] }) });
    const limited = { token: await token({ peers: [open.publicKey ?? ''] }) };
    const identity = await Identity.generate();
    const socket = await scene.client(open.url, { ...limited, identity });
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'hello')).toBe('hello');
    const error = await failure(await scene.client(other.url, { ...limited, identity, reconnect: true }));
    expect(error).toMatchObject({ code: 'PEER_NOT_ALLOWED' });
    expect(relay.statistics.drops.not_allowed).toBeGreaterThan(0);
  });

  it('that are no tokens end the connection, and so does one where none is expected', async () => {
    const admitted = await scene.relay({ admission: { decide: () => ({ expiresAt: Date.now() + 60_000 }) } });
    const open = await scene.relay();
    for (const relay of [admitted, open]) {
      const client = await RelayClient.connect(relay.url);
      client.send(encodeToken(new Uint8Array(60).fill(4)));
      expect((await client.closed).code).toBe(1002);
    }
  });
});

describe('who is asked', () => {
  it('may be a function: its answers, its reasons, and its failures', async () => {
    const user = await Identity.generate();
    const decide = vi.fn(({ userId }: { userId: string }) => {
      if (userId === 'broken') throw new Error('the database is away');
      if (userId === 'late') return { refuse: 'Come back tomorrow.' };
      return userId === 'good';
    });
    const relay = await scene.relay({ admission: { decide } });
    const url = `${relay.url}/${user.publicKey}`;
    const results: unknown[] = [];
    for (const userId of ['bad', 'late', 'broken']) {
      results.push(await failure(await scene.client(url, { userId })));
    }
    expect(results).toMatchObject([
      { code: 'ADMISSION_REFUSED' },
      { code: 'ADMISSION_REFUSED', message: expect.stringContaining('Come back tomorrow.') as string },
      { code: 'ADMISSION_UNAVAILABLE' },
    ]);
    expect((results[2] as Error).message).not.toContain('database');
    // That one passes: with `reconnect` the next attempt is made, and lets it in.
    const service = await scene.echo(relay, { userId: 'good' });
    let userId = 'broken';
    decide.mockImplementation(() => {
      if (userId === 'broken') {
        userId = 'good';
        throw new Error('not yet');
      }
      return true;
    });
    const socket = await scene.client(service.url, { reconnect: { minDelay: 0, maxDelay: 0 } });
    expect(await outcome(socket)).toBe('open');
  });

  it('may be a server: what it says counts, and when it says nothing nobody is let in', async () => {
    const requests: Record<string, unknown>[] = [];
    let answer: { status: number; body: string } = { status: 200, body: '{"allow":true,"userId":"u1"}' };
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', chunk => (body += String(chunk)));
      request.on('end', () => {
        requests.push({ ...(JSON.parse(body) as object), authorization: request.headers.authorization });
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    scene.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/admit`;
    const relay = await scene.relay({ admission: { hook: { url, secret: 'between-us' } } });
    const connected = event(relay, 'connection');
    const { url: service } = await scene.echo(relay);
    expect(((await connected)[0] as ConnectedClient).userId).toBe('u1');
    const identity = await Identity.generate();
    expect(await outcome(await scene.client(service, { identity, token: 'secret', deviceId: 'd' }))).toBe(
      'open',
    );
    expect(requests.at(-1)).toMatchObject({
      publicKey: identity.publicKey,
      ip: '127.0.0.1',
      address: relay.url,
      deviceId: 'd',
      authorization: 'Bearer between-us',
    });
    expect(JSON.stringify(requests)).not.toContain('"secret"');

    answer = { status: 200, body: '{"allow":false,"reason":"Not on a Saturday."}' };
    expect(await failure(await scene.client(service))).toMatchObject({
      code: 'ADMISSION_REFUSED',
      message: expect.stringContaining('Not on a Saturday.') as string,
    });
    answer = { status: 500, body: 'oops' };
    expect(await outcome(await scene.client(service))).toBe('ADMISSION_UNAVAILABLE');

    const generous = await scene.relay({ admission: { hook: { url, failOpen: true } } });
    const there = await scene.echo(generous);
    expect(await outcome(await scene.client(there.url))).toBe('open');
  });

  it('is not waited for longer than a registration may take, and not for who has gone', async () => {
    let resolve: (value: boolean) => void = () => undefined;
    const asked = vi.fn(() => new Promise<boolean>(settle => (resolve = settle)));
    const relay = await scene.relay({ admission: { decide: asked }, registrationTimeout: 200 });
    const user = await Identity.generate();
    const refused = event(relay, 'refused');
    expect(await outcome(await scene.client(`${relay.url}/${user.publicKey}`))).toBe('REGISTRATION_TIMEOUT');
    expect((await refused)[0]).toMatchObject({ code: 'REGISTRATION_TIMEOUT' });
    resolve(true);
    await expect.poll(() => relay.statistics.unregistered).toBe(0);
    expect(relay.connections).toBe(0);
  });
});

describe('who may reach whom', () => {
  it('is a matter of rules; who may be reached may be answered', async () => {
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const service = await Identity.generate();
    const relay = await scene.relay({
      reach: { rules: [`allow ${alice.publicKey} ${service.publicKey}`, `deny * *`] },
    });
    const { url } = await scene.echo(relay, { identity: service });
    const socket = await scene.client(url, { identity: alice, reconnect: true });
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'hello')).toBe('hello');
    const refused = await scene.client(url, { identity: bob, reconnect: true });
    expect(await outcome(refused)).toBe('PEER_NOT_ALLOWED');
  });

  it('may be asked of a function: what is sent meanwhile waits, in order, and the answer is kept', async () => {
    const decide = vi.fn(
      ({ from }: { from: string; to: string }) =>
        new Promise<boolean>(resolve => {
          setImmediate(() => {
            resolve(from !== mallory.publicKey);
          });
        }),
    );
    const mallory = await Identity.generate();
    const relay = await scene.relay({ reach: { decide } });
    const { url, publicKey } = await scene.echo(relay);
    const alice = await Identity.generate();
    const socket = await scene.client(url, { identity: alice });
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'one')).toBe('one');
    expect(await exchange(socket, 'two')).toBe('two');
    const questions = decide.mock.calls.map(([{ from, to }]) => [from, to]);
    // Each pair was asked about at most once, however many envelopes went.
    expect(new Set(questions.map(String)).size).toBe(questions.length);
    expect(questions).toContainEqual([alice.publicKey, publicKey]);
    expect(await outcome(await scene.client(url, { identity: mallory }))).toBe('PEER_NOT_ALLOWED');
  });
});

describe('an operator', () => {
  it('can end the connections of a key: they do not come back by themselves, but may be made again', async () => {
    const relay = await scene.relay();
    const { url } = await scene.echo(relay);
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    // Two links of one key: another token is another link.
    const hers = [
      await scene.client(url, { identity: alice, reconnect: true, token: 'one' }),
      await scene.client(url, { identity: alice, reconnect: true, token: 'two' }),
    ];
    const his = await scene.client(url, { identity: bob });
    for (const socket of [...hers, his]) expect(await outcome(socket)).toBe('open');
    const ended = hers.map(ending);
    expect(relay.disconnect(alice.publicKey)).toBe(2);
    for (const each of ended) {
      expect(await each).toMatchObject({ code: 1006, error: { code: 'ADMISSION_REFUSED' } });
    }
    expect(await exchange(his, 'still here')).toBe('still here');
    expect(await outcome(await scene.client(url, { identity: alice }))).toBe('open');
    expect(relay.disconnect((await Identity.generate()).publicKey)).toBe(0);
    expect(() => relay.disconnect('nobody')).toThrow(
      expect.objectContaining({ code: 'INVALID_ADDRESS_LENGTH' }),
    );
  });
});
