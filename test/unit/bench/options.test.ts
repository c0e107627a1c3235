import { describe, expect, it } from 'vitest';
import { parseOptions as parseBrowserOptions } from '../../../bench/browser/options.js';
import { UsageError } from '../../../bench/option-values.js';
import { parseOptions } from '../../../bench/options.js';

describe('the options of npm run bench', () => {
  it('have defaults', () => {
    const options = parseOptions([]);
    expect(options).toMatchObject({
      sizes: [64, 1024, 16384, 1048576],
      receivers: [1, 10, 100, 1000],
      connections: 1000,
      members: [10, 100, 1000],
      rounds: 5,
      duration: 1000,
      json: false,
      report: false,
      from: undefined,
    });
    expect(options.adapters.slice(0, 2)).toEqual(['plain-ws', 'secure-websocket']);
    expect(options.only).toEqual([
      'throughput',
      'latency',
      'connections',
      'fan-out',
      'spaces',
      'space-members',
      'space-backlog',
    ]);
  });

  it('are read', () => {
    const args = [
      '--sizes',
      '64, 1024',
      '--rounds=9',
      '--adapters',
      'json-box,plain-ws',
      '--only',
      'latency',
    ];
    expect(parseOptions([...args, '--json', '--svg', 'chart.svg'])).toMatchObject({
      sizes: [64, 1024],
      rounds: 9,
      // What is compared with comes first.
      adapters: ['plain-ws', 'json-box'],
      only: ['latency'],
      json: true,
      svg: 'chart.svg',
    });
  });

  it('ascend, each once: receivers are added, never taken away', () => {
    expect(parseOptions(['--receivers', '100,1,10,1']).receivers).toEqual([1, 10, 100]);
  });

  it.each([
    [['--sizes', '64,many'], /--sizes takes whole numbers from 1 to 33554432, .* not "64,many"/],
    [['--sizes', '0'], /--sizes takes .* not "0"/],
    [['--sizes', ''], /--sizes takes .* not ""/],
    [['--sizes', '33554433'], /--sizes takes/],
    [['--rounds', '1.5'], /--rounds takes a whole number from 1 .* not "1.5"/],
    [['--duration', '1e3'], /--duration takes a whole number of milliseconds .* not "1e3"/],
    [['--timeout', '0x10'], /--timeout takes/],
    [['--adapters', 'plain-ws,websocket'], /--adapters takes names out of plain-ws, .* not "websocket"/],
    [['--only', 'speed'], /--only takes names out of throughput, .* not "speed"/],
    [['--connections', '-5'], /--connections/],
    // One who sends, and one who is sent to.
    [['--members', '1,10'], /--members takes whole numbers from 2 .* not "1,10"/],
    [['--rounds'], /--rounds/],
    [['--fast'], /--fast/],
    [['everything'], /everything/],
  ])('%j is an error that says what is wrong', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('the options of npm run bench:browser', () => {
  it('have defaults, and are read', () => {
    expect(parseBrowserOptions(['--duration', '20'])).toMatchObject({ rounds: 5, duration: 20, json: false });
  });

  it('are checked', () => {
    expect(() => parseBrowserOptions(['--sizes', 'x'])).toThrow(UsageError);
    expect(() => parseBrowserOptions(['--adapters', 'plain-ws'])).toThrow(/--adapters/);
  });
});
