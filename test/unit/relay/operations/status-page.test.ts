import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import { expect, it } from 'vitest';
import { STATUS_PAGE, STATUS_PAGE_POLICY } from '../../../../src/relay/operations/status-page.js';
import { DROP_REASONS } from '../../../../src/relay/relay-observer.js';

/** What stands between the tags of the only element of this name. */
function contentOf(name: string): string {
  const found = [...STATUS_PAGE.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))];
  expect(found).toHaveLength(1);
  return found[0]![1]!;
}

it('runs its own script and style under its policy, and nothing else', () => {
  for (const name of ['script', 'style']) {
    const hash = createHash('sha256').update(contentOf(name)).digest('base64');
    expect(STATUS_PAGE_POLICY).toContain(`${name}-src 'sha256-${hash}'`);
  }
  expect(STATUS_PAGE_POLICY).not.toContain('unsafe');
  // Neither of which a policy with hashes lets through.
  expect(STATUS_PAGE).not.toMatch(/<[^>]+\s(?:style|on\w+)=/);
});

it('has a script that can be parsed, and only asks for elements that are there', () => {
  const script = contentOf('script');
  expect(() => new Script(script)).not.toThrow();
  const ids = new Set([...STATUS_PAGE.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!));
  for (const [, id] of script.matchAll(/\b(?:at|show)\('([\w-]+)'[,)]/g)) expect(ids).toContain(id);
  for (const reason of DROP_REASONS) expect(ids).toContain(`drop-${reason}`);
});

it('can be read without seeing it', () => {
  expect(STATUS_PAGE).toContain('<html lang="en">');
  for (const [svg] of STATUS_PAGE.matchAll(/<svg[^>]*>/g))
    expect(svg).toMatch(/role="img" aria-label="[^"]+"/);
  for (const [row] of STATUS_PAGE.matchAll(/<tr.*?<\/tr>/gs)) expect(row).toContain('<th scope="row">');
  expect(STATUS_PAGE).toContain('id="contact" role="alert"');
});
