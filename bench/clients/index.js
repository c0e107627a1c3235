// What the clients do in each measurement. `start(adapter, url, timeLimit)` makes them; `prepare(case)` and
// `measure(case)` are asked in turn, and the relay's CPU time is read before and after `measure`.
import { Connections } from './connections.js';
import { FanOut } from './fan-out.js';
import { Latency } from './latency.js';
import { Throughput } from './throughput.js';

const clients = { throughput: Throughput, latency: Latency, 'fan-out': FanOut, connections: Connections };

export function clientsOf(measurement) {
  return clients[measurement];
}
