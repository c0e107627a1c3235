// The benchmark runs: every message arrives, and the result has its shape. How fast is not asked here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Result } from '../../bench/suite.js';
import { repository, requireBuild } from './installed-package.js';

beforeAll(requireBuild);

/** Those that need no further packages. */
const ADAPTERS = ['plain-ws', 'secure-websocket', 'json-box'];
const IN_ROOMS = ['plain-ws', 'secure-websocket', 'secure-websocket-wrapped', 'secure-websocket-each'];

async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['bench/run.js', ...args], { cwd: repository, stdio: 'pipe' });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, stdout, stderr };
}

describe('npm run bench', () => {
  const quick = [
    ...['--rounds', '1', '--duration', '5', '--sizes', '1,70000', '--receivers', '1,3', '--connections', '8'],
    ...['--adapters', ADAPTERS.join()],
  ];

  it('measures everything, and every message arrives', async () => {
    const only = ['--only', 'throughput,latency,connections,fan-out'];
    const { code, stdout, stderr } = await bench('--json', ...quick, ...only);
    expect(stderr).not.toMatch(/arrive|ended|error/i);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Result;
    expect(result.adapters.map(({ name }) => name)).toEqual(ADAPTERS);
    expect(result).toMatchObject({
      machine: { node: process.version },
      options: { rounds: 1, duration: 5, sizes: [1, 70000], receivers: [1, 3], connections: 8 },
      skipped: [],
    });
    expect(Object.keys(result.versions)).toEqual(
      expect.arrayContaining(['secure-websocket', 'ws', 'libsodium-wrappers']),
    );
    const shape = (name: string): unknown[] =>
      result.measurements[name]!.map(({ adapter, case: of, figures }) => [adapter, of, Object.keys(figures)]);
    const rows = (cases: object[], figures: string[]): unknown[] =>
      cases.flatMap(of => ADAPTERS.map(adapter => [adapter, of, figures]));
    const rate = ['rate', 'relayCpu', 'clientsCpu'];
    expect(shape('throughput')).toEqual(rows([{ size: 1 }, { size: 70000 }], rate));
    expect(shape('latency')).toEqual(rows([{}], ['median', 'p99', 'roundTrips']));
    expect(shape('connections')).toEqual(rows([{}], [...rate, 'memory']));
    expect(shape('fan-out')).toEqual(rows([{ receivers: 1 }, { receivers: 3 }], rate));
    for (const { figures } of result.measurements['throughput']!) {
      expect(figures['rate']!.rounds).toHaveLength(1);
      expect(figures['rate']!.median).toBeGreaterThan(0);
      expect(figures['rate']!.ratio).toBeGreaterThan(0);
    }
  });

  it('measures rooms, and every message reaches every member', async () => {
    const args = ['--rounds', '1', '--duration', '5', '--sizes', '1,70000', '--members', '2,5'];
    const { code, stdout, stderr } = await bench(
      ...['--json', ...args, '--only', 'spaces,space-members,space-backlog', '--adapters', IN_ROOMS.join()],
    );
    expect(stderr).not.toMatch(/arrive|ended|error/i);
    expect(code).toBe(0);
    const { adapters, measurements } = JSON.parse(stdout) as Result;
    expect(adapters.map(({ name }) => name)).toEqual(IN_ROOMS);
    const shape = (name: string): unknown[] =>
      measurements[name]!.map(({ adapter, case: of, figures }) => [adapter, of, Object.keys(figures)]);
    const rows = (cases: object[], figures: string[]): unknown[] =>
      cases.flatMap(of => IN_ROOMS.map(adapter => [adapter, of, figures]));
    // What is larger is no message to a room.
    const cases = [2, 5].map(members => ({ members, size: 1 }));
    expect(shape('spaces')).toEqual(rows(cases, ['upload', 'senderCpu', 'relayCpu', 'memberCpu']));
    expect(shape('space-members')).toEqual(
      rows(
        [{ members: 2 }, { members: 5 }],
        ['rate', 'relayCpu', 'memberCpu', 'memory', 'firstUpload', 'firstCpu'],
      ),
    );
    expect(shape('space-backlog')).toEqual(rows([{ members: 2 }, { members: 5 }], ['memory']));
    const upload = (adapter: string, members: number): number =>
      measurements['spaces']!.find(row => row.adapter === adapter && row.case['members'] === members)!
        .figures['upload']!.median;
    // One encryption per member is as many uploads as there are others; what a frame takes is not counted twice.
    expect(upload('plain-ws', 5)).toBe(upload('plain-ws', 2));
    expect(upload('secure-websocket-each', 5)).toBeGreaterThan(3 * upload('secure-websocket-each', 2));
  });

  it('writes tables', async () => {
    const { code, stdout } = await bench(...quick, '--only', 'latency', '--adapters', 'plain-ws');
    expect(code).toBe(0);
    expect(stdout).toMatch(/## Latency\n\n\|.*round trip.*\n.*\n\| plain ws \|/);
  });

  it.each([
    [['--sizes', 'many'], '--sizes'],
    [['--quickly'], '--quickly'],
  ])('%j ends with 2 and what there is', async (args, option) => {
    const { code, stdout, stderr } = await bench(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(option);
    expect(stderr).toContain('npm run bench -- [options]');
  });
});
