// The benchmark of pages runs, where there is a Chromium: every message arrives, and the result has its shape.
import { beforeAll, expect, it } from 'vitest';
import type { BrowserResult } from '../../bench/browser/suite.js';
import { findBrowsers } from '../../scripts/browsers.mjs';
import { node, repository, requireBuild } from './installed-package.js';

beforeAll(requireBuild);

it.skipIf(findBrowsers().chromium === undefined)('npm run bench:browser measures two pages', async () => {
  const args = ['--json', '--rounds', '1', '--duration', '5', '--sizes', '1,70000'];
  const result = JSON.parse(await node(['bench/browser/run.js', ...args], repository)) as BrowserResult;
  const names = ['plain-ws', 'secure-websocket'];
  expect(result.browser).toMatch(/^Chromium \d/);
  expect(result.adapters.map(({ name }) => name)).toEqual(names);
  const { throughput = [], latency = [] } = result.measurements;
  expect(throughput.map(row => [row.case['size'], row.adapter])).toEqual(
    [1, 70000].flatMap(size => names.map(name => [size, name])),
  );
  expect(latency.map(row => row.adapter)).toEqual(names);
  for (const { figures } of throughput) expect(figures['rate']!.median).toBeGreaterThan(0);
  for (const { figures } of latency) expect(figures['roundTrips']!.median).toBeGreaterThan(0);
});
