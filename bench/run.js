// @ts-check
// npm run bench: this library beside a plain `ws` relay and its neighbours. See bench/README.md.
import fs from 'node:fs';
import { runCommand } from './command.js';
import { busyWarning } from './machine.js';
import { HELP, parseOptions } from './options.js';
import { installPackages } from './packages.js';
import { Progress } from './progress.js';
import { renderChart } from './report/chart.js';
import { writeReport } from './report/document.js';
import { renderMarkdown } from './report/tables.js';
import { runnable, runSuite } from './suite.js';

/** @typedef {import('./options.js').Options} Options */

await runCommand(parseOptions, HELP, async options => {
  const { from, json, svg, report } = options;
  const result = from === undefined ? await measure(options) : JSON.parse(fs.readFileSync(from, 'utf8'));
  console.log(json ? JSON.stringify(result, undefined, 2) : renderMarkdown(result));
  if (svg !== undefined) fs.writeFileSync(svg, renderChart(result));
  if (report) await writeReport(result);
});

/** @param {Options} options */
function measure(options) {
  const { names, skipped } = runnable(options.adapters);
  for (const { adapter, reason } of skipped) console.error(`${adapter} is left out: ${reason}.`);
  if (names.length === 0) throw new Error('Nothing is left to be measured.');
  installPackages(names);
  const warning = busyWarning();
  if (warning !== undefined) console.error(warning);
  return runSuite(options, new Progress(process.stderr));
}
