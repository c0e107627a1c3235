import { expect, it, vi } from 'vitest';
import { Identity } from '../../src/core/identity.js';
import { SecureWebSocketServer } from '../../src/socket/node-secure-web-socket-server.js';
import { exchange, failure, outcome, relayScene } from '../support/relay-scene.js';

vi.setConfig({ testTimeout: 30_000 });

const scene = relayScene();

it('a service behind a relay takes so many connections of one peer, and refuses the next one with 503', async () => {
  const relay = await scene.relay();
  const { url } = await scene.echo(relay, { maxChannelsPerPeer: 2 });
  const identity = await Identity.generate();
  const sockets = [];
  for (let i = 0; i < 2; i++) {
    const socket = await scene.client(url, { identity });
    expect(await outcome(socket)).toBe('open');
    sockets.push(socket);
  }
  expect(await failure(await scene.client(url, { identity }))).toMatchObject({
    code: 'CHANNEL_REFUSED',
    message: expect.stringContaining('503') as string,
  });
  for (const socket of sockets) expect(await exchange(socket, 'still here')).toBe('still here');
  // Another peer has room of its own.
  expect(await outcome(await scene.client(url))).toBe('open');
});

it('and so many peers: who comes too much is let in when one has gone', async () => {
  const relay = await scene.relay();
  const { url } = await scene.echo(relay, { maxPeers: 1 });
  const first = await scene.client(url);
  expect(await outcome(first)).toBe('open');
  const second = await scene.client(url, { reconnect: true });
  const opened = outcome(second);
  // Its handshake reaches the service, and is not answered.
  await expect.poll(() => relay.statistics.envelopes).toBeGreaterThan(4);
  expect(await exchange(first, 'still here')).toBe('still here');
  expect(second.readyState).toBe(second.CONNECTING);
  first.close();
  expect(await opened).toBe('open');
});

it.each([0, -1, 1.5, NaN])('refuses %s as a limit', limit => {
  for (const name of ['maxPeers', 'maxChannelsPerPeer']) {
    const options = { relay: 'ws://localhost:1', identity: Identity.generate(), [name]: limit };
    expect(() => new SecureWebSocketServer(options)).toThrow(TypeError);
  }
});
