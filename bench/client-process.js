// Both clients of one adapter. Measures one size at a time, when told to.
import { adapterNamed } from './adapters/index.js';

const [, , adapterName, url] = process.argv;
const MAX_IN_FLIGHT = 32 * 1024 * 1024;
const WINDOW = 256;
/** Milliseconds of sending before the measurement starts, so that the code is compiled. */
const WARM_UP = 300;

let received = 0;
let awaited = Infinity;
let arrived;
let expected;

const pair = await adapterNamed(adapterName).connect(url, data => {
  if (data.length !== expected.length || data[0] !== expected[0] || data.at(-1) !== expected.at(-1)) {
    throw new Error(`${adapterName}: a message arrived that was not sent`);
  }
  received += 1;
  if (received === awaited) arrived();
});

async function exchange(payload, count) {
  const all = new Promise(resolve => {
    arrived = resolve;
  });
  received = 0;
  awaited = count;
  for (let i = 0; i < count; i++) pair.send(payload);
  await all;
}

async function exchangeFor(milliseconds, payload, window) {
  const start = performance.now();
  let messages = 0;
  let elapsed;
  do {
    await exchange(payload, window);
    messages += window;
    elapsed = performance.now() - start;
  } while (elapsed < milliseconds);
  return { messages, elapsed };
}

process.on('message', request => {
  if (request !== 'go') void measure(request);
});

async function measure({ size, duration }) {
  expected = new Uint8Array(size).fill(size % 251);
  const window = Math.max(1, Math.min(WINDOW, Math.floor(MAX_IN_FLIGHT / size)));
  await exchangeFor(WARM_UP, expected, window);
  process.send('start');
  await new Promise(resolve => {
    process.once('message', resolve);
  });
  const before = process.cpuUsage();
  const { messages, elapsed } = await exchangeFor(duration, expected, window);
  process.send({ messages, elapsed, cpu: process.cpuUsage(before) });
}

process.on('disconnect', () => process.exit());
process.send('ready');
