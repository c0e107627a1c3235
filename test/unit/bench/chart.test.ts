import { expect, it } from 'vitest';
import { renderChart } from '../../../bench/report/chart.js';
import { exampleResult } from './result.js';

/** The bars of a chart: where each begins, and how long it is. */
function bars(svg: string): { x: number; width: number }[] {
  return [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map(([, x, width]) => ({
    x: Number(x),
    width: Number(width),
  }));
}

it('has a bar for each size and adapter, on a logarithmic scale', () => {
  const svg = renderChart(exampleResult());
  const [plain, nostr, ...others] = bars(svg);
  expect(others).toHaveLength(2);
  expect(nostr!.x).toBe(plain!.x);
  // The axis goes from 0.0001 to 1; 0.00026 is about a tenth of the way.
  expect(nostr!.width / plain!.width).toBeCloseTo(Math.log10(2.6) / 4, 3);
});

it('says what it shows', () => {
  const svg = renderChart(exampleResult());
  for (const text of ['64 bytes', '1,048,576 bytes', '12,346/s', '3.3/s', '0.0003×', '0.001×', '1×']) {
    expect(svg).toContain(`>${text}</text>`);
  }
});

it('is well-formed whatever names are', () => {
  const svg = renderChart(exampleResult());
  expect(svg).toContain('nostr &amp; &lt;co>');
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" /);
  const stack: string[] = [];
  for (const [, close, name, empty] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (close === '/') expect(stack.pop()).toBe(name);
    else if (empty === '') stack.push(name!);
  }
  expect(stack).toEqual([]);
});

it('keeps everything inside', () => {
  const svg = renderChart(exampleResult());
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
  for (const { x, width: length } of bars(svg)) expect(x + length).toBeLessThan(width!);
  for (const [, y] of svg.matchAll(/ y="([\d.]+)"/g)) expect(Number(y)).toBeLessThan(height!);
});

it('takes a throughput with that of plain ws', () => {
  expect(() => renderChart({ ...exampleResult(), measurements: {} })).toThrow(/throughput/);
});
