// The clients of one adapter, all of them. What they do is one of clients/.
import { loadAdapter } from './adapters/index.js';
import { answer } from './answer.js';
import { clientsOf } from './clients/index.js';

let clients;

answer({
  async start({ adapter, measurement, url, timeLimit }) {
    clients = await clientsOf(measurement).start(await loadAdapter(adapter, 'pair'), url, timeLimit);
  },
  prepare: details => clients.prepare(details),
  measure: details => clients.measure(details),
});
