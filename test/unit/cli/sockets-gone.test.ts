import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { socketsGone } from '../../../src/cli/sockets-gone.js';

describe('waiting for sockets', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each(['TCPSocketWrap', 'TLSWrap'])('ends with the last: %s', async name => {
    let resources = ['Timeout', name];
    let isOver = false;
    const waiting = socketsGone(() => resources, 500).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(100);
    expect(isOver).toBe(false);
    resources = ['Timeout', 'PipeWrap', 'TTYWrap', 'TCPServerWrap'];
    await vi.advanceTimersByTimeAsync(20);
    expect(isOver).toBe(true);
    await waiting;
  });

  it('is over at once where there is none, and after a while where one stays', async () => {
    await socketsGone(() => ['PipeWrap'], 500);
    let isOver = false;
    void socketsGone(() => ['TCPSocketWrap'], 500).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(490);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(20);
    expect(isOver).toBe(true);
  });
});

it('knows sockets by the names that Node gives them', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const count = () => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length;
  const before = count();
  const [client] = [connect(port, '127.0.0.1'), await once(server, 'connection')];
  expect(count()).toBeGreaterThan(before);
  client.destroy();
  server.close();
});
