import { vi } from 'vitest';
import type { ChannelListener } from '../../../src/link/channel-port.js';
import type { DialOptions } from '../../../src/link/dial.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { LoopbackChannel } from '../../support/conformance/loopback-channel.js';
import { ConformanceServer, describeConformance } from '../../support/web-socket-conformance.js';

// The face alone; test/integration/conformance.test.ts runs the same cases over the real stack.
vi.mock('../../../src/link/dial.js', () => ({
  dialChannel: (url: URL, protocols: readonly string[], _options: DialOptions, listener: ChannelListener) =>
    new LoopbackChannel(server, url, protocols, listener),
}));

const server = new ConformanceServer();

describeConformance('ClientSecureWebSocket over a channel in the same process', {
  WebSocket: () => ClientSecureWebSocket,
  url: () => 'ws://conformance.test',
});
