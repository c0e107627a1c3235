import { readFile } from 'node:fs/promises';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { parseConfig } from '../../../src/cli/config-file.js';
import { relay } from '../../../src/cli/relay.js';
import { RELAY_SETTINGS } from '../../../src/cli/relay-settings.js';
import { GROUPS, type OptionPath, type Setting, variableOf } from '../../../src/cli/setting.js';
import { checkOptions } from '../../../src/relay/relay-options.js';
import { SETTINGS_FILE, settingsDocument } from '../../../scripts/settings-table.mjs';

const SETTINGS: readonly Setting[] = RELAY_SETTINGS;

describe('the settings of a relay', () => {
  it('are all of its options that are data', () => {
    type Covered = Extract<(typeof RELAY_SETTINGS)[number], { option: string }>['option'];
    // Lists that stand in the code itself: from outside they are files. And "spaces: false" is short for something else.
    type Inline = 'admission.allow' | 'admission.deny' | 'reach.rules' | 'spaces';
    expectTypeOf<Exclude<OptionPath, Covered | Inline>>().toEqualTypeOf<never>();
    const options = SETTINGS.flatMap(({ option }) => option ?? []);
    expect(new Set(options).size).toBe(options.length);
  });

  it('have names of one kind, each once', () => {
    const names = SETTINGS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    // `--no-x` is the opposite of `--x`.
    for (const name of names) expect(names).not.toContain(`no-${name}`);
    for (const { needs = [] } of SETTINGS) expect(names).toEqual(expect.arrayContaining([...needs]));
    expect(variableOf('max-frame')).toBe('SECURE_WEBSOCKET_MAX_FRAME');
  });

  it('have the defaults that the relay has', () => {
    const checked: unknown = checkOptions({ port: 0 });
    let compared = 0;
    for (const { option, kind, fallback } of SETTINGS) {
      if (option === undefined || option === 'port') continue;
      const actual = option
        .split('.')
        .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], checked);
      if (typeof actual !== 'number' && typeof actual !== 'boolean') continue;
      expect([option, kind.fromText(fallback)]).toEqual([option, actual]);
      compared += 1;
    }
    expect(compared).toBeGreaterThanOrEqual(18);
  });

  it('all stand in --help', () => {
    for (const heading of Object.values(GROUPS)) expect(relay.help).toContain(`\n${heading}:\n`);
    for (const { name, kind } of SETTINGS) {
      expect(relay.help).toMatch(
        new RegExp(`^ {2}(-\\w, | {4})--${name}${kind.value && ` ${kind.value}`}( |$)`, 'm'),
      );
    }
  });

  it('all stand in the documentation, as they are', async () => {
    const document = await readFile(SETTINGS_FILE, 'utf8');
    for (const { name } of SETTINGS) expect(document).toContain(`| \`${name}\` `);
    expect(document, 'run "npm run settings"').toBe(await settingsDocument());
  });

  it('are used rightly in the example of the documentation', async () => {
    const [, example = ''] = /```yaml\n([^]*?)```/.exec(await readFile(SETTINGS_FILE, 'utf8')) ?? [];
    const { entries, problems } = await parseConfig(example, 'relay.yaml', false);
    expect(problems).toEqual([]);
    expect(entries.length).toBeGreaterThan(5);
    for (const { key, value } of entries) {
      const setting = SETTINGS.find(({ name }) => name === key);
      for (const one of Array.isArray(value) ? (value as string[]) : [value as string])
        expect(() => setting?.kind.fromData(one)).not.toThrow();
      expect(setting).toBeDefined();
    }
  });
});
