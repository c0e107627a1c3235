// Who sends to a room and who is sent to, with a network of their own, in this process.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { RoomAdapter } from '../../../bench/adapters/index.js';
import { RoomCrowd } from '../../../bench/clients/room-crowd.js';
import { RoomSender } from '../../../bench/clients/room-sender.js';
import { countUpload, uploaded } from '../../../bench/upload.js';

/** How long a message is waited for, milliseconds: where all arrive, and where one does not. */
const TIME_LIMIT = 20_000;
const SHORT = 50;

/** Gives each member a copy in a later task; `copies` says how many, by the number of the delivery. */
function adapterThat({ copies = () => 1 }: { copies?: (delivery: number) => number } = {}): RoomAdapter {
  const members: ((data: Uint8Array) => void)[] = [];
  let delivery = 0;
  return {
    startRelay: () => Promise.resolve({ url: '' }),
    createIdentity: () => undefined,
    openRoom: () =>
      Promise.resolve({
        room: 'room',
        send: data => {
          for (const member of members) {
            for (let left = copies(delivery++); left > 0; left--) setImmediate(() => member(data));
          }
        },
        hasMembers: () => Promise.resolve(),
      }),
    enterRoom: (_url, _identity, room, onMessage) => {
      expect(room).toBe('room');
      members.push(onMessage);
      return Promise.resolve();
    },
  };
}

async function roomOf(
  adapter: RoomAdapter,
  timeLimit: number,
): Promise<{
  readonly enter: (count: number) => Promise<void>;
  readonly exchange: (from: number, count: number) => Promise<void>;
}> {
  const sender = await RoomSender.start(adapter, '');
  const crowd = new RoomCrowd(adapter, '', timeLimit);
  return {
    enter: async count => {
      await crowd.prepare(count);
      await crowd.enter(sender.room);
    },
    exchange: async (from, count) => {
      const lot = { size: 64, from, count };
      crowd.expect(lot);
      await sender.send(lot);
      await crowd.arrived();
    },
  };
}

describe('a room', () => {
  it('is one in which all have every message, whenever they entered', async () => {
    const { enter, exchange } = await roomOf(adapterThat(), TIME_LIMIT);
    await exchange(0, 3);
    await enter(5);
    await exchange(3, 7);
    await enter(20);
    await exchange(10, 7);
  });

  it.each([0, 11, 29])('fails when delivery %d is lost', async lost => {
    const { enter, exchange } = await roomOf(
      adapterThat({ copies: delivery => (delivery === lost ? 0 : 1) }),
      SHORT,
    );
    await enter(10);
    await expect(exchange(0, 3)).rejects.toThrow(/did not arrive|not the next/);
  });

  it.each([0, 11])('fails when delivery %d comes twice', async twice => {
    const { enter, exchange } = await roomOf(
      adapterThat({ copies: delivery => (delivery === twice ? 2 : 1) }),
      TIME_LIMIT,
    );
    await enter(10);
    await expect(exchange(0, 3)).rejects.toThrow(/not the next/);
  });

  it('fails when the last message comes twice', async () => {
    const { enter, exchange } = await roomOf(
      adapterThat({ copies: delivery => (delivery === 29 ? 2 : 1) }),
      TIME_LIMIT,
    );
    await enter(10);
    await exchange(0, 3).catch(() => {});
    await expect(exchange(3, 1)).rejects.toThrow(/41 messages have arrived, and 40 were sent/);
  });
});

it('upload is what was written to connections, those that are closed included', async () => {
  countUpload();
  const before = uploaded();
  const server = createServer(socket => socket.resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (let i = 0; i < 2; i++) {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(new Uint8Array(1_000));
    expect(uploaded() - before).toBe(1_000 * (i + 1));
    socket.end();
    await once(socket, 'close');
    expect(uploaded() - before).toBe(1_000 * (i + 1));
  }
  server.close();
  await once(server, 'close');
});
