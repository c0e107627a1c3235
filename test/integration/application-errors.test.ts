import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { anyServer } from '../support/attacked.js';
import type { EventQueue } from '../support/event-queue.js';
import { SocketLog } from '../support/socket-log.js';
import { catchUncaught } from '../support/uncaught.js';
import { directVictim, relayedVictim, type Victim } from '../support/victims.js';

// What a listener throws is an uncaught exception, as with `ws`. Where the application catches those, as many servers
// do, everything else has to go on.

let errors: EventQueue<unknown>;
const cleanUp: (() => unknown)[] = [];

beforeEach(() => {
  const caught = catchUncaught();
  errors = caught.errors;
  cleanUp.push(() => {
    caught.restore();
  });
});

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  expect(errors.pending).toEqual([]);
});

const identity = Identity.generate();

/** Sockets to the same service over the same link, where there is a relay. */
function dial(victim: Victim, path = '/'): { socket: ClientSecureWebSocket; log: SocketLog } {
  const { service, url, relay } = victim;
  const location = relay ? `${url}/${service.publicKey ?? ''}` : url;
  const socket = new ClientSecureWebSocket(location + path, [], { identity, trustStore: anyServer });
  return { socket, log: SocketLog.ofClient(socket) };
}

describe.each([
  ['a service that is dialled itself', directVictim],
  ['a service behind a relay', relayedVictim],
])('%s: an exception of a listener', (_, start) => {
  let victim: Victim;

  beforeEach(async () => {
    victim = await start();
    cleanUp.push(() => victim.close());
  });

  it('for message, ping, close or error of one socket harms no other, and not that one', async () => {
    const { socket, log } = dial(victim, '/mine');
    const bystander = dial(victim, '/other');
    await Promise.all([log.opened, bystander.log.opened]);
    const services = await victim.connections.take(2);
    const mine = services.find(service => service.socket.url === '/mine')!;
    mine.socket.prependListener('message', () => {
      throw new Error('message');
    });
    mine.socket.prependListener('close', () => {
      throw new Error('close');
    });
    for (const text of ['one', 'two']) {
      socket.send(text);
      expect(await errors.next()).toMatchObject({ message: 'message' });
    }
    await victim.serves();
    // It goes on, though the listeners behind the one that threw are not called, as with any emitter.
    for (const service of services) service.socket.send('hello');
    expect(await log.messages.next()).toBe('hello');
    expect(await bystander.log.messages.next()).toBe('hello');
    socket.close(1000);
    expect(await errors.next()).toMatchObject({ message: 'close' });
    expect(await log.closed).toEqual(['open', 'message hello', 'close 1000 clean']);
    bystander.socket.close(1000);
    expect((await bystander.log.closed).at(-1)).toBe('close 1000 clean');
    await victim.serves();
  });

  it('for connection harms no other, and not that connection', async () => {
    victim.service.prependOnceListener('connection', socket => {
      socket.on('message', data => {
        socket.send((data as Buffer).toString());
      });
      throw new Error('connection');
    });
    const { socket, log } = dial(victim);
    await log.opened;
    expect(await errors.next()).toMatchObject({ message: 'connection' });
    socket.send('hello');
    expect(await log.messages.next()).toBe('hello');
    await victim.serves();
    socket.close();
  });

  it('of a client harms no other socket on its link, and not that one', async () => {
    const [one, two] = [dial(victim), dial(victim)];
    await Promise.all([one.log.opened, two.log.opened]);
    const services = await victim.connections.take(2);
    for (const type of ['message', 'close'] as const) {
      one.socket.addEventListener(type, () => {
        throw new Error(type);
      });
    }
    for (const text of ['first', 'second']) {
      for (const { socket } of services) socket.send(text);
      expect(await one.log.messages.next()).toBe(text);
      expect(await two.log.messages.next()).toBe(text);
      expect(await errors.next()).toMatchObject({ message: 'message' });
    }
    one.socket.close(1000);
    expect(await errors.next()).toMatchObject({ message: 'close' });
    expect((await one.log.closed).at(-1)).toBe('close 1000 clean');
    two.socket.send('still here');
    await Promise.race(services.map(({ log }) => log.messages.next()));
    two.socket.close(1000);
    expect((await two.log.closed).at(-1)).toBe('close 1000 clean');
  });
});
