// @ts-check
// docs/performance.md is written by hand, but for what stands between `<!-- bench: name -->` and `<!-- /bench -->`.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { measurements } from '../measurements/index.js';
import { renderChart } from './chart.js';
import { describeRun, tablesOf } from './tables.js';

/** @typedef {import('../suite.js').Result} Result */

const DOCUMENT = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const CHART = fileURLToPath(new URL('../../docs/performance.svg', import.meta.url));

/**
 * Writes a result into docs/performance.md: the sections of what was measured, and no others. The chart, too, when the
 * throughput was.
 *
 * @param {Result} result
 */
export async function writeReport(result) {
  await writeSections(new Map([...runsOf(result), ...tablesOf(result)]));
  if (result.measurements['throughput'] !== undefined) fs.writeFileSync(CHART, renderChart(result));
}

/**
 * How it was measured, for each kind of measurement that there was: they may be of different days.
 *
 * @param {Result} result
 * @returns {[section: string, content: string][]}
 */
export function runsOf(result) {
  const kinds = measurements.flatMap(({ name, kind }) => (result.measurements[name] ? [kind] : []));
  const sections = new Set(kinds.map(kind => (kind === 'room' ? 'spaces run' : 'run')));
  return [...sections].map(section => [section, describeRun(result)]);
}

/**
 * Writes sections of docs/performance.md.
 *
 * @param {ReadonlyMap<string, string>} sections Markdown by name
 */
export async function writeSections(sections) {
  // A tool of development, which only this needs.
  const prettier = await import('prettier');
  const text = replaceSections(fs.readFileSync(DOCUMENT, 'utf8'), sections);
  const options = await prettier.resolveConfig(DOCUMENT);
  fs.writeFileSync(DOCUMENT, await prettier.format(text, { ...options, filepath: DOCUMENT }));
}

/**
 * @param {string} text
 * @param {ReadonlyMap<string, string>} sections
 * @throws Error when the text has no such section
 */
export function replaceSections(text, sections) {
  for (const [name, content] of sections) {
    const begin = `<!-- bench: ${name} -->`;
    const end = '<!-- /bench -->';
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`The document has no section between "${begin}" and "${end}".`);
    text = `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
  }
  return text;
}
