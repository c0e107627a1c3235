import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { encodeEnvelope, encodeListen, NoticeReason, peerAddress } from '../../src/core/frame.js';
import { Identity } from '../../src/core/identity.js';
import type { Relay, RelayLimited, RelayRefusal } from '../../src/relay/relay.js';
import { EventQueue } from '../support/event-queue.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { ending, event, exchange, outcome, relayScene } from '../support/relay-scene.js';
import { RelayClient } from '../support/relay-client.js';
import { dialRelay, framesOf } from '../support/dialled-relay-link.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();
const BODY = Uint8Array.of(1, 2, 3, 4);
const envelope = (address: Uint8Array) => ({ type: 'envelope', address, body: BODY });

/** Registers at `url`, which may be that of something in between, and wants this connection id. */
async function join(relay: Relay, identity: Identity, connectionId?: number, url = relay.url) {
  const dialled = await dialRelay(url, identity, { location: new URL(relay.url).origin, connectionId });
  scene.after(() => {
    dialled.socket.terminate();
  });
  return framesOf(dialled, identity);
}

/** A way to the relay that can go dead without anybody being told. */
async function proxyOf(relay: Relay): Promise<{ proxy: FaultyProxy; url: string }> {
  const proxy = await FaultyProxy.start((relay.address() as AddressInfo).port);
  scene.after(() => proxy.close());
  return { proxy, url: `ws://127.0.0.1:${String(proxy.port)}` };
}

describe('several connections of one key', () => {
  it('live side by side, unless the relay is told otherwise', async () => {
    const relay = await scene.relay();
    const alice = await Identity.generate();
    const bob = await RelayClient.connect(relay.url);
    const [one, two, three] = [
      await RelayClient.connect(relay.url, { identity: alice }),
      await RelayClient.connect(relay.url, { identity: alice }),
      await RelayClient.connect(relay.url, { identity: alice }),
    ];
    expect(relay.connections).toBe(4);
    expect(new Set([one, two, three].map(({ connectionId }) => connectionId)).size).toBe(3);
    for (const each of [one, two, three]) {
      bob.send(encodeEnvelope(each.address, BODY));
      expect(await each.frames.next()).toEqual(envelope(bob.address));
    }
  });

  it('may be so many, and one more is refused; whoever comes back has the place that it had', async () => {
    const relay = await scene.relay({ maxConnectionsPerKey: 2 });
    const { proxy, url } = await proxyOf(relay);
    const alice = await Identity.generate();
    const refusals: RelayRefusal[] = [];
    const limits: RelayLimited[] = [];
    relay.on('refused', refusal => refusals.push(refusal));
    relay.on('limited', limited => limits.push(limited));
    // One is half-open: the relay cannot know that yet.
    const lost = await join(relay, alice, undefined, url);
    await join(relay, alice);
    proxy.stall();
    await expect(join(relay, alice)).rejects.toMatchObject({ code: 'TOO_MANY_CONNECTIONS' });
    expect(refusals).toMatchObject([{ code: 'TOO_MANY_CONNECTIONS', publicKey: alice.publicKey }]);
    expect(limits).toMatchObject([{ limit: 'connections_per_key', publicKey: alice.publicKey }]);
    // Again and again: until the old ones have gone they take no place either.
    for (let times = 0; times < 3; times++) {
      const back = await join(relay, alice, lost.connectionId);
      expect(back.connectionId).toBe(lost.connectionId);
      expect(relay.connections).toBe(2);
    }
    // Others have places of their own.
    await join(relay, await Identity.generate());
    expect(refusals).toHaveLength(1);
  });
});

describe('an exclusive relay', () => {
  it('keeps the newest connection of a key, and tells the one before that it was replaced', async () => {
    const relay = await scene.relay({ exclusive: true, maxConnectionsPerKey: 1 });
    const gone = new EventQueue<[object, number]>();
    relay.on('disconnection', (client, code) => {
      gone.push([client, code]);
    });
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const other = await join(relay, bob);
    const old = await join(relay, alice);
    old.socket.send(encodeListen(true));
    old.socket.send(encodeEnvelope(other.address, BODY));
    expect(await other.frames.next()).toEqual(envelope(old.address));

    const young = await join(relay, alice);
    expect(young.connectionId).not.toBe(old.connectionId);
    expect(await old.closed).toEqual({ code: 4001, reason: 'replaced' });
    expect(await gone.next()).toMatchObject([{ connectionId: old.connectionId }, 4001]);
    // Whoever it had written to knows that it is gone, and nobody finds it any more.
    const { PEER_GONE, NOT_HERE } = NoticeReason;
    expect(await other.frames.next()).toEqual({ type: 'notice', reason: PEER_GONE, address: old.address });
    other.socket.send(encodeEnvelope(old.address, BODY));
    expect(await other.frames.next()).toEqual({ type: 'notice', reason: NOT_HERE, address: old.address });
    other.socket.send(encodeEnvelope(young.address, BODY));
    expect(await young.frames.next()).toEqual(envelope(other.address));
    expect(relay.connections).toBe(2);
    expect(gone.pending).toEqual([]);
  });

  it('ends the one before also when the newest takes its connection id, once', async () => {
    const relay = await scene.relay({ exclusive: true });
    const gone = new EventQueue<[object, number]>();
    relay.on('disconnection', (client, code) => {
      gone.push([client, code]);
    });
    const alice = await Identity.generate();
    const old = await join(relay, alice, 77);
    const young = await join(relay, alice, 77);
    expect(young.connectionId).toBe(77);
    expect(await old.closed).toEqual({ code: 4001, reason: 'replaced' });
    expect(await gone.next()).toMatchObject([{ connectionId: 77 }, 4001]);
    young.socket.send(encodeEnvelope(young.address, BODY));
    expect(await young.frames.next()).toEqual(envelope(young.address));
    expect(relay.connections).toBe(1);
    expect(gone.pending).toEqual([]);
  });

  it('is final: a socket that was replaced does not come back, even with `reconnect`', async () => {
    const relay = await scene.relay({ exclusive: true });
    const { url } = await scene.echo(relay);
    const alice = await Identity.generate();
    const attempts: unknown[] = [];
    const old = await scene.client(url, { identity: alice, reconnect: true });
    old.addEventListener('reconnecting', each => attempts.push(each));
    expect(await outcome(old)).toBe('open');
    const ended = ending(old);
    // Another device: in one process both would share a link.
    const young = await scene.client(url, { identity: alice, deviceId: 'another', reconnect: true });
    expect(await outcome(young)).toBe('open');
    expect(await ended).toMatchObject({ code: 1006, error: { code: 'REPLACED' } });
    expect(attempts).toEqual([]);
    expect(await exchange(young, 'still here')).toBe('still here');
    expect(relay.connections).toBe(2);
  });

  it('is final for a service, too', async () => {
    const relay = await scene.relay({ exclusive: true });
    const identity = await Identity.generate();
    const old = await scene.echo(relay, { identity, reconnect: true });
    const failed = once(old, 'error');
    const attempts: unknown[] = [];
    old.on('reconnecting', each => attempts.push(each));
    const young = await scene.echo(relay, { identity, deviceId: 'another' });
    expect((await failed)[0]).toMatchObject({ code: 'REPLACED' });
    expect(attempts).toEqual([]);
    const socket = await scene.client(young.url);
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'hello')).toBe('hello');
  });

  it('never locks anybody out by a connection of its own that is half-open', async () => {
    const relay = await scene.relay({ exclusive: true, maxConnectionsPerKey: 1 });
    const { proxy, url } = await proxyOf(relay);
    const alice = await Identity.generate();
    const lost = await join(relay, alice, undefined, url);
    lost.socket.send(encodeListen(true));
    proxy.stall();
    // The relay hears nothing of it, and its closing handshake is not answered.
    const bob = await join(relay, await Identity.generate());
    for (let times = 0; times < 3; times++) {
      const latest = await join(relay, alice);
      latest.socket.send(encodeListen(true));
      latest.socket.send(encodeEnvelope(latest.address, BODY));
      await latest.frames.next();
      bob.socket.send(encodeEnvelope(peerAddress(alice.publicKeyBytes, 0), BODY));
      expect(await latest.frames.next()).toEqual(envelope(bob.address));
      expect(relay.connections).toBe(2);
    }
  });

  it('leaves other keys alone, and the key itself when its newest connection goes', async () => {
    const relay = await scene.relay({ exclusive: true });
    const [alice, bob] = [await Identity.generate(), await Identity.generate()];
    const his = await join(relay, bob);
    const hers = await join(relay, alice);
    const disconnected = event(relay, 'disconnection');
    hers.socket.close(1000);
    expect((await disconnected)[1]).toBe(1000);
    const again = await join(relay, alice);
    his.socket.send(encodeEnvelope(again.address, BODY));
    expect(await again.frames.next()).toEqual(envelope(his.address));
    expect(relay.connections).toBe(2);
  });
});
