// @ts-check
// All measurements, in rounds. In each round every adapter has its turn with the same, so that a machine that grows slower
// or faster does so for all of them, and figures of one round can be compared.
import { adapterNamed, CRYPTO_VARIABLE } from './adapters/index.js';
import { describeMachine, fileLimit } from './machine.js';
import { measurements } from './measurements/index.js';
import { isInstalled, versionsOf } from './packages.js';
import { Party } from './party.js';
import { summarize } from './summary.js';

/**
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('./measurements/index.js').Measurement} Measurement
 * @typedef {import('./measurements/index.js').Parties} Parties
 * @typedef {import('./measurements/index.js').Case} Case
 *
 * @typedef {import('./summary.js').Row} Row
 *
 * @typedef {{
 *   date: string,
 *   machine: import('./machine.js').Machine,
 *   versions: Record<string, string>,
 *   options: Partial<Options>,
 *   adapters: { name: string, title: string }[],
 *   skipped: { adapter: string, reason: string }[],
 *   measurements: Record<string, Row[]>,
 * }} Result
 */

/** Descriptors of a process for everything but its connections. */
const OTHER_FILES = 64;

/**
 * The adapters that can run here, and why the others cannot.
 *
 * @param {readonly string[]} names
 */
export function runnable(names) {
  const checked = names.map(name => ({ adapter: name, reason: whyNot(adapterNamed(name)) }));
  return {
    names: checked.filter(({ reason }) => reason === undefined).map(({ adapter }) => adapter),
    skipped: checked.flatMap(({ adapter, reason }) => (reason === undefined ? [] : [{ adapter, reason }])),
  };
}

/** @param {import('./adapters/index.js').AdapterEntry} adapter */
function whyNot({ leastNode = 0, isPeer, packages }) {
  if (Number.parseInt(process.versions.node) < leastNode) {
    return `it needs Node ${leastNode} or newer, and this is ${process.version}`;
  }
  // Those of peers are installed when they are needed.
  const missing = isPeer ? undefined : packages.find(name => !isInstalled(name));
  return missing === undefined ? undefined : `${missing} is not installed`;
}

/**
 * Measures. Rejects, naming the adapter, when a message is lost, altered or out of turn.
 *
 * @param {Options} options
 * @param {import('./progress.js').Progress} progress
 * @returns {Promise<Result>}
 */
export async function runSuite(options, progress) {
  const { names, skipped } = runnable(options.adapters);
  const chosen = measurements.filter(({ name }) => options.only.includes(name));
  for (const measurement of chosen) checkFiles(measurement, options);
  const machine = describeMachine();
  /** @type {Record<string, Row[]>} */
  const results = {};
  for (const measurement of chosen) {
    results[measurement.name] = await runMeasurement(measurement, names, options, progress);
  }
  progress.end();
  const { sizes, receivers, connections, rounds, duration, timeout } = options;
  return {
    date: new Date().toISOString(),
    machine,
    versions: versionsOf(names),
    options: { sizes, receivers, connections, rounds, duration, timeout },
    adapters: names.map(name => ({ name, title: adapterNamed(name).title })),
    skipped,
    measurements: results,
  };
}

/**
 * @param {Measurement} measurement
 * @param {Options} options
 */
function checkFiles(measurement, options) {
  const limit = fileLimit() ?? Infinity;
  const needed = measurement.files(options) + OTHER_FILES;
  if (needed <= limit) return;
  throw new Error(
    `${measurement.name} takes ${needed} file descriptors in one process, and ${limit} are allowed: raise ulimit -n, or lower --connections or --receivers.`,
  );
}

/**
 * @param {Measurement} measurement
 * @param {readonly string[]} names
 * @param {Options} options
 * @param {import('./progress.js').Progress} progress
 */
async function runMeasurement(measurement, names, options, progress) {
  const cases = measurement.cases(options);
  /** Figures of each adapter in each case, round by round. @type {Map<Case, Map<string, Record<string, number>[]>>} */
  const measured = new Map(cases.map(of => [of, new Map(names.map(name => [name, []]))]));
  /** @type {Map<string, Parties>} */
  const running = new Map();
  const measure = async (/** @type {number} */ round, /** @type {Case} */ of, /** @type {string} */ name) => {
    const what =
      measurement.varies === undefined ? '' : `${of[measurement.varies.key]} ${measurement.varies.label}, `;
    progress.show(`${measurement.name}, round ${round + 1} of ${options.rounds}`, what + name);
    const parties = running.get(name) ?? (await start(measurement, name, options, running));
    measured
      .get(of)
      ?.get(name)
      ?.push(await measurement.measure(parties, of, options));
    parties.isNew = false;
  };
  try {
    for (let round = 0; round < options.rounds; round++) {
      if (measurement.isFresh) {
        for (const name of names) {
          for (const of of cases) await measure(round, of, name);
          await endAll(running);
        }
      } else {
        for (const of of cases) for (const name of names) await measure(round, of, name);
      }
    }
  } finally {
    await endAll(running);
  }
  return cases.flatMap(of => names.map(name => summarize(measurement.columns, of, name, measured.get(of))));
}

/**
 * @param {Measurement} measurement
 * @param {string} name
 * @param {Options} options
 * @param {Map<string, Parties>} running where its processes are to be found, also when it fails
 */
async function start(measurement, name, { timeout }, running) {
  const environment = { [CRYPTO_VARIABLE]: undefined, ...adapterNamed(name).environment };
  const common = { environment, timeLimit: timeout };
  const parties = {
    relay: new Party(`${name}, relay`, 'relay-process.js', { ...common, execArgv: ['--expose-gc'] }),
    clients: new Party(name, 'client-process.js', common),
    isNew: true,
  };
  running.set(name, parties);
  const url = await parties.relay.ask('start', { adapter: name });
  await parties.clients.ask('start', {
    adapter: name,
    measurement: measurement.name,
    url,
    timeLimit: timeout,
  });
  return parties;
}

/** @param {Map<string, Parties>} running */
async function endAll(running) {
  const parties = [...running.values()].flatMap(({ relay, clients }) => [clients, relay]);
  running.clear();
  await Promise.all(parties.map(party => party.end()));
}
