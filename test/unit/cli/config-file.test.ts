import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig, readConfigFile } from '../../../src/cli/config-file.js';
import { UsageError } from '../../../src/cli/exit-code.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-file-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const yaml = (text: string) => parseConfig(text, 'relay.yaml', false);
const json = (text: string) => parseConfig(text, 'relay.json', true);

describe('a file of settings', () => {
  it('says which setting stands in which line', async () => {
    expect(
      await yaml('# comment\nport: 80\n\npublic-url:\n  - wss://a\n  - wss://b\nexclusive: true\n'),
    ).toEqual({
      entries: [
        { key: 'port', value: 80, line: 2 },
        { key: 'public-url', value: ['wss://a', 'wss://b'], line: 4 },
        { key: 'exclusive', value: true, line: 7 },
      ],
      problems: [],
    });
    expect(await json('{\n\t"port": 80,\n\t"public-url": ["wss://a"]\n}')).toEqual({
      entries: [
        { key: 'port', value: 80, line: 2 },
        { key: 'public-url', value: ['wss://a'], line: 3 },
      ],
      problems: [],
    });
  });

  it.each(['', '# nothing\n', '---\n'])('may say nothing: %j', async text => {
    expect(await yaml(text)).toEqual({ entries: [], problems: [] });
  });

  it.each([
    ['port: 1\nhost: a\nport: 2', 'relay.yaml:3: port is there already, in line 1.'],
    ['port: &a 1', 'relay.yaml:1: port must have one value'],
    ['host: &a [x]', 'relay.yaml:1: host must have one value'],
    ['port: 1\nhost: *a', 'relay.yaml:2: '],
    ['port: !!binary aGVsbG8=', 'relay.yaml:1: '],
    ['port: !secret 1', 'relay.yaml:1: '],
    ['port:', 'relay.yaml:1: port must have one value, or a list of them.'],
    ['tls:\n  cert: x', 'relay.yaml:1: tls must have one value, or a list of them.'],
    ['public-url: [a, [b]]', 'relay.yaml:1: public-url must be a list of plain values.'],
    ['public-url: [a, ]\nhost: [null]', 'relay.yaml:2: host must be a list of plain values.'],
    ['- port', 'relay.yaml must be one mapping of names to values, such as "port: 8080".'],
    ['port', 'relay.yaml must be one mapping'],
    ['port: 1\n---\nport: 2', 'relay.yaml:2: '],
    ['? [port]\n: 1', 'relay.yaml:1: '],
    ['port: "1', 'relay.yaml:1: '],
    ['port: 1\n\thost: x', 'relay.yaml:2: '],
    ...[
      '['.repeat(20_000),
      `${']'.repeat(20_000)}${'['.repeat(20_000)}`,
      Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:\n#\n\n`).join(''),
      '{a: '.repeat(20_000),
      '- '.repeat(20_000),
      '? '.repeat(20_000),
      'a: '.repeat(20_000),
      Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}-\n`).join(''),
    ].map(text => [text, 'relay.yaml holds lists in lists'] as const),
  ] as const)('is wrong: %.40j', async (text, message) => {
    const { problems } = await yaml(text);
    expect(problems[0]).toContain(message);
    expect(problems.length).toBeLessThanOrEqual(3);
    for (const problem of problems) expect(problem.length).toBeLessThan(300);
  });

  it.each([
    ['{"port": 1, "port": 2}', 'relay.json:1: port is there already, in line 1.'],
    ['{"port": 1,}', 'relay.json is no JSON: '],
    ['port: 1', 'relay.json is no JSON: '],
    ['', 'relay.json is no JSON: '],
    ['[1]', 'relay.json must be one mapping'],
    ['{"port": null}', 'relay.json:1: port must have one value'],
  ])('is wrong: %s', async (text, message) => {
    expect((await json(text)).problems[0]).toContain(message);
  });

  it('is not expanded: an alias of aliases stays short', async () => {
    const bomb = [
      'a: &a [x, x]',
      ...[...'bcdefghij'].map((key, at) => `${key}: &${key} [*${'abcdefghi'[at]}, *${'abcdefghi'[at]}]`),
    ];
    const { entries, problems } = await yaml(bomb.join('\n'));
    expect(entries).toEqual([]);
    expect(problems).toHaveLength(10);
  });

  it('may be indented in many ways, and hold brackets in text', async () => {
    const lists = Array.from({ length: 40 }, (_, depth) => `name-${depth}:\n${' '.repeat(depth + 1)}- x\n`);
    expect((await yaml(lists.join(''))).entries).toHaveLength(40);
    expect(
      (await yaml(`# ${'['.repeat(40)}\nhost: "${'['.repeat(40)}"\npath: /${'- '.repeat(40)}x`)).entries,
    ).toHaveLength(2);
    expect((await yaml('a: [x, - y]\n'.repeat(2))).problems).not.toEqual([]);
  });

  it('has many names, and takes no time for them', async () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `name-${index}: 1`);
    expect((await yaml(names.join('\n'))).entries).toHaveLength(20_000);
  });

  it('may have a name that objects have anyway', async () => {
    expect((await json('{"__proto__": 1, "constructor": 2}')).entries.map(({ key }) => key)).toEqual([
      '__proto__',
      'constructor',
    ]);
  });

  it('never crashes anything, whatever it is', async () => {
    const pieces = fc.constantFrom(
      'port',
      ': ',
      '\n',
      '- ',
      '&a',
      '*a',
      '!!',
      '{',
      '}',
      '[',
      ']',
      '"',
      '|',
      '?',
      '\t',
      '#',
      '%',
      '---',
      '<<',
      ',',
      '1',
      ' ',
    );
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
      fc.json(),
    );
    await fc.assert(
      fc.asyncProperty(anything, fc.boolean(), async (text, isJson) => {
        const { entries, problems } = await parseConfig(text, 'file', isJson);
        for (const { value } of entries) {
          for (const one of Array.isArray(value) ? (value as unknown[]) : [value])
            expect(['string', 'number', 'boolean']).toContain(typeof one);
        }
        for (const problem of problems) expect(problem).toMatch(/^file/);
      }),
      { numRuns: 500 },
    );
  });

  it('is understood when it is JSON, like JSON', async () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.array(fc.oneof(fc.string(), fc.boolean())),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string({ maxLength: 20 }), value),
        fc.constantFrom(0, 2),
        async (given, indent) => {
          const { entries, problems } = await json(JSON.stringify(given, null, indent));
          expect(problems).toEqual([]);
          expect(new Map(entries.map(({ key, value: read }) => [key, read]))).toEqual(
            new Map(Object.entries(given)),
          );
        },
      ),
    );
  });
});

describe('reading one', () => {
  it('takes the names that say what is in it', async () => {
    for (const name of ['a.yaml', 'a.yml', 'a.YAML']) {
      expect((await readConfigFile(await write(name, '\uFEFFport: 1'))).entries).toEqual([
        { key: 'port', value: 1, line: 1 },
      ]);
    }
    expect((await readConfigFile(await write('a.json', '{"port": 1}'))).entries).toHaveLength(1);
    await expect(readConfigFile(await write('a.toml', 'port = 1'))).rejects.toThrow(
      /^The configuration file \S+a\.toml must end in \.json, \.yaml or \.yml/,
    );
  });

  it.each([
    ['is not there', 'no.yaml', undefined, /no\.yaml cannot be read \(ENOENT/],
    ['is too large', 'large.yaml', `# ${'x'.repeat(1_048_576)}`, /large\.yaml is larger than 1 MiB/],
    [
      'is not UTF-8',
      'latin.yaml',
      Uint8Array.of(0x68, 0xff),
      /latin\.yaml cannot be read \(it is not UTF-8\)/,
    ],
  ])('refuses one that %s', async (_what, name, content, message) => {
    const path = content === undefined ? join(folder, name) : await write(name, content);
    await expect(readConfigFile(path)).rejects.toThrow(message);
    await expect(readConfigFile(path)).rejects.toBeInstanceOf(UsageError);
  });

  it('takes one that is just as large as it may be', async () => {
    const path = await write('full.yaml', `port: 1 #${'x'.repeat(1_048_576 - 9)}`);
    expect((await readConfigFile(path)).entries).toHaveLength(1);
  });
});
