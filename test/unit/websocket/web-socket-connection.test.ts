import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME_HEADROOM, Opcode } from '../../../src/websocket/frame.js';
import { runs } from '../../support/fuzz.js';
import { binary, close, connection, encodeAll, ends, faked, ping, pong, ROLES, roomy, text } from './ends.js';
import { content, encode, show, textOf } from './frames.js';
import { Listener, socketPair, turn } from './networks.js';

describe('two ends', () => {
  it('hear what the other says, whole and in order', async () => {
    const messages = fc.array(
      fc.record({
        as: fc.constantFrom('text', 'binary', 'in place'),
        length: fc.oneof(fc.nat(300), fc.constantFrom(0, 125, 126, 65_535, 65_536, 200_000)),
      }),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(messages, messages, async (fromServer, fromClient) => {
        const { server, client } = await ends();
        const talk = [
          { from: server, to: client, what: fromServer },
          { from: client, to: server, what: fromClient },
        ];
        for (const { from, what } of talk) {
          for (const { as, length } of what) {
            if (as === 'text') from.socket.send(textOf(length));
            else if (as === 'binary') from.socket.send(content(length));
            else from.socket.sendInPlace(roomy(from.memory, content(length)));
          }
        }
        for (const { to, what } of talk) {
          await to.listener.until(() => to.listener.told.length === what.length);
          const texts = what.filter(({ as }) => as === 'text');
          expect(to.listener.texts).toEqual(texts.map(({ length }) => textOf(length)));
          const binaries = what.filter(({ as }) => as !== 'text');
          expect(to.listener.binaries.map(show)).toEqual(binaries.map(({ length }) => show(content(length))));
          expect(to.listener.told).toEqual(what.map(({ as }) => (as === 'text' ? 'text' : 'binary')));
        }
        client.socket.terminate();
        await Promise.all([server.listener.end(), client.listener.end()]);
      }),
      runs(25),
    );
  });

  it('leave what is sent as it is', async () => {
    const { client, server } = await ends();
    const sent = content(70_000);
    client.socket.send(sent);
    await server.listener.until(() => server.listener.binaries.length === 1);
    expect(show(sent)).toBe(show(content(70_000)));
  });

  it('tell of what arrives before what is in it', async () => {
    const { client, server } = await ends();
    const before: number[] = [];
    server.listener.text = () => {
      before.push(server.listener.arrivedBytes);
    };
    client.socket.send('hello');
    client.socket.ping();
    client.socket.close();
    await server.listener.end();
    expect(before[0]).toBeGreaterThanOrEqual(11);
    expect(server.listener.arrivedBytes).toBe(11 + 6 + 6);
  });

  it('may have another listener later', async () => {
    const { client, server } = await ends();
    const next = new Listener();
    server.socket.listener = next;
    client.socket.send('hello');
    await next.until(() => next.texts.length === 1);
    client.socket.close(1000);
    await next.end();
    expect(server.listener.told).toEqual([]);
  });
});

describe.each(ROLES)('an end, server: $server', ({ server }) => {
  it('reads what came with the upgrade, in a later task, and what follows', async () => {
    const [network, peer] = await socketPair();
    const { socket, listener } = connection(server);
    const stream = encodeAll([text('one'), text('two'), text('three')], server);
    socket.attach(network, stream.subarray(0, 13));
    peer.write(stream.subarray(13));
    expect(listener.told).toEqual([]);
    await listener.until(() => listener.texts.length === 3);
    expect(listener.texts).toEqual(['one', 'two', 'three']);
    socket.terminate();
    peer.destroy();
  });

  it('masks exactly when it is a client', async () => {
    const { socket, network } = faked(server);
    socket.send('text');
    socket.send(content(3));
    socket.sendInPlace(content(100).subarray(FRAME_HEADROOM));
    socket.ping();
    socket.close(1000);
    await turn();
    expect(network.writes).toHaveLength(5);
    for (const write of network.writes) expect(write[1]! >> 7).toBe(server ? 0 : 1);
  });

  it('takes as large messages as it is told to', async () => {
    const { socket, say, listener } = faked(server);
    socket.maxPayload = 10;
    await say(text('0123456789'));
    socket.maxPayload = 11;
    await say(text('0123456789a'));
    await say(text('0123456789ab'));
    expect(listener.texts).toHaveLength(2);
    expect(listener.told).toEqual(['text', 'text']);
  });
});

describe('a ping', () => {
  it.each(ROLES)('is answered with what is in it, server: $server', async ({ server }) => {
    const { say, network } = faked(server);
    for (const length of [0, 1, 125]) {
      await say(ping(content(length)));
      const written = network.writes.at(-1)!;
      // A client draws a key.
      const key = server ? undefined : written.subarray(2, 6);
      expect(encode({ ...pong(content(length)), key }).equals(written)).toBe(true);
    }
    expect(network.writes).toHaveLength(3);
  });

  it('between the fragments of a message is answered before that is whole', async () => {
    const { say, network, listener } = faked();
    await say({ ...text('one '), fin: false }, ping(content(5)));
    expect(network.writes).toHaveLength(1);
    await say({ opcode: Opcode.CONTINUATION, payload: Buffer.from('two') });
    expect(listener.texts).toEqual(['one two']);
  });

  it('of ours is answered by the other end, and a pong is no message', async () => {
    const { server, client } = await ends();
    server.socket.ping();
    await once(server.network, 'data');
    expect(server.listener.arrivedBytes).toBe(6);
    expect(client.listener.arrivedBytes).toBe(2);
    expect([...server.listener.told, ...client.listener.told]).toEqual([]);
  });

  it('that comes while much waits is answered later, and of several the last', async () => {
    const { say, network, socket } = faked();
    network.stuck = true;
    socket.send(content(20_000));
    const waiting = socket.bufferedAmount;
    for (let i = 0; i < 100; i++) await say(ping(content(125, i)));
    expect(socket.bufferedAmount).toBe(waiting);
    network.drain();
    await turn();
    const last = encode(pong(content(125, 99)));
    expect(network.bytes.subarray(waiting).equals(last)).toBe(true);
    // Once, and as ever from now on.
    await say(ping(content(1)));
    expect(network.bytes.subarray(waiting + last.length).equals(encode(pong(content(1))))).toBe(true);
  });

  it('is answered also by an end that always has much to send', async () => {
    const { say, network, socket, listener } = faked();
    network.stuck = true;
    listener.drained = () => {
      socket.send(content(20_000));
    };
    socket.send(content(20_000));
    socket.send(content(20_000));
    await say(ping(content(5)));
    for (let i = 0; i < 4; i++) {
      network.step();
      await turn();
      expect(socket.bufferedAmount).toBeGreaterThan(20_000);
    }
    expect(network.bytes.includes(encode(pong(content(5))))).toBe(true);
  });

  it('that floods an end whose answers nobody reads takes bounded memory, and ends the connection', async () => {
    const { say, network, socket, listener } = faked();
    network.stuck = true;
    for (let i = 0; i < 5_000 && !socket.isClosed; i += 50) {
      await say(...Array.from({ length: 50 }, (_, j) => ping(content(125, i + j))));
      expect(socket.bufferedAmount).toBeLessThan(17_000);
    }
    const { code, detail } = await listener.end();
    expect(code).toBe(1006);
    expect(detail).toMatch(/pings/);
  });

  it('is not answered by an end that has closed', async () => {
    const { say, network, socket } = faked();
    network.stuck = true;
    socket.send(content(20_000));
    await say(ping(content(125)));
    socket.close(4000);
    network.drain();
    await turn();
    await say(ping(content(125)));
    const last = encode(close(4000));
    expect(network.bytes.subarray(-last.length).equals(last)).toBe(true);
  });
});

describe('what waits', () => {
  it('is counted, and told when it has gone', async () => {
    const { network, socket, listener } = faked();
    network.stuck = true;
    expect(socket.bufferedAmount).toBe(0);
    socket.send(content(1_000));
    socket.send('text');
    expect(socket.bufferedAmount).toBe(1_004 + 6);
    await turn();
    expect(listener.events).toEqual([]);
    let left: number | undefined;
    listener.drained = () => {
      left = socket.bufferedAmount;
    };
    network.drain();
    await turn();
    expect(left).toBe(0);
  });

  it('leaves in one write when it is held back, which is told once', async () => {
    const { network, socket, listener } = faked();
    socket.cork();
    for (let i = 0; i < 10; i++) socket.send(content(100));
    expect(network.writes).toEqual([]);
    expect(socket.bufferedAmount).toBe(1_020);
    socket.uncork();
    expect(network.writes).toHaveLength(1);
    await turn();
    expect(listener.events).toEqual(['drained']);
  });

  it('goes before a close, also when it is held back', async () => {
    const { network, socket, say, listener, heard } = faked();
    socket.cork();
    socket.send('held');
    await say(close(1000));
    network.push(null);
    await listener.end();
    expect((await heard()).events).toEqual([`text ${show(Buffer.from('held'))}`, 'close 1000 ']);
  });

  it('is told by nothing any more once the connection is closed', async () => {
    const { network, socket, listener } = faked();
    network.stuck = true;
    socket.send('lost');
    socket.terminate();
    await listener.end();
    expect(socket.bufferedAmount).toBe(0);
    await turn();
    expect(listener.events).toEqual(['closed']);
  });
});

describe('pause and resume', () => {
  it('stop the reading and go on with it', async () => {
    const { socket, say, listener } = faked();
    await say(text('one'));
    socket.pause();
    await say(text('two'));
    await say(text('three'));
    expect(listener.texts).toEqual(['one']);
    socket.resume();
    await turn();
    expect(listener.texts).toEqual(['one', 'two', 'three']);
  });
});

describe('memory of what is sent in place', () => {
  it('goes back to its pool when it is written, and not before', async () => {
    const { network, socket, memory } = faked();
    network.stuck = true;
    socket.sendInPlace(roomy(memory, content(70_000)));
    await turn();
    expect(memory.bytes).toBe(0);
    network.drain();
    await turn();
    expect(memory.bytes).toBeGreaterThan(70_000);
    expect(memory.bytes).toBeLessThan(140_000);
  });

  it('does not go back when it could not be written', async () => {
    const { network, socket, memory, listener } = faked();
    network.failure = new Error('cable cut');
    socket.sendInPlace(roomy(memory, content(70_000)));
    expect(await listener.end()).toMatchObject({ code: 1006, detail: 'cable cut' });
    expect(memory.bytes).toBe(0);
  });

  it('does not go back when the connection is terminated before', async () => {
    const { network, socket, memory, listener } = faked();
    network.stuck = true;
    socket.sendInPlace(roomy(memory, content(70_000)));
    socket.sendInPlace(roomy(memory, content(70_000)));
    socket.terminate();
    await listener.end();
    await turn();
    expect(memory.bytes).toBe(0);
  });

  it('does not go to the pool when it is a chunk that was read', async () => {
    const { network, socket, memory, say, listener, heard } = faked();
    listener.binary = data => {
      socket.sendInPlace(data);
    };
    await say(binary(content(70_000)));
    expect(network.bytes).toHaveLength(70_010);
    expect((await heard()).events).toEqual([`binary ${show(content(70_000))}`]);
    await turn();
    expect(memory.bytes).toBe(0);
  });

  it('goes back when what was put together from chunks is sent on', async () => {
    const { network, socket, memory, listener, heard } = faked();
    listener.binary = data => {
      socket.sendInPlace(data);
    };
    const stream = encodeAll([binary(content(70_000))], true);
    for (let at = 0; at < stream.length; at += 20_000)
      network.push(Buffer.from(stream.subarray(at, at + 20_000)));
    await turn();
    expect((await heard()).events).toEqual([`binary ${show(content(70_000))}`]);
    expect(memory.bytes).toBeGreaterThan(70_000);
  });

  it('is used again only for messages that follow', async () => {
    const { server, client } = await ends();
    const COUNT = 100;
    for (let i = 0; i < COUNT; i++) {
      client.socket.sendInPlace(roomy(client.memory, content(50_000 + i)));
      if (i % 10 === 9) await once(server.network, 'data');
    }
    await server.listener.until(() => server.listener.binaries.length === COUNT);
    expect(server.listener.binaries.map(show)).toEqual(
      Array.from({ length: COUNT }, (_, i) => show(content(50_000 + i))),
    );
  });
});
