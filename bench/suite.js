// @ts-check
// All measurements, in rounds. In each round every adapter has its turn with the same, so that a machine that grows slower
// or faster does so for all of them, and figures of one round can be compared.
import { adapterNamed, CRYPTO_VARIABLE } from './adapters/index.js';
import { describeMachine, fileLimit } from './machine.js';
import { measurements } from './measurements/index.js';
import { isInstalled, versionsOf } from './packages.js';
import { Pair } from './pair.js';
import { Room } from './room.js';
import { summarize } from './summary.js';

/**
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('./measurements/index.js').Measurement} Measurement
 * @typedef {import('./measurements/index.js').Case} Case
 *
 * @typedef {import('./summary.js').Row} Row
 *
 * @typedef {{
 *   date: string,
 *   machine: import('./machine.js').Machine,
 *   versions: Record<string, string>,
 *   options: Partial<Options>,
 *   adapters: { name: string, title?: string | undefined, room?: string | undefined }[],
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
  const chosen = measurements.filter(
    ({ name, kind }) => options.only.includes(name) && names.some(adapter => takesPart(adapter, kind)),
  );
  for (const measurement of chosen) checkFiles(measurement, options);
  const machine = describeMachine();
  /** @type {Record<string, Row[]>} */
  const results = {};
  for (const measurement of chosen) {
    const compared = names.filter(name => takesPart(name, measurement.kind));
    results[measurement.name] = await runMeasurement(measurement, compared, options, progress);
  }
  progress.end();
  const { sizes, receivers, connections, members, rounds, duration, timeout } = options;
  return {
    date: new Date().toISOString(),
    machine,
    versions: versionsOf(names),
    options: { sizes, receivers, connections, members, rounds, duration, timeout },
    adapters: names.map(name => {
      const { pair, room } = adapterNamed(name);
      return { name, title: pair?.title, room: room?.title };
    }),
    skipped,
    measurements: results,
  };
}

/**
 * @param {string} name of an adapter
 * @param {import('./adapters/index.js').Kind} kind of a measurement
 */
function takesPart(name, kind) {
  return adapterNamed(name)[kind] !== undefined;
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
    `${measurement.name} takes ${needed} file descriptors in one process, and ${limit} are allowed: raise ulimit -n, or lower --connections, --receivers or --members.`,
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
  /** @type {Map<string, Pair | Room>} */
  const running = new Map();
  const measure = async (/** @type {number} */ round, /** @type {Case} */ of, /** @type {string} */ name) => {
    const what = measurement.varies.map(({ key, label }) => `${of[key]} ${label}, `).join('');
    progress.show(`${measurement.name}, round ${round + 1} of ${options.rounds}`, what + name);
    const parties = running.get(name) ?? (await start(measurement, name, options));
    running.set(name, parties);
    measured
      .get(of)
      ?.get(name)
      // The kind of the parties is that of the measurement.
      ?.push(await measurement.measure(/** @type {any} */ (parties), of, options));
    parties.isNew = false;
  };
  try {
    for (let round = 0; round < options.rounds; round++) {
      if (measurement.isFresh) {
        for (const name of names) {
          for (const of of cases) {
            await measure(round, of, name);
            if (measurement.isAlone) await endAll(running);
          }
          await endAll(running);
        }
      } else {
        for (const of of cases) for (const name of names) await measure(round, of, name);
      }
    }
  } finally {
    await endAll(running);
  }
  const { columns, baseline } = measurement;
  return cases.flatMap(of => names.map(name => summarize(columns, of, name, measured.get(of), baseline)));
}

/**
 * @param {Measurement} measurement
 * @param {string} name
 * @param {Options} options
 */
function start({ kind, name: measurement }, name, { timeout }) {
  const environment = { [CRYPTO_VARIABLE]: undefined, ...adapterNamed(name).environment };
  const common = { environment, timeLimit: timeout };
  return kind === 'room' ? Room.open(name, common) : Pair.open(name, measurement, common);
}

/** @param {Map<string, Pair | Room>} running */
async function endAll(running) {
  const parties = [...running.values()];
  running.clear();
  await Promise.all(parties.map(each => each.end()));
}
