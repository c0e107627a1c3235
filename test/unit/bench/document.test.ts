import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { browserMeasurements } from '../../../bench/browser/measurements.js';
import { measurements } from '../../../bench/measurements/index.js';
import { replaceSections, runsOf } from '../../../bench/report/document.js';
import { exampleResult } from './result.js';

describe('the sections of a document', () => {
  const document =
    'a\n<!-- bench: one -->\nold\n<!-- /bench -->\nb\n<!-- bench: two -->\nold\n<!-- /bench -->\nc\n';

  it('are replaced, and nothing else', () => {
    expect(replaceSections(document, new Map([['two', 'new $1']]))).toBe(
      'a\n<!-- bench: one -->\nold\n<!-- /bench -->\nb\n<!-- bench: two -->\n\nnew $1\n\n<!-- /bench -->\nc\n',
    );
  });

  it('must be there', () => {
    expect(() => replaceSections(document, new Map([['three', '']]))).toThrow(/bench: three/);
    expect(() => replaceSections('<!-- bench: one --> no end', new Map([['one', '']]))).toThrow(/bench: one/);
  });

  it('of docs/performance.md are those that are written', async () => {
    const text = await readFile(new URL('../../../docs/performance.md', import.meta.url), 'utf8');
    const written = [...text.matchAll(/<!-- bench: (.+) -->/g)].map(([, name]) => name);
    expect(written.sort()).toEqual(
      [
        'run',
        'spaces run',
        'browser run',
        ...measurements.map(({ name }) => name),
        ...browserMeasurements.map(({ name }) => `browser ${name}`),
      ].sort(),
    );
  });

  it('say how it was measured for what was measured', () => {
    const result = exampleResult();
    const rows = result.measurements['throughput']!;
    const sections = (...names: string[]): string[] =>
      runsOf({ ...result, measurements: Object.fromEntries(names.map(name => [name, rows])) }).map(
        ([section]) => section,
      );
    expect(sections('latency', 'throughput')).toEqual(['run']);
    expect(sections('spaces', 'space-members')).toEqual(['spaces run']);
    expect(sections('throughput', 'spaces')).toEqual(['run', 'spaces run']);
  });
});
