import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { trustStore } from '../support/dialled-peer.js';
import type { IndependentChannel } from '../support/independent/channel.js';
import { keysOf } from '../support/independent/primitives.js';
import { IndependentClient } from '../support/independent-client.js';
import {
  cleanUp,
  connect,
  dial,
  dialledBy,
  nextMessage,
  OFFER,
  opened,
  relay,
  serve,
  useRelay,
} from '../support/independent-scene.js';

const MIB = 1 << 20;

useRelay();

describe.each(['direct', 'relayed'] as const)('a client made from docs/protocol.md, %s', where => {
  it('opens a channel, exchanges messages, and closes', async () => {
    const service = await serve(where);
    const { channel } = await dial(service);
    expect(await channel.opened).toBe('b');
    const { url, socket, closed } = await service.connections.next();
    // In direct use that of the HTTP request.
    expect(url).toBe(where === 'direct' ? '/' : '/chat?x=1');
    expect(socket.url).toBe('/chat?x=1');
    expect(socket.protocol).toBe('b');

    channel.message('grüße');
    channel.message(Buffer.of(1, 2, 255));
    channel.message('');
    channel.message('f'.repeat(5000), 1024);
    channel.together('one', 'two', 'three');
    const received = await channel.messages.take(7);
    expect(received.map(({ data, isText }) => [data.toString('latin1').slice(0, 6), isText])).toEqual([
      [Buffer.from('grüße').toString('latin1').slice(0, 6), true],
      ['\x01\x02\xff', false],
      ['', true],
      ['ffffff', true],
      ['one', true],
      ['two', true],
      ['three', true],
    ]);
    expect(received[3]!.data.length).toBe(5000);

    channel.close(3001, 'bye');
    expect(await channel.ended).toEqual({ how: 'closed', code: 3001, reason: 'bye' });
    expect(await closed).toEqual([3001, 'bye']);
  });

  it('is closed by the other end, with and without a status', async () => {
    const service = await serve(where);
    const { channel } = await dial(service);
    const first = await service.connections.next();
    first.socket.close(4000, 'enough');
    expect(await channel.ended).toEqual({ how: 'closed', code: 4000, reason: 'enough' });
    expect(await first.closed).toEqual([4000, 'enough']);

    const again = await dial(service);
    const second = await service.connections.next();
    second.socket.close();
    expect(await again.channel.ended).toEqual({ how: 'closed', code: undefined, reason: '' });
    expect(await second.closed).toEqual([1005, '']);
  });

  it('answers pings and is answered', async () => {
    const service = await serve(where);
    const { channel } = await dial(service);
    const { socket } = await service.connections.next();
    await channel.opened;
    channel.ping(Buffer.from('from here'));
    expect(String(await channel.pongs.next())).toBe('from here');
    const pong = new Promise(resolve => {
      socket.on('pong', data => {
        resolve(String(data));
      });
    });
    socket.ping('from there');
    expect(await pong).toBe('from there');
  });

  it.each([
    ['its own window', {}],
    ['a window smaller than a frame', { window: 20_000 }],
  ])('exchanges messages of several MiB within %s', async (_what, options) => {
    const service = await serve(where);
    const { channel } = await dial(service, options);
    await channel.opened;
    const large = randomBytes(5 * MIB + 1);
    channel.message(large);
    channel.message('after it');
    const [first, second] = await channel.messages.take(2);
    expect(first!.isText).toBe(false);
    expect(first!.data.equals(large)).toBe(true);
    expect(String(second!.data)).toBe('after it');
    expect(channel.seen.credit).toBeGreaterThan(0);
    expect(channel.seen.fragments).toBeGreaterThan(10);
    channel.close();
    expect((await channel.ended).how).toBe('closed');
  });

  it('renews the keys in the middle of a channel', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    await channel.opened;
    for (const text of ['zero', 'one', 'two']) {
      channel.message(text);
      expect(String((await channel.messages.next()).data)).toBe(text);
      await client.renew(service.key);
    }
    channel.message('under the last keys');
    expect(String((await channel.messages.next()).data)).toBe('under the last keys');
  });

  it.each([
    ['that have grown old', 170_000],
    ['that have expired', 200_000],
  ])('answers when the other end renews keys %s', async (_what, age) => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    await channel.opened;
    const { socket } = await service.connections.next();
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + age);
    socket.send('first');
    expect(String((await channel.messages.next()).data)).toBe('first');
    expect((await client.answered.next()).toString('hex')).toContain(service.key);
    channel.message('under the new keys');
    expect(String((await channel.messages.next()).data)).toBe('under the new keys');
    channel.close();
    expect((await channel.ended).how).toBe('closed');
  });

  it('sends what it had queued, when the other end closes', async () => {
    const service = await serve(where);
    const { channel } = await dial(service);
    await channel.opened;
    const { socket, closed } = await service.connections.next();
    const received: number[] = [];
    socket.removeAllListeners('message');
    socket.on('message', data => received.push((data as Buffer).length));
    // More than one window: the end waits for credit.
    channel.message(randomBytes(5 * MIB));
    channel.message('last');
    socket.close(1001);
    expect(await channel.ended).toEqual({ how: 'closed', code: 1001, reason: '' });
    expect(await closed).toEqual([1001, '']);
    expect(received).toEqual([5 * MIB, 4]);
  });

  it('is told that text is not UTF-8', async () => {
    const service = await serve(where);
    const { channel } = await dial(service);
    await channel.opened;
    channel.invalidText();
    expect(await channel.ended).toMatchObject({ how: 'closed', code: 1007 });
  });
});

describe('a client made from docs/protocol.md', () => {
  it('opens several channels in one session with a peer', async () => {
    const service = await serve('relayed');
    const { client, channel } = await dial(service);
    await channel.opened;
    const another = client.openAnother(service.key, { target: '/', protocols: [] });
    expect(await another.opened).toBe('');
    channel.message('first');
    another.message('second');
    expect(String((await channel.messages.next()).data)).toBe('first');
    expect(String((await another.messages.next()).data)).toBe('second');
    channel.close(1000);
    expect((await channel.ended).how).toBe('closed');
    another.message('still open');
    expect(String((await another.messages.next()).data)).toBe('still open');
  });

  it('is dialled at its key by a ClientSecureWebSocket', async () => {
    const client = await connect(relay.url, { serverKey: relay.publicKey });
    await client.listen();
    const { socket, closed } = dialledBy(`${relay.url}/${client.address}/room?y=2`, ['x', 'y']);
    const open = opened(socket);
    const channel = await client.incoming.next();
    expect(channel.offer).toEqual({ target: '/room?y=2', protocols: ['x', 'y'], resume: false });
    channel.accept('y');
    await open;
    expect(socket.protocol).toBe('y');
    expect(socket.peerPublicKey).toBe(client.address);

    const large = randomBytes(3 * MIB);
    socket.send('hello');
    socket.send(large);
    const [text, binary] = await channel.messages.take(2);
    expect([String(text!.data), text!.isText]).toEqual(['hello', true]);
    expect(binary!.data.equals(large)).toBe(true);

    let message = nextMessage(socket);
    channel.message(large);
    expect((await message).data.equals(large)).toBe(true);
    message = nextMessage(socket);
    channel.message('text', 1024);
    expect(await message).toEqual({ data: Buffer.from('text'), isText: true });

    socket.close(3333, 'done');
    expect(await channel.ended).toEqual({ how: 'closed', code: 3333, reason: 'done' });
    expect(await closed).toMatchObject({ code: 3333, reason: 'done', wasClean: true });
  });

  it('answers when a ClientSecureWebSocket renews the keys', async () => {
    const client = await connect(relay.url);
    await client.listen();
    const { socket } = dialledBy(`${relay.url}/${client.address}`);
    const open = opened(socket);
    const channel = await client.incoming.next();
    channel.accept('');
    await open;
    await client.answered.next();
    const now = performance.now.bind(performance);
    for (const age of [121_000, 242_000, 363_000]) {
      vi.spyOn(performance, 'now').mockImplementation(() => now() + age);
      socket.send('under the old keys');
      expect(String((await channel.messages.next()).data)).toBe('under the old keys');
      await client.answered.next();
      // When this has come, the response has: what the socket sends from then on is under the new keys.
      const message = nextMessage(socket);
      channel.message('go on');
      expect(String((await message).data)).toBe('go on');
      socket.send('under the new keys');
      expect(String((await channel.messages.next()).data)).toBe('under the new keys');
    }
  });

  it.each(['lower', 'higher'])(
    'and a ClientSecureWebSocket renew at once; its address is the %s',
    async which => {
      const seeds = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].sort((a, b) =>
        Buffer.compare(keysOf(a).box.publicKey, keysOf(b).box.publicKey),
      );
      const [own, other] = which === 'lower' ? [seeds[0]!, seeds[1]!] : [seeds[1]!, seeds[0]!];
      const client = await connect(relay.url, { seed: own });
      await client.listen();
      const { socket } = dialledBy(`${relay.url}/${client.address}`, [], Identity.fromSeed(other));
      const channel = await client.incoming.next();
      channel.accept('');
      await opened(socket);
      await client.answered.next();
      const now = performance.now.bind(performance);
      vi.spyOn(performance, 'now').mockImplementation(() => now() + 121_000);
      socket.send('crossing');
      await client.renew(socket.publicKey);
      expect(client.answered.pending.length).toBe(which === 'lower' ? 0 : 1);
      expect(String((await channel.messages.next()).data)).toBe('crossing');
      for (const text of ['one', 'two']) {
        const message = nextMessage(socket);
        channel.message(text);
        expect(String((await message).data)).toBe(text);
        socket.send(text);
        expect(String((await channel.messages.next()).data)).toBe(text);
      }
    },
  );

  it('refuses a channel', async () => {
    const client = await connect(relay.url);
    await client.listen();
    const { closed } = dialledBy(`${relay.url}/${client.address}`);
    const channel = await client.incoming.next();
    expect(channel.offer?.target).toBe('/');
    channel.refuse(403, 'not you');
    expect(await closed).toMatchObject({ code: 1006, wasClean: false });
  });

  it('ends without a CLOSE', async () => {
    const client = await connect(relay.url);
    await client.listen();
    const { socket, closed } = dialledBy(`${relay.url}/${client.address}`);
    const open = opened(socket);
    const channel = await client.incoming.next();
    channel.accept('');
    await open;
    channel.reset('PROTOCOL_ERROR');
    expect(await closed).toMatchObject({ code: 1006, wasClean: false });
  });

  it('is told of text that is not UTF-8: CLOSE, and RESET after it', async () => {
    const client = await connect(relay.url);
    await client.listen();
    const [first, second] = [
      dialledBy(`${relay.url}/${client.address}`),
      dialledBy(`${relay.url}/${client.address}`),
    ];
    const channels = await client.incoming.take(2);
    for (const channel of channels) channel.accept('');
    await Promise.all([opened(first.socket), opened(second.socket)]);
    const [one, other] = channels as [IndependentChannel, IndependentChannel];
    one.invalidText();
    expect(await one.ended).toMatchObject({ how: 'closed', code: 1007 });
    // By the time that this is answered, the RESET has been read.
    other.ping(Buffer.of(1));
    await other.pongs.next();
    expect(one.seen.resets).toBe(1);
  });

  it('is refused by a service', async () => {
    const server = new SecureWebSocketServer({
      relay: relay.url,
      identity: Identity.generate(),
      trustStore,
      verifyClient: () => false,
    });
    cleanUp.push(() => {
      server.close();
    });
    await server.ready;
    const client = await connect(relay.url);
    const channel = await client.dial(server.publicKey ?? '', OFFER);
    expect(await channel.ended).toMatchObject({ how: 'refused', code: 401 });
  });

  it('hears that nobody is there, and that a peer has gone', async () => {
    const client = await connect(relay.url);
    const other = await IndependentClient.connect(relay.url);
    void client.dial(other.address, OFFER);
    const notHere = await client.notices.next();
    expect(notHere.reason).toBe(1);
    expect(notHere.address.toString('hex')).toBe(`${other.address}00000000`);

    await other.listen();
    await client.dial(other.address, OFFER);
    await other.incoming.next();
    await other.close();
    const gone = await client.notices.next();
    expect(gone.reason).toBe(5);
    expect(gone.address.toString('hex').startsWith(other.address)).toBe(true);
    expect(gone.address.readUInt32BE(32)).toBe(other.registered.connectionId);
  });

  it('talks to another of its kind', async () => {
    const [a, b] = [await connect(relay.url), await connect(relay.url)];
    await b.listen();
    const channel = await a.dial(b.address, OFFER);
    const incoming = await b.incoming.next();
    incoming.accept('a');
    expect(await channel.opened).toBe('a');
    channel.message('there');
    incoming.message('and back');
    expect(String((await incoming.messages.next()).data)).toBe('there');
    expect(String((await channel.messages.next()).data)).toBe('and back');
  });

  it('refuses a server with another key, and one at another location', async () => {
    await expect(IndependentClient.connect(relay.url, { serverKey: '00'.repeat(32) })).rejects.toThrow(
      'another key',
    );
    const elsewhere = relay.url.replace('127.0.0.1', '127.0.0.2');
    await expect(IndependentClient.connect(elsewhere)).rejects.toThrow();
  });
});
