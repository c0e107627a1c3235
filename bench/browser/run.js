// @ts-check
// npm run bench:browser: the same between two pages of Chromium. See bench/README.md.
import fs from 'node:fs';
import { runCommand } from '../command.js';
import { Progress } from '../progress.js';
import { writeSections } from '../report/document.js';
import { HELP, parseOptions } from './options.js';
import { describeBrowserRun, browserTables, renderMarkdown } from './report.js';
import { runSuite } from './suite.js';

await runCommand(parseOptions, HELP, async options => {
  const { from, json, report } = options;
  const result =
    from === undefined
      ? await runSuite(options, new Progress(process.stderr))
      : JSON.parse(fs.readFileSync(from, 'utf8'));
  console.log(json ? JSON.stringify(result, undefined, 2) : renderMarkdown(result));
  if (!report) return;
  const sections = [...browserTables(result)].map(
    ([name, table]) => /** @type {const} */ ([`browser ${name}`, table]),
  );
  await writeSections(new Map([['browser run', describeBrowserRun(result)], ...sections]));
});
