// The relay of one adapter, in a process of its own, so that its CPU time is its own.
import { adapterNamed } from './adapters/index.js';

const relay = await adapterNamed(process.argv[2]).startRelay();

process.on('message', request => {
  if (request === 'cpu') process.send({ cpu: process.cpuUsage() });
});
// The parent has gone, or wants this to end.
process.on('disconnect', () => process.exit());
process.send({ url: relay.url });
