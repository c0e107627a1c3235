import { describe, expect, it } from 'vitest';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { type PlainClient, proxyScene } from '../support/proxy-scene.js';
import { outcome, relayScene } from '../support/relay-scene.js';

// Plain clients in a space, each through a proxy with an identity of its own, and one that uses the library.

const relays = relayScene();
const scene = proxyScene();

const FRAMED = 'secure-websocket.space.v1+json';

type Event = Readonly<Record<string, unknown>> & { readonly type: string };

/** The next event of a client that is not about keys. */
async function next(client: PlainClient): Promise<Event> {
  for (;;) {
    const event = JSON.parse(String(await client.next())) as Event;
    if (event.type !== 'keyswiped') return event;
  }
}

const member = (publicKey: unknown, isSelf = false): unknown =>
  expect.objectContaining({ publicKey, isSelf, admitted: true, away: false });

function say(client: PlainClient, message: object): void {
  client.socket.send(JSON.stringify({ type: 'message', ...message }));
}

describe('a space', () => {
  it('is joined by plain clients, who learn who is there and who says what', async () => {
    const relay = await relays.relay();
    const [one, two] = [await scene.proxy(['--relay', relay.url]), await scene.proxy(['--relay', relay.url])];
    const path = `/space/${encodeURIComponent('Küche')}`;
    const ann = scene.client(`${one.url}${path}`, [FRAMED]);
    expect(await ann.outcome).toBe('open');
    expect(ann.socket.protocol).toBe(FRAMED);
    const first = await next(ann);
    expect(first).toMatchObject({
      type: 'open',
      space: 'Küche',
      members: [member(first['publicKey'], true)],
    });

    const ben = scene.client(`${two.url}${path}`, [FRAMED]);
    const second = await next(ben);
    expect(second['members']).toHaveLength(2);
    expect(second['members']).toContainEqual(member(first['publicKey']));
    expect(await next(ann)).toMatchObject({ type: 'memberjoin', member: member(second['publicKey']) });

    say(ann, { data: 'hello' });
    const from = { from: first['publicKey'], member: first['id'] };
    expect(await next(ben)).toEqual({ type: 'message', ...from, data: 'hello' });
    say(ann, { base64: 'AP8=' });
    expect(await next(ben)).toEqual({ type: 'message', ...from, base64: 'AP8=' });
    ann.socket.send(Buffer.from([1, 2, 3]));
    expect(await next(ben)).toEqual({ type: 'message', ...from, base64: 'AQID' });

    // Who uses the library hears the same, and is heard.
    const cleo = await relays.client(`${relay.url}${path}`);
    expect(await outcome(cleo)).toBe('open');
    for (const each of [ann, ben])
      expect(await next(each)).toMatchObject({ type: 'memberjoin', member: member(cleo.publicKey) });
    cleo.send('from the library');
    for (const each of [ann, ben])
      expect(await next(each)).toMatchObject({
        type: 'message',
        from: cleo.publicKey,
        data: 'from the library',
      });

    ann.socket.send('{"type":"members"}');
    expect(((await next(ann))['members'] as unknown[]).length).toBe(3);
    ben.socket.close();
    expect(await next(ann)).toMatchObject({
      type: 'memberleave',
      member: { publicKey: second['publicKey'] },
      reason: 'left',
    });
    ann.socket.send('not JSON');
    expect(await ann.closed).toEqual({ code: 1007, reason: 'Message not understood: not JSON.' });
  });

  it('without the subprotocol: messages as they are', async () => {
    const relay = await relays.relay();
    const proxy = await scene.proxy(['--to', `${relay.url}/space/kitchen`]);
    const [one, two] = [scene.client(proxy.url), scene.client(proxy.url)];
    expect([await one.outcome, await two.outcome]).toEqual(['open', 'open']);
    one.socket.send('hello');
    expect(await two.next()).toBe('hello');
    two.socket.send(Buffer.from([1, 2]));
    expect(await one.next()).toEqual(Buffer.from([1, 2]));
    expect(await scene.client(`${proxy.url}/path`).outcome).toBe(404);
  });

  it('where the relay has none: refused', async () => {
    const relay = await relays.relay({ spaces: false });
    const proxy = await scene.proxy(['--to', `${relay.url}/space/kitchen`]);
    const client = scene.client(proxy.url, [FRAMED]);
    expect(await client.outcome).toBe(403);
    expect(await client.refusal).toMatch(/^SPACE_/);
  });

  it('an outage is told, and what was said meanwhile arrives', async () => {
    const faulty = await FaultyProxy.start(1);
    relays.after(() => faulty.close());
    const url = `ws://127.0.0.1:${faulty.port}`;
    const port = await freePort();
    const direct = `ws://127.0.0.1:${port}`;
    await relays.relay({ port, addresses: [url, direct] });
    faulty.retarget(port);
    const proxy = await scene.proxy(['--relay', url]);
    const client = scene.client(`${proxy.url}/space/kitchen`, [FRAMED]);
    expect((await next(client)).type).toBe('open');
    const other = await relays.client(`${direct}/space/kitchen`);
    const heard: unknown[] = [];
    const all = new Promise<void>(resolve => {
      other.addEventListener('message', ({ data }) => {
        if (heard.push(data) === 10) resolve();
      });
    });
    expect(await outcome(other)).toBe('open');
    expect((await next(client)).type).toBe('memberjoin');
    faulty.refusing = true;
    faulty.cut();
    expect((await next(client)).type).toBe('reconnecting');
    const messages = Array.from({ length: 10 }, (_, index) => `message ${index}`);
    for (const data of messages) say(client, { data });
    faulty.refusing = false;
    let event = await next(client);
    while (event.type === 'reconnecting') event = await next(client);
    expect(event.type).toBe('reconnected');
    await all;
    expect(heard).toEqual(messages);
  });
});
