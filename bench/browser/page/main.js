// What a page does: `receive` in one, `connect`, `throughput` and `latency` in the other, all called from outside.
import { repeatFor } from '/clients/repeat-for.js';
import { PingPong } from '/clients/ping-pong.js';
import { Payloads, windowOf } from '/payloads.js';
import { quantile } from '/statistics.js';

/** What the receiver says when a window has arrived. */
const ARRIVED = Uint8Array.of(1);

const adapterName = new URL(location.href).searchParams.get('adapter');
const adapter = await import(`/page/${adapterName}.js`);

/** What is done with a message. */
let take = () => {
  throw new Error('a message arrived where none was expected');
};
let send;

/** Registers, and resolves to the address. What comes is sent back, unless `expect` has said otherwise. */
async function receive(url) {
  echo();
  const { address } = await adapter.listen(url, await adapter.createIdentity(), (data, reply) =>
    take(data, reply),
  );
  return address;
}

function echo() {
  take = (data, reply) => reply(data);
}

/** From now on windows of messages come: they are checked, and each is confirmed at its end. */
function expect(size) {
  const payloads = new Payloads(size);
  let place = 0;
  take = (data, reply) => {
    if (!payloads.isAt(data, place)) {
      throw new Error(`a message of ${data.length} bytes arrived that was not the next one sent`);
    }
    place += 1;
    if (place < windowOf(size)) return;
    place = 0;
    reply(ARRIVED);
  };
}

async function connect(url, address) {
  ({ send } = await adapter.dial(url, await adapter.createIdentity(), address, data => take(data)));
}

/** Messages per second. */
async function throughput(size, duration, timeLimit) {
  const payloads = new Payloads(size);
  const count = windowOf(size);
  const { times, elapsed } = await repeatFor(duration, async () => {
    let timer;
    const arrived = new Promise((resolve, reject) => {
      take = resolve;
      timer = setTimeout(() => {
        reject(new Error(`${count} messages did not arrive within ${timeLimit} ms`));
      }, timeLimit);
    });
    for (let place = 0; place < count; place++) send(payloads.at(place));
    await arrived;
    clearTimeout(timer);
  });
  return { rate: ((times * count) / elapsed) * 1000 };
}

async function latency(size, duration, timeLimit) {
  const pingPong = new PingPong(send, timeLimit);
  take = data => pingPong.take(data);
  const times = await pingPong.play(size, duration);
  return { roundTrips: times.length, median: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

globalThis.bench = { receive, echo, expect, connect, throughput, latency };
