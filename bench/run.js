// npm run bench: throughput and CPU time per message, this library beside a plain `ws` relay. See bench/README.md.
import { fork } from 'node:child_process';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { adapters } from './adapters/index.js';
import { median, microseconds } from './statistics.js';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '64,1024,16384,1048576' },
    rounds: { type: 'string', default: '5' },
    duration: { type: 'string', default: '1000' },
    json: { type: 'boolean', default: false },
  },
});
const sizes = values.sizes.split(',').map(Number);
const rounds = Number(values.rounds);
const duration = Number(values.duration);
if (![...sizes, rounds, duration].every(number => Number.isInteger(number) && number > 0)) {
  console.error(
    '--sizes takes bytes (64,1024), --rounds a count, --duration milliseconds: whole numbers above 0.',
  );
  process.exit(2);
}

/** The next message of a child process. */
function next(child) {
  return new Promise((resolve, reject) => {
    const onExit = code => {
      reject(new Error(`a process of the benchmark ended with ${code}`));
    };
    child.once('exit', onExit);
    child.once('message', message => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

async function start({ name }) {
  const relay = fork(new URL('relay-process.js', import.meta.url), [name]);
  const { url } = await next(relay);
  const clients = fork(new URL('client-process.js', import.meta.url), [name, url]);
  await next(clients);
  return { name, relay, clients };
}

async function relayCpu({ relay }) {
  relay.send('cpu');
  return microseconds((await next(relay)).cpu);
}

async function measure(running, size) {
  running.clients.send({ size, duration });
  await next(running.clients);
  const before = await relayCpu(running);
  running.clients.send('go');
  const { messages, elapsed, cpu } = await next(running.clients);
  const after = await relayCpu(running);
  return {
    rate: (messages / elapsed) * 1000,
    relayCpu: (after - before) / messages,
    clientsCpu: microseconds(cpu) / messages,
  };
}

const FIGURES = ['rate', 'relayCpu', 'clientsCpu'];
const running = [];
const results = new Map();
try {
  for (const adapter of adapters) running.push(await start(adapter));
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) {
      const inThisRound = {};
      for (const each of running) inThisRound[each.name] = await measure(each, size);
      if (!results.has(size)) results.set(size, []);
      results.get(size).push(inThisRound);
    }
    if (!values.json) process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
} finally {
  for (const { relay, clients } of running) {
    clients.disconnect();
    relay.disconnect();
  }
}

const [baseline] = adapters;
const table = [];
for (const [size, measured] of results) {
  for (const { name } of adapters) {
    const row = { size, adapter: name };
    for (const figure of FIGURES) {
      row[figure] = median(measured.map(round => round[name][figure]));
      row[`${figure}Ratio`] = median(
        measured.map(round => round[name][figure] / round[baseline.name][figure]),
      );
    }
    table.push(row);
  }
}

const machine = {
  node: process.version,
  cpu: os.cpus()[0]?.model ?? 'unknown',
  cores: os.cpus().length,
  platform: `${process.platform} ${process.arch}`,
};
if (values.json) {
  console.log(JSON.stringify({ machine, rounds, duration, results: table }, null, 2));
} else {
  console.log(
    `\nNode ${machine.node}, ${machine.cores} × ${machine.cpu}, ${rounds} rounds of ${duration} ms\n`,
  );
  console.log('| bytes | relay | msgs/s | × plain ws | relay CPU, µs | × | clients CPU, µs | × |');
  console.log('|--:|---|--:|--:|--:|--:|--:|--:|');
  for (const row of table) {
    const cells = [row.size, row.adapter, Math.round(row.rate), row.rateRatio.toFixed(2)];
    for (const figure of FIGURES.slice(1))
      cells.push(row[figure].toFixed(1), row[`${figure}Ratio`].toFixed(2));
    console.log(`| ${cells.join(' | ')} |`);
  }
}
