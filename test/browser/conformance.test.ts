import { inject } from 'vitest';
import { server } from 'vitest/browser';
import { describeConformance, type Engine } from '../support/web-socket-conformance.js';

const { plainConformance } = inject('services');

describeConformance('WebSocket of the engine', {
  WebSocket: () => globalThis.WebSocket,
  url: () => plainConformance,
  native: server.browser as Engine,
});
