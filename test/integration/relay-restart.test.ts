import { describe, expect, it, vi } from 'vitest';
import type { SecureWebSocketReconnectingEvent } from '../../src/socket/events.js';
import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { CliScene } from '../support/cli-scene.js';
import { FaultyProxy } from '../support/faulty-proxy.js';
import { IndependentClient } from '../support/independent-client.js';
import { RelayClient } from '../support/relay-client.js';
import { ending, event, exchange, outcome, relayScene } from '../support/relay-scene.js';
import { freePort } from '../support/free-port.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const scene = relayScene();

describe('two relay processes behind one address', () => {
  const cli = new CliScene();

  /** A relay of the command line that says it is reached at `publicUrl`. */
  async function relayProcess(publicUrl: string, ...args: string[]) {
    const port = await freePort();
    const listens = ['--host', '127.0.0.1', '--port', String(port), '--public-url', publicUrl];
    const child = cli.start(['relay', ...listens, '--internal-port', '0', '--json', ...args], {
      stdin: 'ignore',
    });
    const [line] = await child.says(/^\{.*"event":"listening".*\}$/m);
    const { internalUrl } = JSON.parse(line) as { internalUrl: string };
    return { child, port, internal: internalUrl };
  }

  /** Sends numbers until it is stopped; `ends` resolves when all of them have come back, in order, each once. */
  function counter(socket: ClientSecureWebSocket) {
    let sent = 0;
    const received: number[] = [];
    socket.addEventListener('message', ({ data }) => received.push(Number(data)));
    const timer = setInterval(() => {
      socket.send(String(sent++));
    }, 5);
    scene.after(() => {
      clearInterval(timer);
    });
    return {
      received,
      async stop(): Promise<void> {
        clearInterval(timer);
        await expect.poll(() => received.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(sent);
        expect(received).toEqual(Array.from({ length: sent }, (_, n) => n));
      },
    };
  }

  it('lose no message when the first one is told to restart', async () => {
    const balancer = await FaultyProxy.start(1);
    scene.after(() => balancer.close());
    const address = `ws://127.0.0.1:${String(balancer.port)}`;
    const slow = ['--drain-delay', '300ms', '--drain-time', '1500ms'];
    const [first, second] = [await relayProcess(address, ...slow), await relayProcess(address)];
    balancer.retarget(first.port);
    expect((await fetch(`${first.internal}/readyz`)).status).toBe(200);

    const server = await scene.echo(address);
    const sockets: ClientSecureWebSocket[] = [];
    for (let i = 0; i < 5; i++) {
      const socket = await scene.client(server.url, { reconnect: true });
      expect(await outcome(socket)).toBe('open');
      sockets.push(socket);
    }
    const delays: SecureWebSocketReconnectingEvent[] = [];
    for (const socket of sockets) socket.addEventListener('reconnecting', each => delays.push(each));
    const counters = sockets.map(counter);

    first.child.kill('SIGTERM');
    // What a load balancer does: it asks, and sends nobody to a relay that is not ready.
    await expect
      .poll(async () => (await fetch(`${first.internal}/readyz`)).status, { interval: 20 })
      .toBe(503);
    expect((await fetch(`${first.internal}/livez`)).status).toBe(200);
    balancer.retarget(second.port);

    expect(await first.child.exit).toBe(0);
    const count = async (): Promise<unknown> =>
      ((await (await fetch(`${second.internal}/status.json`)).json()) as { connections: number }).connections;
    // Five clients and the service.
    await expect.poll(count, { timeout: 30_000 }).toBe(6);
    for (const each of counters) await each.stop();
    expect(delays.length).toBeGreaterThanOrEqual(5);
    // Nobody's link was cut: who went by itself was told when to, and who stayed saw the service go. Which of the two it
    // is depends on whose time came first.
    const codes = new Set(delays.map(({ error }) => error.code));
    for (const orderly of ['RESTARTING', 'PEER_GONE', 'PEER_NOT_HERE'] as const) codes.delete(orderly);
    expect([...codes]).toEqual([]);
  });

  it('end at once at the second signal', async () => {
    const address = 'ws://127.0.0.1:1';
    const { child, internal } = await relayProcess(address, '--drain-delay', '1h');
    child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${internal}/readyz`)).status, { interval: 20 }).toBe(503);
    child.kill('SIGTERM');
    expect(await child.exit).toBe(143);
  });
});

describe('a relay that drains', () => {
  it('tells everybody when they have to leave, and closes those that stay, with 1012', async () => {
    const relay = await scene.relay({ drain: { delay: 0, time: 300, tryFor: 4_000 } });
    const staying = await RelayClient.connect(relay.url);
    const draining = event(relay, 'draining');
    const drained = relay.drain();
    await draining;
    expect(relay.isReady).toBe(false);
    const frame = await staying.frames.next();
    expect(frame).toMatchObject({ type: 'control', control: { type: 'RESTARTING', tryFor: 4_000 } });
    const { reconnectIn } = (frame as unknown as { control: { reconnectIn: number } }).control;
    expect(reconnectIn).toBeLessThan(300);
    expect((await staying.closed).code).toBe(1012);
    await drained;
    expect(relay.address()).toBe(null);
  });

  it('accepts everybody until its load balancer has had time to notice', async () => {
    const relay = await scene.relay({ drain: { delay: 60_000 } });
    void relay.drain();
    const server = await scene.echo(relay);
    const socket = await scene.client(server.url);
    expect(await outcome(socket)).toBe('open');
    expect(await exchange(socket, 'hello')).toBe('hello');
    expect(relay.isReady).toBe(false);
    // `close` ends the waiting.
    await relay.close();
  });

  it('ends those that do not reconnect, and tells them why', async () => {
    const relay = await scene.relay({ drain: { delay: 0, time: 0 } });
    // Stays until it is closed: a service that left by itself could be gone before the client is, who would then say that.
    const service = await IndependentClient.connect(relay.url);
    await service.listen();
    const socket = await scene.client(`${relay.url}/${service.address}`);
    const opened = outcome(socket);
    (await service.incoming.next()).accept('');
    expect(await opened).toBe('open');
    const ended = ending(socket);
    await relay.drain();
    expect(await ended).toMatchObject({ code: 1006, error: { code: 'RESTARTING' } });
    expect(await service.ended).toBeUndefined();
  });
});
