import path from 'node:path';
import { Linter } from 'eslint';
import { describe, expect, it } from 'vitest';
import { layers } from '../../../scripts/eslint-layers.mjs';

/** What the rule has to say of a source in a file below src. */
function complaints(file: string, code: string): string[] {
  const linter = new Linter({ cwd: process.cwd() });
  const config = { plugins: { own: { rules: { layers } } }, rules: { 'own/layers': 'error' as const } };
  return linter
    .verify(code, config, { filename: path.join(process.cwd(), 'src', file) })
    .map(({ message }) => message.slice(0, message.indexOf(':')));
}

describe('imports point down only', () => {
  it.each([
    ['core/a.js', "import './noise/b.js'; import '#crypto'"],
    [
      'crypto/a.js',
      "import '../core/b.js'; import './b.js'; import 'node:crypto'; import('libsodium-wrappers')",
    ],
    ['core/noise/a.js', "export * from '../b.js'"],
    [
      'link/a.js',
      "import '../core/b.js'; import './platform/b.js'; import '#platform'; import 'ws'; import 'node:net'",
    ],
    ['socket/a.js', "import '../core/b.js'; import '../link/b.js'; import '#platform'"],
    ['relay/a.js', "import '../core/b.js'; import '../link/b.js'; import 'node:http'"],
    ['cli/a.js', "import '../index.js'; import '../relay/b.js'; import '../socket/b.js'"],
    ['index.js', "export * from './socket/a.js'; export * from './core/b.js'"],
  ])('as in %s: %s', (file, code) => {
    expect(complaints(file, code)).toEqual([]);
  });

  it.each([
    ['core/a.js', "import '../link/b.js'", 'src/core must not import from src/link'],
    ['core/a.js', "export { b } from '../socket/b.js'", 'src/core must not import from src/socket'],
    ['core/noise/a.js', "export * from '../../relay/b.js'", 'src/core must not import from src/relay'],
    ['core/a.js', "import('../index.js')", 'src/core must not import from src'],
    ['core/a.js', "import 'node:fs'", 'src/core must not import "node'],
    ['core/a.js', "import('libsodium-wrappers')", 'src/core must not import "libsodium-wrappers"'],
    ['core/a.js', "import '../crypto/b.js'", 'src/core must not import from src/crypto'],
    ['crypto/a.js', "import '../link/b.js'", 'src/crypto must not import from src/link'],
    ['link/a.js', "import '../crypto/b.js'", 'src/link must not import from src/crypto'],
    ['core/a.js', "import('ws')", 'src/core must not import "ws"'],
    ['core/a.js', "import '#platform'", 'src/core must not import "#platform"'],
    ['link/platform/a.js', "import '../../socket/b.js'", 'src/link must not import from src/socket'],
    ['link/a.js', "import '../cli/b.js'", 'src/link must not import from src/cli'],
    ['socket/a.js', "import '../relay/b.js'", 'src/socket must not import from src/relay'],
    ['relay/a.js', "import '../socket/b.js'", 'src/relay must not import from src/socket'],
    ['relay/a.js', "import '../server.js'", 'src/relay must not import from src'],
    ['server.js', "import './cli/b.js'", 'src must not import from src/cli'],
    [
      'link/a.js',
      "import '../../test/b.js'",
      'src must not import "../../test/b.js", which is not part of the package',
    ],
  ])('not as in %s: %s', (file, code, complaint) => {
    expect(complaints(file, code)).toEqual([complaint]);
  });
});
