// @ts-check
import { tableOf } from '../report/tables.js';
import { browserMeasurements } from './measurements.js';

/** @typedef {import('./suite.js').BrowserResult} BrowserResult */

/**
 * Where and how it was measured.
 *
 * @param {BrowserResult} result
 */
export function describeBrowserRun({ date, browser, machine, versions, options }) {
  const { node, cores, cpu, memory, platform, load } = machine;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${date.slice(0, 10)}, ${browser} and a relay in Node ${node} on ${platform}, ${cores} × ${cpu}, ${memory}, load ${load} before; ${options.rounds} rounds of ${options.duration} ms. ${packages.join(', ')}.`;
}

/**
 * @param {BrowserResult} result
 * @returns {Map<string, string>} Markdown by measurement
 */
export function browserTables({ adapters, measurements }) {
  return new Map(
    browserMeasurements.map(measurement => {
      const { name } = measurement;
      return [name, tableOf(measurement, measurements[name] ?? [], adapters)];
    }),
  );
}

/** @param {BrowserResult} result */
export function renderMarkdown(result) {
  const tables = browserTables(result);
  const sections = browserMeasurements.map(({ name, title }) => `## ${title}\n\n${tables.get(name)}`);
  return [describeBrowserRun(result), ...sections].join('\n\n');
}
