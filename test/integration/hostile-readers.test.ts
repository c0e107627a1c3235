import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_MAX_FRAME, RECEIVE_WINDOW } from '../../src/core/constants.js';
import { Identity } from '../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { anyServer, type LoggedServer } from '../support/attacked.js';
import { SocketLog } from '../support/socket-log.js';
import { relayedVictim, type Victim } from '../support/victims.js';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

interface Ends {
  readonly client: ClientSecureWebSocket;
  readonly log: SocketLog;
  readonly service: LoggedServer;
}

/** So many channels of one client and one service, over one link each. */
async function channels(victim: Victim, count: number): Promise<Ends[]> {
  const identity = await Identity.generate();
  const ends: Ends[] = [];
  for (let i = 0; i < count; i++) {
    const url = `${victim.url}/${victim.service.publicKey ?? ''}`;
    const client = new ClientSecureWebSocket(url, [], { identity, trustStore: anyServer });
    cleanUp.push(() => {
      client.close();
    });
    const log = SocketLog.ofClient(client);
    await log.opened;
    ends.push({ client, log, service: await victim.connections.next() });
  }
  return ends;
}

async function victimWith(count: number): Promise<{ victim: Victim; ends: Ends[] }> {
  const victim = await relayedVictim();
  cleanUp.push(() => victim.close());
  const before = victim.sockets.size;
  const ends = await channels(victim, count);
  // They share a link.
  expect(victim.sockets.size).toBe(before + 1);
  return { victim, ends };
}

const PIECE = 65_536;
const PIECES = 320;
const piece = new Uint8Array(PIECE).fill(7);

/** Counts bytes as they come, in place of a log of them. */
function count(socket: LoggedServer['socket']): { bytes: number; done: Promise<void> } {
  const counted = { bytes: 0, done: Promise.resolve() };
  socket.removeAllListeners('message');
  counted.done = new Promise(resolve => {
    socket.on('message', data => {
      counted.bytes += (data as Buffer).length;
      if (counted.bytes === PIECES * PIECE) resolve();
    });
  });
  return counted;
}

describe('a service that does not read one channel of a link', { timeout: 30_000 }, () => {
  it('slows down who sends there, and nobody else; nothing piles up on the way, and nothing is lost', async () => {
    const { victim, ends } = await victimWith(2);
    const [slow, other] = ends as [Ends, Ends];
    const counted = count(slow.service.socket);
    slow.service.socket.pause();
    for (let i = 0; i < PIECES; i++) slow.client.send(piece);
    for (let i = 0; i < 100; i++) {
      other.client.send(`ping ${i}`);
      expect(await other.service.log.messages.next()).toBe(`ping ${i}`);
      other.service.socket.send(`pong ${i}`);
      expect(await other.log.messages.next()).toBe(`pong ${i}`);
      expect(victim.buffered()).toBeLessThan(RECEIVE_WINDOW + 4 * DEFAULT_MAX_FRAME);
      expect(victim.relay?.statistics.queuedBytes).toBeLessThan(RECEIVE_WINDOW + 4 * DEFAULT_MAX_FRAME);
    }
    await victim.serves();
    // What it has credit for has left; all else waits where it was sent.
    expect(slow.client.bufferedAmount).toBeGreaterThanOrEqual(PIECES * PIECE - RECEIVE_WINDOW);
    expect(counted.bytes).toBe(0);
    slow.service.socket.resume();
    await counted.done;
    expect(slow.client.bufferedAmount).toBe(0);
  });
});

describe('channels of one link', { timeout: 30_000 }, () => {
  it('have equal shares of it', async () => {
    const { ends } = await victimWith(3);
    const counts = ends.map(({ service }) => count(service.socket));
    for (const { client } of ends) for (let i = 0; i < PIECES; i++) client.send(piece);
    await Promise.race(counts.map(({ done }) => done));
    for (const { bytes } of counts) expect(bytes).toBeGreaterThan((PIECES * PIECE * 3) / 4);
    await Promise.all(counts.map(({ done }) => done));
  });

  it('wait little behind one that has much to say', async () => {
    const { ends } = await victimWith(2);
    const [bulk, other] = ends as [Ends, Ends];
    const counted = count(bulk.service.socket);
    for (let i = 0; i < PIECES; i++) bulk.client.send(piece);
    let rounds = 0;
    for (let before = counted.bytes; counted.bytes < PIECES * PIECE; before = counted.bytes) {
      other.client.send('a word');
      expect(await other.service.log.messages.next()).toBe('a word');
      other.service.socket.send('another');
      expect(await other.log.messages.next()).toBe('another');
      // What was in the sockets before it, one window each way at most.
      expect(counted.bytes - before).toBeLessThan(2 * RECEIVE_WINDOW + 4 * DEFAULT_MAX_FRAME);
      rounds++;
    }
    expect(rounds).toBeGreaterThan(3);
    await counted.done;
  });
});
