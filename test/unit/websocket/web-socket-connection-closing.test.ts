import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FRAME_HEADROOM } from '../../../src/websocket/frame.js';
import { binary, close, encodeAll, ends, facingRaw, faked, MAX, NO_CODE, ping, ROLES, text } from './ends.js';
import { content, type Frame, show } from './frames.js';
import { turn } from './networks.js';

afterEach(() => {
  vi.useRealTimers();
});

/** Only timers: what happens on the network happens. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
}

describe('the closing handshake', () => {
  it.each(['server', 'client'] as const)('of the %s tells both code and reason, once', async first => {
    const both = await ends();
    both[first].socket.close(4001, 'Grüße');
    for (const { listener, socket } of [both.server, both.client]) {
      expect(await listener.end()).toMatchObject({ code: 4001, reason: 'Grüße', detail: undefined });
      expect(socket.isClosed).toBe(true);
    }
    await turn();
    for (const { listener, network } of [both.server, both.client]) {
      expect(listener.told).toEqual(['closed']);
      expect(network.destroyed).toBe(true);
    }
  });

  it.each(['server', 'client'] as const)('of the %s without a code is told as 1005', async first => {
    const both = await ends();
    both[first].socket.close();
    for (const { listener } of [both.server, both.client]) {
      expect(await listener.end()).toMatchObject({ code: 1005, reason: '' });
    }
  });

  it('of both at the same time tells each what the other said, once', async () => {
    const { server, client } = await ends();
    server.socket.close(4001, 'server');
    client.socket.close(4002, 'client');
    expect(await server.listener.end()).toMatchObject({ code: 4002, reason: 'client' });
    expect(await client.listener.end()).toMatchObject({ code: 4001, reason: 'server' });
    await turn();
    expect([server.listener.count('closed'), client.listener.count('closed')]).toEqual([1, 1]);
  });

  it('comes behind all that was sent', async () => {
    const { server, client } = await ends();
    for (let i = 0; i < 50; i++) client.socket.send(content(50_000, i));
    client.socket.close(1000);
    await server.listener.end();
    expect(server.listener.binaries.map(show)).toEqual(
      Array.from({ length: 50 }, (_, i) => show(content(50_000, i))),
    );
    expect(server.listener.told.at(-1)).toBe('closed');
  });

  it('is begun once, and nothing is sent behind it', async () => {
    const { socket, say, heard, listener } = await facingRaw();
    socket.close(4000, 'first');
    socket.close(4001, 'second');
    socket.send('late');
    socket.sendInPlace(content(100).subarray(FRAME_HEADROOM));
    socket.ping();
    say(ping(content(3)), close(4000));
    expect(await heard()).toEqual({ events: ['close 4000 first'], code: undefined });
    expect(listener.ends).toEqual([]);
  });

  it('has no reason when that is too long', async () => {
    const { socket, heard, say } = await facingRaw();
    socket.close(4000, 'é'.repeat(62));
    say(close(4000));
    expect((await heard()).events).toEqual(['close 4000 ']);
  });

  it('has the longest reason', async () => {
    const { server, client } = await ends();
    const reason = `${'é'.repeat(61)}z`;
    client.socket.close(4000, reason);
    expect(await server.listener.end()).toMatchObject({ code: 4000, reason });
  });

  it('is answered with its own code, or none', async () => {
    for (const [frame, answer] of [
      [close(4321, 'why'), 'close 4321 why'],
      [NO_CODE, 'close 1005 '],
    ] as const) {
      const { say, heard, peer, listener } = await facingRaw();
      say(frame);
      expect((await heard()).events).toEqual([answer]);
      peer.end();
      await listener.end();
    }
  });

  it('still tells what the other end had to say before', async () => {
    const { socket, say, listener, peer } = await facingRaw();
    socket.close(4000);
    say(text('late'), close(4000, 'done'), text('too late'));
    peer.end();
    expect(await listener.end()).toMatchObject({ code: 4000, reason: 'done' });
    expect(listener.texts).toEqual(['late']);
  });

  it('is found by an end that does not read', async () => {
    const { server, client } = await ends();
    server.socket.pause();
    client.socket.close(4000);
    server.socket.close(4001);
    expect(await server.listener.end()).toMatchObject({ code: 4000 });
  });
});

describe('a connection that ends without a closing handshake is told as 1006, once,', () => {
  const ENDS: [string, (peer: Socket, network: Socket) => unknown, RegExp | undefined][] = [
    ['when the other end ends it', peer => peer.end(), undefined],
    ['when the other end resets it', peer => peer.resetAndDestroy(), /ECONNRESET/],
    ['when the network is destroyed', (_, network) => network.destroy(), undefined],
    ['when the network fails', (_, network) => network.destroy(new Error('cable cut')), /cable cut/],
  ];

  it.each(ENDS)('%s', async (_, end, detail) => {
    const { listener, peer, network } = await facingRaw();
    end(peer, network);
    const told = await listener.end();
    expect(told).toMatchObject({ code: 1006, reason: '' });
    if (detail) expect(told.detail).toMatch(detail);
    else expect(told.detail).toBe(undefined);
    await turn();
    expect(listener.told).toEqual(['closed']);
  });

  it.each(ENDS)('also while it is closing, %s', async (_, end) => {
    const { listener, peer, network, socket } = await facingRaw();
    socket.close(4000, 'bye');
    end(peer, network);
    expect(await listener.end()).toMatchObject({ code: 1006, reason: '' });
    await turn();
    expect(listener.told).toEqual(['closed']);
  });

  it('also in the middle of a frame', async () => {
    const { listener, peer } = await facingRaw();
    peer.end(encodeAll([binary(content(1_000))], true).subarray(0, 500));
    expect(await listener.end()).toMatchObject({ code: 1006 });
    expect(listener.told).toEqual(['closed']);
  });
});

describe('what breaks the protocol', () => {
  it.each<[number, string, Frame[]]>([
    [1002, 'a reserved bit', [{ opcode: 1, payload: content(3), first: 0xc1 }]],
    [1002, 'a continuation of nothing', [{ opcode: 0, payload: content(3) }]],
    [1002, 'a close code that is none', [close(1005)]],
    [1007, 'text that is not UTF-8', [{ opcode: 1, payload: Uint8Array.of(0xff) }]],
    [1009, 'a message that is too large', [binary(content(MAX + 1))]],
    [
      1008,
      'too many fragments',
      Array.from({ length: 1_025 }, (_, i) => ({ opcode: i === 0 ? 2 : 0, payload: content(0), fin: false })),
    ],
  ])('is answered with a close %i and the end: %s', async (code, _, frames) => {
    const { say, heard, listener, peer } = await facingRaw();
    say(text('before'), ...frames, text('behind'), close(1000));
    expect(await heard()).toEqual({ events: [`close ${code} `], code: undefined });
    peer.end();
    const told = await listener.end();
    expect(told).toMatchObject({ code: 1006, reason: '' });
    expect(told.detail).toMatch(/./);
    expect(listener.told).toEqual(['text', 'closed']);
  });

  it.each(ROLES)('is a wrong mask bit, server: $server', async ({ server }) => {
    const { peer, heard, listener } = await facingRaw(server);
    peer.write(encodeAll([text('hello')], !server));
    expect((await heard()).events).toEqual(['close 1002 ']);
    peer.end();
    await listener.end();
    expect(listener.told).toEqual(['closed']);
  });

  it('while the connection is closing only ends it', async () => {
    const { socket, peer, heard, listener } = await facingRaw();
    socket.close(4000);
    peer.write(Buffer.alloc(20, 0xff));
    expect((await heard()).events).toEqual(['close 4000 ']);
    peer.end();
    expect(await listener.end()).toMatchObject({ code: 1006 });
  });

  it('may be followed by anything', async () => {
    const { peer, listener, heard } = await facingRaw();
    for (let i = 0; i < 100; i++) peer.write(Buffer.alloc(100_000, 0xff));
    peer.end();
    expect((await heard()).events).toEqual(['close 1002 ']);
    await listener.end();
    expect(listener.told).toEqual(['closed']);
  });
});

describe('terminate', () => {
  it('tells nothing more but the end, in a later task', async () => {
    const { server, client } = await ends();
    server.listener.text = () => {
      server.socket.terminate();
      server.listener.events.push('terminated');
    };
    client.socket.cork();
    client.socket.send('one');
    client.socket.send('two');
    client.socket.send(content(100));
    client.socket.close(1000);
    client.socket.uncork();
    expect(await server.listener.end()).toMatchObject({ code: 1006, reason: '' });
    expect(server.listener.told).toEqual(['terminated', 'closed']);
    await client.listener.end();
    await turn();
    expect([server.listener.count('closed'), client.listener.count('closed')]).toEqual([1, 1]);
  });

  it.each(ROLES)('may be called again and again, server: $server', async ({ server }) => {
    const { socket, listener, network } = await facingRaw(server);
    socket.terminate();
    socket.terminate();
    expect(listener.told).toEqual([]);
    await listener.end();
    socket.terminate();
    socket.close(1000);
    socket.send('late');
    socket.ping();
    socket.pause();
    socket.resume();
    await turn();
    expect(listener.told).toEqual(['closed']);
    expect(network.destroyed).toBe(true);
  });
});

describe('30 s are enough', () => {
  it('for the answer to a close', async () => {
    fakeTimers();
    const { socket, network, listener } = await facingRaw();
    socket.close(4000, 'bye');
    vi.advanceTimersByTime(29_999);
    expect(network.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(network.destroyed).toBe(true);
    expect(await listener.end()).toMatchObject({ code: 1006, reason: '' });
    expect(listener.told).toEqual(['closed']);
  });

  it('for the end behind a closing handshake', async () => {
    fakeTimers();
    const { say, heard, network, listener } = await facingRaw();
    say(close(4000, 'bye'));
    await heard();
    vi.advanceTimersByTime(29_999);
    expect(network.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await listener.end()).toMatchObject({ code: 4000, reason: 'bye' });
  });

  it('to take what is sent, for a peer that has ended its half, or broken the protocol', async () => {
    fakeTimers();
    for (const end of [null, Buffer.alloc(20, 0xff)]) {
      const { network, socket, listener } = faked();
      network.stuck = true;
      socket.send(content(1_000));
      network.push(end);
      await turn();
      vi.advanceTimersByTime(29_999);
      expect(network.destroyed).toBe(false);
      vi.advanceTimersByTime(1);
      expect(await listener.end()).toMatchObject({ code: 1006 });
    }
  });

  it('and nothing is left of them when the connection is closed', async () => {
    fakeTimers();
    const { server, client } = await ends();
    server.socket.close(1000);
    await Promise.all([server.listener.end(), client.listener.end()]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
