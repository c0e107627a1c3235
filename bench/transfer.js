// Memory during a large transfer: one Node process sends, one receives, a relay stands between them (or nothing).
//
//   npm run bench:transfer                                1 GiB, through a relay and directly
//   npm run bench:transfer -- --mib 256 --message 65536
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

const MIB = 1_048_576;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    message: { type: 'string', default: '262144' },
    json: { type: 'boolean', default: false },
  },
});

/** One of the processes: answers each message with the next. */
class Party {
  constructor(role, ...args) {
    this.child = fork(new URL('./transfer-process.js', import.meta.url), [role, ...args.map(String)]);
  }

  async ask(question) {
    if (question !== undefined) this.child.send(question);
    const [answer] = await once(this.child, 'message');
    return answer;
  }

  async end() {
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

async function transfer(way) {
  const bytes = Number(values.mib) * MIB;
  const relay = way === 'relayed' ? new Party('relay') : undefined;
  const at = await relay?.ask();
  const receiver = new Party('receiver', way, at?.url ?? '');
  const { url } = await receiver.ask();
  const sender = new Party('sender', url, bytes, values.message);
  await sender.ask();
  const parties = Object.entries({ sender, relay, receiver }).filter(([, party]) => party);
  await Promise.all(parties.map(([, party]) => party.ask('begin')));
  const started = performance.now();
  sender.child.send('send');
  const received = await receiver.ask();
  const seconds = (performance.now() - started) / 1000;
  const memory = {};
  for (const [name, party] of parties) memory[name] = await party.ask('end');
  await Promise.all(parties.map(([, party]) => party.end()));
  if (received.bytes !== bytes) throw new Error(`${received.bytes} of ${bytes} bytes arrived`);
  return { way, mib: Number(values.mib), message: Number(values.message), seconds, memory };
}

const results = [];
for (const way of ['relayed', 'direct']) results.push(await transfer(way));
if (values.json) {
  console.log(JSON.stringify(results, undefined, 2));
} else {
  console.log(
    `${values.mib} MiB in messages of ${values.message} bytes. Peak resident memory above that before, MiB:`,
  );
  for (const { way, seconds, memory } of results) {
    const figures = Object.entries(memory).map(([name, { extra }]) => `${name} ${(extra / MIB).toFixed(1)}`);
    console.log(`${way.padEnd(8)} ${figures.join(', ')}   (${seconds.toFixed(1)} s)`);
  }
}
