// The conformance cases in this engine: with its own WebSocket, which shows that the expectations are right, and with
// this library's over the whole stack.
import { inject } from 'vitest';
import { server } from 'vitest/browser';
import { ClientSecureWebSocket } from '../../src/index.js';
import { describeConformance, type Engine } from '../support/web-socket-conformance.js';

const { plainConformance, direct, relayed } = inject('services');

describeConformance('WebSocket of the engine', {
  WebSocket: () => globalThis.WebSocket,
  url: () => plainConformance,
  native: server.browser as Engine,
});

const WebSocket = (): typeof globalThis.WebSocket => ClientSecureWebSocket;

describeConformance('ClientSecureWebSocket directly', { WebSocket, url: () => direct });
describeConformance('ClientSecureWebSocket through a relay', { WebSocket, url: () => relayed });
