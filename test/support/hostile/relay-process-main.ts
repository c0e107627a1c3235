// A relay in a process of its own: see relay-process.ts.
import { Identity } from '../../../src/core/identity.js';
import { Relay } from '../../../src/relay/relay.js';
import type { RelayOptions } from '../../../src/relay/relay-options.js';
import type { RelayReport } from './relay-process.js';
import { count } from './tally.js';

let relay: Relay | undefined;
const told: Pick<RelayReport, 'limited' | 'refused' | 'disconnected'> = {
  limited: {},
  refused: {},
  disconnected: {},
};

async function start(options: RelayOptions): Promise<unknown> {
  const audit = options.audit && { sink: { write: () => undefined } };
  relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate(), ...options, audit });
  relay.on('limited', ({ limit }) => {
    count(told.limited, limit);
  });
  relay.on('refused', ({ code }) => {
    count(told.refused, code);
  });
  relay.on('disconnection', (_client, code) => {
    count(told.disconnected, String(code));
  });
  await relay.listen();
  const { url, publicKey, internalUrl } = relay;
  return { url, publicKey, internalUrl };
}

async function report(): Promise<RelayReport> {
  if (!relay) throw new Error('There is no relay.');
  // What is finalized in one collection is freed by the next.
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise(resolve => setImmediate(resolve));
  }
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    ...told,
    memory: { rss, heapUsed, external, arrayBuffers },
    cpu: (user + system) / 1e6,
    statistics: relay.statistics,
    snapshot: relay.snapshot(),
    handles: process.getActiveResourcesInfo().filter(name => name.startsWith('TCP')).length,
  };
}

const answers: Record<string, (argument: unknown) => Promise<unknown>> = {
  start: options => start(options as RelayOptions),
  report,
  close: async () => {
    await relay?.close();
    process.exit();
  },
};

process.on('message', ({ id, ask, argument }: { id: number; ask: string; argument: unknown }) => {
  const answer = answers[ask];
  if (!answer) throw new Error(`asked for ${ask}`);
  answer(argument).then(
    result => process.send?.({ id, result }),
    (error: unknown) => process.send?.({ id, error: String(error) }),
  );
});
// Whoever has started it is gone.
process.on('disconnect', () => {
  process.exit();
});
