import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecureWebSocketError } from '../../../../src/core/errors.js';
import { ReachRules } from '../../../../src/relay/admission/reach-rules.js';
import { keyOf, someKey } from '../../../support/public-keys.js';

const a = keyOf('a');
const b = keyOf('b');
const c = keyOf('c');

const parse = (...lines: string[]) => ReachRules.parse('rules', lines.join('\n'));

describe('ReachRules', () => {
  it('says no where there is no rule', async () => {
    expect((await parse()).allows(a, b)).toBe(false);
    expect((await parse(`allow ${a} ${b}`)).allows(b, a)).toBe(false);
  });

  it('goes by the first rule that fits', async () => {
    const rules = await parse(
      '# nobody talks to c, but a does',
      `allow ${a} ${c}`,
      `deny * ${c}`,
      `deny ${b} *   # b listens only`,
      'allow * *',
    );
    expect(rules.size).toBe(4);
    expect(rules.allows(a, c)).toBe(true);
    expect(rules.allows(b, c)).toBe(false);
    expect(rules.allows(b, a)).toBe(false);
    expect(rules.allows(a, b)).toBe(true);
  });

  it('does not look for the one that fits best', async () => {
    const rules = await parse('allow * *', `deny ${a} ${b}`);
    expect(rules.allows(a, b)).toBe(true);
    const same = await parse(`deny ${a} ${b}`, `allow ${a} ${b}`);
    expect(same.allows(a, b)).toBe(false);
  });

  it.each([
    ['permit * *', 'A rule is "allow" or "deny"'],
    ['allow *', 'two public keys'],
    [`allow ${a} ${b} ${c}`, 'two public keys'],
    [`Allow ${a} ${b}`, '"allow" or "deny"'],
    ['allow ** *', '64 hex characters'],
    [`allow * ${a.toUpperCase()}`, 'lowercase'],
    [`allow * ${'0'.repeat(64)}`, 'low order'],
  ])('refuses %s', async (line, message) => {
    await expect(ReachRules.parse('/etc/reach', `allow * *\n${line}`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^\/etc\/reach, line 2: /) as string,
    });
    await expect(parse(line)).rejects.toThrow(message);
  });

  it('finds its way among 100,000 rules', async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `${i % 2 ? 'allow' : 'deny'} ${keyOf(i)} *`);
    const rules = await ReachRules.parse('rules', lines);
    expect(rules.size).toBe(100_000);
    expect(rules.allows(keyOf(99_999), a)).toBe(true);
    expect(rules.allows(keyOf(99_998), a)).toBe(false);
  }, 60_000);

  it('decides as somebody who reads from the first to the last', async () => {
    const party = fc.oneof(fc.constant('*'), someKey());
    const rule = fc.record({ allow: fc.boolean(), from: party, to: party });
    const space = fc.constantFrom(' ', '\t', '  ');
    await fc.assert(
      fc.asyncProperty(fc.array(rule, { maxLength: 12 }), space, fc.boolean(), async (list, gap, file) => {
        const lines = list.map(({ allow, from, to }) => [allow ? 'allow' : 'deny', from, to].join(gap));
        const rules = await ReachRules.parse('rules', file ? lines.join('\n') : lines);
        for (const from of [0, 1, 2, 3].map(keyOf)) {
          for (const to of [0, 1, 2, 3].map(keyOf)) {
            const first = list.find(each => ['*', from].includes(each.from) && ['*', to].includes(each.to));
            expect(rules.allows(from, to)).toBe(first?.allow ?? false);
          }
        }
      }),
    );
  });

  it('refuses any other text with INVALID_ARGUMENT', async () => {
    const word = fc.constantFrom('allow', 'deny', '*', a, b, ' ', '\n', '#', '\0', 'x', '__proto__');
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(word).map(words => words.join(' ')),
        ),
        async text => {
          const error: unknown = await ReachRules.parse('rules', text).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          if (error !== undefined) {
            expect(error).toBeInstanceOf(SecureWebSocketError);
            expect((error as SecureWebSocketError).code).toBe('INVALID_ARGUMENT');
            return;
          }
          for (const line of text.split('\n')) {
            const rest = line.split('#')[0]!.trim();
            if (rest !== '') expect(rest).toMatch(/^(allow|deny)\s+(\*|[0-9a-f]{64})\s+(\*|[0-9a-f]{64})$/);
          }
        },
      ),
    );
  });
});
