import { describe, expect, it } from 'vitest';
import { formatNumber, formatRatio } from '../../../bench/report/numbers.js';
import { renderMarkdown, tablesOf } from '../../../bench/report/tables.js';
import { exampleResult } from './result.js';

describe('tables', () => {
  it('have a row for each case and adapter', () => {
    expect(tablesOf(exampleResult()).get('throughput')?.split('\n')).toEqual([
      '| bytes | library | messages/s | × | relay CPU, µs | × | clients CPU, µs | × |',
      '| --: | --- | --: | --: | --: | --: | --: | --: |',
      '| 64 | plain ws | 12,346 | 1.00 | 2.0 | 1.00 | 4.0 | 1.00 |',
      '| 64 | nostr & <co> | 3 | 0.0003 | 1,000.0 | 500 | 60.0 | 15.0 |',
      '| 1,048,576 | plain ws | 12,346 | 1.00 | 2.0 | 1.00 | 4.0 | 1.00 |',
      '| 1,048,576 | nostr & <co> | 3 | 0.0003 | 1,000.0 | 500 | 60.0 | 15.0 |',
    ]);
  });

  it('name what varies, and what sends to a room by what it does there', () => {
    const figure = { median: 1, ratio: 1, rounds: [1] };
    const figures = { upload: figure, senderCpu: figure, relayCpu: figure, memberCpu: figure };
    const result = {
      ...exampleResult(),
      adapters: [{ name: 'plain-ws', title: 'plain ws', room: 'plain ws, broadcast' }],
      measurements: { spaces: [{ adapter: 'plain-ws', case: { members: 1_000, size: 64 }, figures }] },
    };
    const [head, , row] = tablesOf(result).get('spaces')!.split('\n');
    expect(head).toMatch(/^\| members \| bytes \| library \| upload, bytes \|/);
    expect(row).toMatch(/^\| 1,000 \| 64 \| plain ws, broadcast \| 1 \|/);
  });

  it('are there for what was measured only', () => {
    expect([...tablesOf(exampleResult()).keys()]).toEqual(['throughput']);
  });

  it('come with the machine, the versions and what was left out', () => {
    const text = renderMarkdown(exampleResult());
    expect(text).toContain(
      'Node v20.19.0 on linux x64, 4 × A <fast> one, 8 GiB, load 0.5 before; 3 rounds of 300 ms',
    );
    expect(text).toContain('secure-websocket 1.2.3, ws 8.0.0');
    expect(text).toContain('Without libp2p: it needs Node 22');
    expect(text).toContain('## Throughput\n\n| bytes |');
  });
});

describe('numbers', () => {
  it.each([
    [1_234_567.8, 0, '1,234,568'],
    [3.14159, 1, '3.1'],
    [NaN, 1, '—'],
  ])('%d with %d digits is %s', (value, digits, expected) => {
    expect(formatNumber(value, digits)).toBe(expected);
  });

  it.each([
    [1, '1.00'],
    [0.5, '0.50'],
    [0.0123, '0.0123'],
    [12.34, '12.3'],
    [531.4, '531'],
    [null, '—'],
    [NaN, '—'],
  ])('the ratio %d is %s', (ratio, expected) => {
    expect(formatRatio(ratio)).toBe(expected);
  });
});
