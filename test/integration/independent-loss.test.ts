/** Records that get lost between the library and the implementation that was made from docs/protocol.md. */
import { describe, expect, it } from 'vitest';
import { isData, type Item, OPCODE, type WireRecord } from '../support/independent/wire.js';
import type { IndependentClient } from '../support/independent-client.js';
import {
  connect,
  dial,
  dialledBy,
  nextMessage,
  opened,
  relay,
  serve,
  useRelay,
} from '../support/independent-scene.js';

useRelay();

const has = (record: WireRecord, name: keyof typeof OPCODE): boolean =>
  record.items.some(({ opcode }) => opcode === OPCODE[name]);

/** Loses the first record in one direction that `is` says true of, and counts how often it comes. */
function loseFirst(
  client: IndependentClient,
  direction: 'in' | 'out',
  is: (record: WireRecord) => boolean,
): { readonly count: number } {
  const seen = { count: 0 };
  client.loses = (its, record) => its === direction && is(record) && seen.count++ === 0;
  return seen;
}

describe.each(['direct', 'relayed'] as const)('what gets lost, %s', where => {
  it.each([
    ['OPEN_ACCEPT', 'in'],
    ['CLOSE', 'in'],
    ['CLOSE', 'out'],
  ] as const)('%s is sent again (%s)', async (name, direction) => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    const seen = loseFirst(client, direction, record => has(record, name));
    expect(await channel.opened).toBe('b');
    channel.message('hello');
    expect(String((await channel.messages.next()).data)).toBe('hello');
    const { closed } = await service.connections.next();
    channel.close(3000, 'bye');
    expect(await channel.ended).toEqual({ how: 'closed', code: 3000, reason: 'bye' });
    expect(await closed).toEqual([3000, 'bye']);
    expect(seen.count).toBeGreaterThan(1);
  });

  it('what is missing in the middle is reported, and sent again', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    await channel.opened;
    const { reliability } = channel;
    for (const direction of ['out', 'in'] as const) {
      loseFirst(client, direction, ({ items }) => items.some(isData));
      const before = { ...reliability.seen };
      for (const text of ['one', 'two', 'three']) channel.message(text);
      const received = await channel.messages.take(3);
      expect(received.map(({ data }) => String(data))).toEqual(['one', 'two', 'three']);
      if (direction === 'out') expect(reliability.seen.rewinds).toBeGreaterThan(before.rewinds);
    }
    expect(channel.messages.pending).toEqual([]);
  });

  it.each(['out', 'in'] as const)('what is missing at the end is asked after (%s)', async direction => {
    const service = await serve(where);
    const { client, channel } = await dial(service);
    await channel.opened;
    const seen = loseFirst(client, direction, ({ items }) => items.some(isData));
    channel.message('the only one');
    expect(String((await channel.messages.next()).data)).toBe('the only one');
    expect(seen.count).toBe(2);
    if (direction === 'out') expect(channel.reliability.seen.questions).toBeGreaterThan(0);
  });

  it('every fifth record, both ways', async () => {
    const service = await serve(where);
    const { client, channel } = await dial(service, { window: 20_000 });
    await channel.opened;
    const counts = { in: 0, out: 0 };
    client.loses = direction => ++counts[direction] % 5 === 0;
    const sent = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(index * 40)}`);
    for (const text of sent) channel.message(text);
    const received = await channel.messages.take(sent.length);
    expect(received.map(({ data }) => String(data))).toEqual(sent);
    channel.close(1000);
    expect(await channel.ended).toMatchObject({ how: 'closed', code: 1000 });
    expect(channel.seen.credit + channel.reliability.seen.gaps).toBeGreaterThan(0);
  });
});

describe('what gets lost', () => {
  it('OPEN is sent again, by either end', async () => {
    const service = await serve('relayed');
    const first = await dial(service);
    await first.channel.opened;
    const own = loseFirst(first.client, 'out', record => has(record, 'OPEN'));
    const channel = first.client.openAnother(service.key, { target: '/', protocols: [] });
    expect(await channel.opened).toBe('');
    expect(own.count).toBe(2);

    const client = await connect(relay.url);
    await client.listen();
    const theirs = loseFirst(client, 'in', record => has(record, 'OPEN'));
    const { socket } = dialledBy(`${relay.url}/${client.address}`);
    const open = opened(socket);
    const incoming = await client.incoming.next();
    incoming.accept('');
    await open;
    expect(theirs.count).toBe(2);
    const message = nextMessage(socket);
    incoming.message('there');
    expect(String((await message).data)).toBe('there');
  });

  it('OPEN that was sent in two generations of keys: the answer says which of them counts', async () => {
    const service = await serve('relayed');
    const first = await dial(service);
    await first.channel.opened;
    const lost = loseFirst(first.client, 'out', record => has(record, 'OPEN'));
    const channel = first.client.openAnother(service.key, { target: '/', protocols: [], resume: true });
    await first.client.renew(service.key);
    await channel.opened;
    expect(lost.count).toBe(2);
    // The lineage is that of the second, or the channel could not be resumed.
    first.client.suspend(service.key);
    expect(await channel.changes.next()).toBe('suspended');
    await first.client.resume(channel, service.key);
    expect(await channel.changes.next()).toBe('resumed');
    channel.message('go on');
    expect(String((await channel.messages.next()).data)).toBe('go on');
  });

  it('the end hears once more that its CLOSE has arrived', async () => {
    const service = await serve('relayed');
    const { client, channel } = await dial(service);
    await channel.opened;
    const { socket, closed } = await service.connections.next();
    // The library has our CLOSE, and its last word gets lost.
    let hasClosed = false;
    const lost = loseFirst(client, 'in', ({ items }) => hasClosed && items.length === 0);
    const lose = client.loses;
    client.loses = (direction, record) => {
      hasClosed ||= direction === 'out' && has(record, 'CLOSE');
      return lose(direction, record);
    };
    socket.close(4000, 'enough');
    expect(await closed).toEqual([4000, 'enough']);
    expect(await channel.ended).toEqual({ how: 'closed', code: 4000, reason: 'enough' });
    expect(lost.count).toBeGreaterThan(1);
    expect(channel.reliability.seen.questions).toBeGreaterThan(0);
  });

  it('a refusal is said again', async () => {
    const client = await connect(relay.url);
    await client.listen();
    const other = await connect(relay.url);
    const refusals = loseFirst(other, 'in', record => has(record, 'OPEN_REFUSE'));
    const channel = await other.dial(client.address, { target: '/', protocols: [] });
    (await client.incoming.next()).refuse(403, 'not you');
    expect(await channel.ended).toMatchObject({ how: 'refused', code: 403 });
    expect(refusals.count).toBe(2);
  });

  it('a question about a channel that is not there is answered with RESET', async () => {
    const service = await serve('relayed');
    const { client, channel } = await dial(service);
    await channel.opened;
    const { socket } = await service.connections.next();
    client.loses = direction => direction === 'in';
    socket.terminate();
    channel.message('is anybody there?');
    await new Promise(resolve => setTimeout(resolve, 50));
    client.loses = () => false;
    expect(await channel.ended).toEqual({ how: 'reset', reason: 'CHANNEL_RESET' });
    const items: readonly Item[] = channel.reliability.kept;
    expect(items.filter(isData).map(({ payload }) => String(payload))).toEqual(['is anybody there?']);
  });
});
