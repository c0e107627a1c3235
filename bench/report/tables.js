// @ts-check
import { measurements } from '../measurements/index.js';
import { formatNumber, formatRatio } from './numbers.js';

/**
 * @typedef {import('../suite.js').Result} Result
 */

/**
 * The tables of a result, by measurement.
 *
 * @param {Result} result
 * @returns {Map<string, string>} Markdown, in the order of the measurements
 */
export function tablesOf(result) {
  /** @type {Map<string, string>} */
  const tables = new Map();
  for (const measurement of measurements) {
    const rows = result.measurements[measurement.name];
    if (rows === undefined) continue;
    const titles = result.adapters.map(({ name, title, room }) => ({
      name,
      title: (measurement.kind === 'room' ? room : title) ?? name,
    }));
    tables.set(measurement.name, tableOf(measurement, rows, titles));
  }
  return tables;
}

/**
 * Where and how it was measured.
 *
 * @param {Result} result
 */
export function describeRun({ date, machine, versions, options, skipped }) {
  const { node, cores, cpu, memory, platform, load } = machine;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date.slice(0, 10)}, Node ${node} on ${platform}, ${cores} × ${cpu}, ${memory}, load ${load} before; ${options.rounds} rounds of ${options.duration} ms. ${packages.join(', ')}.`,
    ...skipped.map(({ adapter, reason }) => `Without ${adapter}: ${reason}.`),
  ].join('\n\n');
}

/**
 * The whole result.
 *
 * @param {Result} result
 */
export function renderMarkdown(result) {
  const tables = [...tablesOf(result)].map(([name, table]) => {
    const title = measurements.find(measurement => measurement.name === name)?.title;
    return `## ${title}\n\n${table}`;
  });
  return [describeRun(result), ...tables].join('\n\n');
}

/**
 * One measurement as a table: a row for each case and adapter.
 *
 * @param {Pick<import('../measurements/index.js').Common, 'varies' | 'columns'>} measurement
 * @param {readonly import('../summary.js').Row[]} rows
 * @param {readonly { name: string, title: string }[]} adapters
 */
export function tableOf({ varies, columns }, rows, adapters) {
  const head = [...varies.map(({ label }) => label), 'library'];
  const align = [...varies.map(() => '--:'), '---'];
  for (const { label, hasRatio } of columns) {
    head.push(label, ...(hasRatio ? ['×'] : []));
    align.push('--:', ...(hasRatio ? ['--:'] : []));
  }
  const body = rows.map(row => {
    const cells = varies.map(({ key }) => formatNumber(row.case[key] ?? NaN, 0));
    cells.push(adapters.find(({ name }) => name === row.adapter)?.title ?? row.adapter);
    for (const { figure, digits, hasRatio } of columns) {
      const value = row.figures[figure];
      cells.push(formatNumber(value?.median ?? NaN, digits));
      if (hasRatio) cells.push(formatRatio(value?.ratio ?? null));
    }
    return cells;
  });
  return [head, align, ...body].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
