// The conformance cases over the whole stack, in Node, with real sockets.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, vi } from 'vitest';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { startStack } from '../support/services.js';
import { describeConformance } from '../support/web-socket-conformance.js';

let stack: Awaited<ReturnType<typeof startStack>>;
let home: string;

beforeAll(async () => {
  // The class itself is under test, not one that was configured: so its identity is the default one.
  home = await mkdtemp(join(tmpdir(), 'secure-websocket-'));
  vi.stubEnv('SECURE_WEBSOCKET_HOME', home);
  stack = await startStack();
});

afterAll(async () => {
  await stack.close();
  await rm(home, { recursive: true });
});

const WebSocket = (): typeof globalThis.WebSocket => ClientSecureWebSocket;

describeConformance('directly', { WebSocket, url: () => stack.direct.url ?? '' });
describeConformance('through a relay', { WebSocket, url: () => stack.relayed.url ?? '' });
