// Which back end of the cryptography the published package uses, where, and what it does without it.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build as esbuild } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPackage, removeFolder, repository, requireBuild } from './installed-package.js';
import { bundleForPage, type PageBundle } from './page-bundle.js';

beforeAll(requireBuild);

describe('In Node', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await installPackage();
  });
  afterAll(() => removeFolder(folder));

  const load = {
    import: (entry: string) => `import { Identity } from '${entry}';`,
    require: (entry: string) => `const { Identity } = require('${entry}');`,
  };

  /** Prints the name of the back end; whatever else is printed, warnings too, is in the result. */
  function backEnd(how: keyof typeof load, entry: string, environment: object = {}): Promise<string> {
    const file = path.join(folder, how === 'import' ? 'program.mjs' : 'program.cjs');
    fs.writeFileSync(
      file,
      `${load[how](entry)}
       Identity.generate().then(({ crypto }) => console.log(crypto.name), error => console.log(error.code, error.message));`,
    );
    const { SECURE_WEBSOCKET_CRYPTO: _, NODE_OPTIONS: _options, ...env } = process.env;
    return new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [file],
        { cwd: folder, env: { ...env, ...environment } },
        (error, stdout, stderr) => {
          if (error) reject(new Error(stdout + stderr, { cause: error }));
          else resolve((stdout + stderr).trim());
        },
      );
    });
  }

  describe.each(['import', 'require'] as const)('by %s', how => {
    it.each(['secure-websocket', 'secure-websocket/server'])(
      '%s uses node:crypto and libsodium',
      async entry => {
        expect(await backEnd(how, entry)).toBe('node');
      },
    );

    it('secure-websocket/lite uses noble, whatever the environment says', async () => {
      expect(await backEnd(how, 'secure-websocket/lite')).toBe('noble');
      const environment = { SECURE_WEBSOCKET_CRYPTO: 'libsodium' };
      expect(await backEnd(how, 'secure-websocket/lite', environment)).toBe('noble');
    });

    it.each(['libsodium', 'node', 'noble'])('the environment can choose %s', async name => {
      expect(await backEnd(how, 'secure-websocket', { SECURE_WEBSOCKET_CRYPTO: name })).toBe(name);
    });

    it('says what to do when sodium-native is chosen and not installed', async () => {
      const said = await backEnd(how, 'secure-websocket', { SECURE_WEBSOCKET_CRYPTO: 'sodium-native' });
      expect(said).toMatch(/^INVALID_ARGUMENT SECURE_WEBSOCKET_CRYPTO is "sodium-native".*install it/);
    });
  });

  it('sodium-native is not installed with the package', () => {
    expect(fs.existsSync(path.join(folder, 'node_modules/sodium-native'))).toBe(false);
  });

  describe.each([
    ['is used', (native: string) => native, 'sodium-native'],
    ['has no binary for this machine, and is passed over', withoutBinaries, 'node'],
    ['is another package of that name, and is passed over', emptyPackage, 'node'],
  ])('installed, it %s', (_, prepare, expected) => {
    const native = () => path.join(folder, 'node_modules/sodium-native');
    beforeAll(() => {
      for (const name of [
        'sodium-native',
        'require-addon',
        'which-runtime',
        'bare-addon-resolve',
        'bare-module-resolve',
        'bare-semver',
      ]) {
        const from = path.join(repository, 'node_modules', name);
        if (fs.existsSync(from))
          fs.cpSync(from, path.join(folder, 'node_modules', name), { recursive: true });
      }
      prepare(native());
    });
    afterAll(() => removeFolder(native()));

    it.each(['import', 'require'] as const)('by %s', async how => {
      expect(await backEnd(how, 'secure-websocket')).toBe(expected);
    });
  });

  it('a bundler that finds sodium-native leaves it where it is, as it does when there is none', async () => {
    for (const platform of ['node', 'browser'] as const) {
      const { metafile, warnings } = await esbuild({
        stdin: { contents: "export * from 'secure-websocket';", resolveDir: repository },
        bundle: true,
        write: false,
        metafile: true,
        platform,
        format: 'esm',
        logLevel: 'silent',
        outdir: 'out',
      });
      expect(JSON.stringify(warnings)).not.toContain('sodium-native');
      expect(Object.keys(metafile.inputs).filter(name => name.includes('sodium-native'))).toEqual([]);
    }
  });
});

function withoutBinaries(native: string): void {
  removeFolder(path.join(native, 'prebuilds'));
}

function emptyPackage(native: string): void {
  fs.writeFileSync(path.join(native, 'index.js'), 'module.exports = {};');
}

describe('A page with secure-websocket/lite', () => {
  let bundle: PageBundle;
  beforeAll(async () => {
    bundle = await bundleForPage("export * from 'secure-websocket/lite';");
  });

  const modules = () => bundle.files.flatMap(file => file.modules);

  it('gets noble, and neither libsodium nor WebAssembly', () => {
    expect(bundle.warnings).toEqual([]);
    expect(modules().filter(name => name.includes('sodium'))).toEqual([]);
    expect(modules().filter(name => /[\\/]@noble[\\/]curves[\\/]/.test(name))).not.toEqual([]);
    for (const { code } of bundle.files) expect(code).not.toMatch(/WebAssembly|["'`]node:/);
  });

  it('has everything that secure-websocket has', async () => {
    const [lite, full] = await Promise.all(
      ['lite', ''].map(async name =>
        Object.keys((await import(path.join(repository, 'dist', name, 'index.js'))) as object),
      ),
    );
    expect(lite).toEqual(full);
  });

  it('loads less than half of what it would load with libsodium', async () => {
    const [small, large] = await Promise.all(
      ['secure-websocket/lite', 'secure-websocket'].map(async entry => {
        const source = `export { ClientSecureWebSocket } from '${entry}';`;
        const { files } = await bundleForPage(source, { minify: true });
        // Without what only spaces need.
        return files.reduce((sum, { name, gzip }) => sum + (name.includes('space-port') ? 0 : gzip), 0);
      }),
    );
    expect(small!).toBeLessThan(large! / 2);
    // What the README says, and no more.
    expect(small!).toBeLessThan(72_000);
  });
});
