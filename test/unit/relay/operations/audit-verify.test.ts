import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog, verifyAuditLog } from '../../../../src/relay/operations/audit-log.js';
import { MAX_AUDIT_LINE } from '../../../../src/relay/operations/audit-record.js';
import { linesOf, MemorySink, parse, stream } from '../../../support/audit.js';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'audit-test-'));
  file = join(directory, 'audit.log');
});
afterEach(() => rm(directory, { recursive: true }));

/** A copy of `lines` with `count` of them, from `at` on, replaced. */
function spliced(lines: readonly string[], at: number, count: number, ...others: string[]): string[] {
  const copy = [...lines];
  copy.splice(at, count, ...others);
  return copy;
}

describe('a log that is verified', () => {
  async function logOf(count: number, network = '192.0.2'): Promise<{ lines: string[]; head: string }> {
    const sink = new MemorySink();
    const log = await AuditLog.open({ sink }, () => undefined);
    for (let i = 0; i < count; i++) log.limited({ limit: 'frames', remoteAddress: `${network}.${i}` });
    await log.close();
    return { lines: sink.lines, head: log.head };
  }

  const wrong = (lines: readonly string[], head?: string): Promise<string> =>
    verifyAuditLog(stream(lines), head).then(
      () => 'nothing',
      (error: unknown) => {
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        return (error as Error).message;
      },
    );

  it('shows any line that was removed, and with its head its end, too', async () => {
    const { lines, head } = await logOf(12);
    for (let i = 0; i < lines.length - 1; i++) {
      expect(await wrong(spliced(lines, i, 1))).toMatch(
        new RegExp(`^Line ${i + 1} is record number ${i + 1}: `),
      );
    }
    for (let i = 0; i < lines.length; i++) {
      expect(await wrong(lines.slice(0, i))).toBe('nothing');
      expect(await wrong(lines.slice(0, i), head)).toContain('its end was removed');
    }
    expect(await wrong(lines, head)).toBe('nothing');
    // The log may have grown since somebody noted its head.
    expect(await wrong(lines, parse(lines[5]!)['hash'] as string)).toBe('nothing');
    expect(await wrong(lines, head.toUpperCase())).toBe('nothing');
    expect(await wrong(lines, 'f'.repeat(64))).toContain('its end was removed');
    expect(await wrong(lines, 'short')).toContain('A head is 64 hex digits');
  });

  it('shows any character that was changed, and names the line', async () => {
    const { lines } = await logOf(4);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(lines.length - 1),
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
        async (at, position, character) => {
          const line = lines[at]!;
          const i = position % line.length;
          fc.pre(line[i] !== character);
          const changed = spliced(lines, at, 1, line.slice(0, i) + character + line.slice(i + 1));
          expect(await wrong(changed)).toMatch(new RegExp(`^Line ${at + 1} `));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('shows lines that were moved, doubled or added', async () => {
    const { lines, head } = await logOf(8);
    const index = fc.nat(lines.length - 1);
    await fc.assert(
      fc.asyncProperty(index, index, fc.string(), async (from, to, text) => {
        fc.pre(!text.includes('\n'));
        if (from !== to) {
          const swapped = spliced(spliced(lines, from, 1, lines[to]!), to, 1, lines[from]!);
          expect(await wrong(swapped)).toMatch(new RegExp(`^Line ${Math.min(from, to) + 1} `));
        }
        expect(await wrong(spliced(lines, to, 0, lines[from]!), head)).not.toBe('nothing');
        expect(await wrong(spliced(lines, to, 0, text))).toMatch(new RegExp(`^Line ${to + 1} `));
        expect(await wrong([...lines, text])).toMatch(new RegExp(`^Line ${lines.length + 1} `));
      }),
    );
  });

  it('shows a line with the right hash in the wrong place', async () => {
    const [one, two] = [await logOf(3), await logOf(3, '198.51.100')];
    expect(await wrong(spliced(two.lines, 2, 1, one.lines[2]!))).toMatch(/^Line 3 does not follow/);
  });

  it('shows what is torn when nothing names it, and a name without anything torn', async () => {
    await (await AuditLog.open({ file }, () => undefined)).close();
    await appendFile(file, '{"sequence":2,"ti');
    await expect(verifyAuditLog([file])).rejects.toThrow(`${file}, line 3, is not whole`);
    await (await AuditLog.open({ file }, () => undefined)).close();
    const lines = await linesOf(file);
    expect(parse(lines[3]!)).toMatchObject({ event: 'opened', why: 'start', torn: { bytes: 17 } });
    expect(await verifyAuditLog([file])).toMatchObject({ lines: 4, torn: 1 });
    expect(await wrong(spliced(lines, 2, 1))).toMatch(/^Line 3 names the beginning of a line before it/);
    expect(await wrong(spliced(lines, 2, 1, '{"sequence":2,"tI'))).toMatch(/^Line 3 is no whole record/);
  });

  it('is read in bounded memory', async () => {
    expect(await wrong(['x'.repeat(MAX_AUDIT_LINE + 1)])).toContain('is longer than');
    expect(await wrong(Array<string>(1_000).fill('x'.repeat(1_000)))).toBe('Line 1 is no record.');
    await writeFile(file, Buffer.alloc(10_000_000, 'x'));
    await expect(verifyAuditLog([file])).rejects.toThrow(`${file}, line 1, is longer than`);
  });

  it('says which file cannot be read', async () => {
    for (const path of [directory, join(directory, 'missing')]) {
      await expect(verifyAuditLog([path])).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`${path} cannot be read`) as string,
      });
    }
  });

  it('never crashes, whatever is given', async () => {
    const { lines } = await logOf(2);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string(), fc.json(), fc.constantFrom(...lines)), { maxLength: 6 }),
        async given => {
          await wrong(given);
        },
      ),
    );
  });

  it.runIf(process.platform === 'linux')('can be verified with tools that are everywhere', async () => {
    await (await AuditLog.open({ file }, () => undefined)).close();
    const script = `tail -n 1 "$1" | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\\n' | sha256sum | cut -c 1-64`;
    const hash = execFileSync('sh', ['-c', script, 'sh', file], { encoding: 'utf8' }).trim();
    expect(hash).toBe(parse((await linesOf(file)).at(-1)!)['hash']);
  });
});
