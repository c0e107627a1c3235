import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';

/** Third-party test vectors lie beside the repository. */
const FOLDER = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url));

/**
 * Runs `tests` with the parsed content of one vector file. Without the file it says so on the console and leaves a
 * skipped suite of that name in the report: vectors that did not run must not look like vectors that passed.
 */
export function describeVectors(title: string, file: string, tests: (content: unknown) => void): void {
  if (existsSync(FOLDER + file)) {
    describe(title, () => {
      tests(JSON.parse(readFileSync(FOLDER + file, 'utf8')));
    });
    return;
  }
  const notice = `${title}: vectors not found (${FOLDER}${file}): NOT RUN`;
  console.warn(notice);
  describe.skip(notice, () => {
    it('was not run', () => undefined);
  });
}
