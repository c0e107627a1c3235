/** Channels that outlive their sessions and links, between the library and the implementation made from docs/protocol.md. */
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { SecureWebSocketReconnectedEvent } from '../../src/socket/events.js';
import type { Forge, IndependentChannel, Message } from '../support/independent/channel.js';
import { isData, OPCODE } from '../support/independent/wire.js';
import type { IndependentClient } from '../support/independent-client.js';
import type { IndependentClientOptions } from '../support/independent-client.js';
import {
  connect,
  dial,
  dialledBy,
  OFFER,
  opened,
  relay,
  serve,
  type Service,
  useRelay,
} from '../support/independent-scene.js';

useRelay();

const RESUMABLE = { ...OFFER, resume: true };
const text = ({ data }: Message): string => String(data);

/** The same end on a new link, with the connection id that it had. */
async function comeBack(
  client: IndependentClient,
  url: string,
  options: IndependentClientOptions = {},
): Promise<IndependentClient> {
  client.terminate();
  await client.ended;
  const { seed } = client.keys;
  return connect(url, { seed, connectionId: client.registered.connectionId, ...options });
}

async function resume(
  client: IndependentClient,
  channel: IndependentChannel,
  service: Service,
  forge?: Forge,
): Promise<void> {
  if (client.registered.serverKey.toString('hex') === service.key) client.resumeDirect(channel, forge);
  else await client.resume(channel, service.key, forge);
}

describe.each(['direct', 'relayed'] as const)('as the opener, %s', where => {
  it('goes on over a new link, any number of times', async () => {
    const service = await serve(where);
    const { client: first, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    let client = first;
    expect(channel.resumeWindow).toBe(120_000);
    const { socket, closed } = await service.connections.next();
    for (let round = 0; round < 4; round++) {
      // Lost on the way there, and on the way back.
      const lost = round % 2 === 0 ? 'out' : 'in';
      client.loses = (direction, { items }) => direction === lost && items.some(isData);
      channel.message(`${round} a`);
      if (lost === 'in') await once(socket, 'message');
      client.loses = direction => direction === 'in';
      const suspended = once(socket, 'suspended');
      client = await comeBack(client, service.url);
      expect(await channel.changes.next()).toBe('suspended');
      await suspended;
      channel.message(`${round} b`);
      socket.send(`${round} from there`);
      await resume(client, channel, service);
      expect(await channel.changes.next()).toBe('resumed');
      const received = (await channel.messages.take(3)).map(text);
      expect(received.filter(it => it.endsWith('there'))).toEqual([`${round} from there`]);
      expect(received.filter(it => !it.endsWith('there'))).toEqual([`${round} a`, `${round} b`]);
    }
    channel.close(1000, 'enough');
    expect(await channel.ended).toEqual({ how: 'closed', code: 1000, reason: 'enough' });
    expect(await closed).toEqual([1000, 'enough']);
    expect(channel.messages.pending).toEqual([]);
    expect(service.connections.pending).toEqual([]);
  });

  it('goes on before the other end has noticed anything', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    const { socket } = await service.connections.next();
    // Nothing more is heard of the first link, which stays.
    client.loses = () => true;
    const options = { seed: client.keys.seed };
    channel.message('one');
    channel.lost();
    const again = await connect(service.url, options);
    await resume(again, channel, service);
    expect(text(await channel.messages.next())).toBe('one');
    socket.send('two');
    expect(text(await channel.messages.next())).toBe('two');
  });

  it('goes on when the other end has given up the session', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    channel.message('one');
    expect(text(await channel.messages.next())).toBe('one');
    client.garble(service.key);
    expect(await channel.changes.next()).toBe('suspended');
    expect(channel.seen.resets).toBe(1);
    const again = where === 'direct' ? await comeBack(client, service.url) : client;
    await resume(again, channel, service);
    expect(await channel.changes.next()).toBe('resumed');
    channel.message('two');
    expect(text(await channel.messages.next())).toBe('two');
  });

  it('ends what it had begun to end', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    const { closed } = await service.connections.next();
    client.loses = direction => direction === 'in';
    channel.message('last');
    channel.close(3001, 'bye');
    const again = await comeBack(client, service.url);
    await resume(again, channel, service);
    expect(await channel.ended).toEqual({ how: 'closed', code: 3001, reason: 'bye' });
    expect(await closed).toEqual([3001, 'bye']);
    expect(text(await channel.messages.next())).toBe('last');
  });

  it('hears that the channel has ended well meanwhile', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    const { socket, closed } = await service.connections.next();
    let isOver = false;
    client.loses = (direction, { items }) => {
      if (direction === 'out' && items.some(({ opcode }) => opcode === OPCODE.CLOSE)) isOver = true;
      return direction === 'in' && isOver;
    };
    socket.close(4001, 'over');
    expect(await closed).toEqual([4001, 'over']);
    const again = await comeBack(client, service.url);
    await resume(again, channel, service);
    expect(await channel.ended).toEqual({ how: 'closed', code: 4001, reason: 'over' });
  });

  it.each([
    ['a wrong proof', (payload: Buffer) => Buffer.concat([payload.subarray(0, -1), randomBytes(1)])],
    ['the proof of the other role', (_own: Buffer, others: Buffer) => others],
    ['a channel that is not there', () => randomBytes(48)],
    ['no payload', () => Buffer.alloc(0)],
  ])('is refused with %s', async (_what, forge) => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    const { socket } = await service.connections.next();
    const again = await comeBack(client, service.url);
    await resume(again, channel, service, forge);
    expect(await channel.ended).toEqual({ how: 'reset', reason: 'CHANNEL_LOST' });
    // Whoever it belongs to may still come back.
    expect(socket.readyState).toBe(socket.OPEN);
  });

  it('is refused with a proof that was made for an earlier session', async () => {
    const service = await serve(where);
    const { client: first, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    let client = first;
    let seen: Buffer | undefined;
    client = await comeBack(client, service.url);
    await resume(client, channel, service, own => (seen = own));
    channel.message('one');
    expect(text(await channel.messages.next())).toBe('one');
    client = await comeBack(client, service.url);
    await resume(client, channel, service, () => seen!);
    expect(await channel.ended).toEqual({ how: 'reset', reason: 'CHANNEL_LOST' });
  });

  it('is refused with the secret of the channel and another key', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, {}, RESUMABLE);
    await channel.opened;
    const { socket } = await service.connections.next();
    const thief = await comeBack(client, service.url, { seed: randomBytes(32) });
    await resume(thief, channel, service);
    expect(await channel.ended).toEqual({ how: 'reset', reason: 'CHANNEL_LOST' });
    expect(socket.readyState).toBe(socket.OPEN);
  });

  it('is not kept without asking for it', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    await channel.opened;
    expect(channel.resumeWindow).toBe(0);
    const { closed } = await service.connections.next();
    client.terminate();
    expect(await channel.ended).toEqual({ how: 'lost' });
    expect((await closed)[0]).toBe(1006);
  });
});

interface Dialled {
  readonly client: IndependentClient;
  readonly channel: IndependentChannel;
  readonly socket: ClientSecureWebSocket;
  readonly received: string[];
  readonly reconnected: Promise<SecureWebSocketReconnectedEvent>;
  readonly closed: ReturnType<typeof dialledBy>['closed'];
  readonly failed: Promise<string>;
}

/** A socket of the library that reconnects, and is open with an end made from the document. */
async function dialled(): Promise<Dialled> {
  const client = await connect(relay.url);
  await client.listen();
  const url = `${relay.url}/${client.address}`;
  const { socket, closed } = dialledBy(url, [], Identity.generate(), {
    reconnect: { minDelay: 20, maxDelay: 100 },
  });
  const received: string[] = [];
  socket.addEventListener('message', ({ data }) => received.push(String(data)));
  const reconnected = new Promise<SecureWebSocketReconnectedEvent>(resolve => {
    socket.addEventListener('reconnected', resolve);
  });
  const failed = new Promise<string>(resolve => {
    socket.addEventListener('error', event => {
      resolve(event.error.code);
    });
  });
  const open = opened(socket);
  open.catch(() => undefined);
  const channel = await client.incoming.next();
  channel.accept('', 60_000);
  await open;
  return { client, channel, socket, received, reconnected, closed, failed };
}

describe('as the acceptor', () => {
  it('is resumed over a new link', async () => {
    const { client, channel, socket, received, reconnected, closed } = await dialled();
    expect(channel.offer?.resume).toBe(true);
    socket.send('one');
    expect(text(await channel.messages.next())).toBe('one');
    // Neither arrives.
    client.loses = () => true;
    socket.send('two');
    channel.message('and back');
    const again = await comeBack(client, relay.url, { resumables: client.resumables });
    expect(again.registered.connectionId).toBe(client.registered.connectionId);
    socket.send('three');
    await again.listen();
    expect((await reconnected).resumed).toBe(true);
    expect((await channel.messages.take(2)).map(text)).toEqual(['two', 'three']);
    channel.message('go on');
    await expect.poll(() => received).toEqual(['and back', 'go on']);
    socket.close(1000, 'done');
    expect(await channel.ended).toEqual({ how: 'closed', code: 1000, reason: 'done' });
    expect(await closed).toMatchObject({ code: 1000, wasClean: true, unacknowledged: [] });
    expect(again.incoming.pending).toEqual([]);
  });

  it('is resumed when it has another connection id than before', async () => {
    const { client, channel, socket, received, reconnected } = await dialled();
    client.terminate();
    await client.ended;
    const again = await connect(relay.url, { seed: client.keys.seed, resumables: client.resumables });
    expect(again.registered.connectionId).not.toBe(client.registered.connectionId);
    await again.listen();
    expect((await reconnected).resumed).toBe(true);
    socket.send('here');
    expect(text(await channel.messages.next())).toBe('here');
    channel.message('there');
    await expect.poll(() => received).toEqual(['there']);
  });

  it('is resumed after it has given up the session', async () => {
    const { client, channel, socket, reconnected } = await dialled();
    client.suspend(socket.publicKey);
    socket.send('one');
    expect((await reconnected).resumed).toBe(true);
    expect(text(await channel.messages.next())).toBe('one');
  });

  it('does not get through with an answer that proves nothing', async () => {
    const { client, channel, failed, closed, socket } = await dialled();
    client.forge = payload => Buffer.concat([payload.subarray(0, 16), randomBytes(32)]);
    socket.send('kept back');
    client.suspend(socket.publicKey);
    expect(await failed).toBe('PROTOCOL_VIOLATION');
    const { code, wasClean, unacknowledged } = await closed;
    expect([code, wasClean, unacknowledged]).toEqual([1006, false, ['kept back']]);
    expect(await channel.ended).toEqual({ how: 'reset', reason: 'PROTOCOL_VIOLATION' });
  });

  it('that is another process gets nothing of what was sent before', async () => {
    const { client, socket, failed, closed } = await dialled();
    client.loses = () => true;
    socket.send('for nobody else');
    const again = await comeBack(client, relay.url);
    await again.listen();
    expect(await failed).toBe('CHANNEL_LOST');
    const { code, wasClean, unacknowledged } = await closed;
    expect([code, wasClean, unacknowledged]).toEqual([1006, false, ['for nobody else']]);
    expect(again.incoming.pending).toEqual([]);
  });
});

it('both ends come from the document', async () => {
  const [a, b] = [await connect(relay.url), await connect(relay.url)];
  await b.listen();
  const channel = await a.dial(b.address, RESUMABLE);
  const incoming = await b.incoming.next();
  incoming.accept('a', 60_000);
  await channel.opened;
  a.loses = () => true;
  channel.message('there');
  incoming.message('and back');
  const [again, there] = [
    await comeBack(a, relay.url),
    await comeBack(b, relay.url, { resumables: b.resumables }),
  ];
  await there.listen();
  await again.resume(channel, b.address);
  expect(text(await incoming.messages.next())).toBe('there');
  expect(text(await channel.messages.next())).toBe('and back');
});
