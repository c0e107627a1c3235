import { defineConfig, type Options } from 'tsup';

/**
 * esbuild turns a class that names itself in its own body into `var Identity = class _Identity {…}`, and its
 * `name` becomes `_Identity`. This gives the class its name back. Both names stood for the same source name, so
 * no scope can hold another meaning of it. (`keepNames` would do it too, at the price of a `defineProperty` for
 * every closure that is created.)
 */
const classNames: NonNullable<Options['plugins']>[number] = {
  name: 'class-names',
  renderChunk(code) {
    let named = code;
    for (const [, name] of code.matchAll(/^var (\w+) = class _\1\b/gm)) {
      named = named.replaceAll(new RegExp(String.raw`(?<![\w$.])_${String(name)}\b`, 'g'), String(name));
    }
    return { code: named };
  },
};

const common: Options = {
  outDir: 'dist',
  sourcemap: true,
  // One `scripts/clean.mjs` before all of them: they are built at the same time.
  clean: false,
  silent: true,
  removeNodeProtocol: false,
  plugins: [classNames],
};

const node: Options = {
  ...common,
  platform: 'node',
  target: 'node20',
  // What both entries use stands in one shared file, so that a class exists once.
  splitting: true,
  dts: {
    entry: { index: 'src/index.ts', server: 'src/server.ts' },
    // rollup-plugin-dts sets `baseUrl`, which TypeScript 6 accepts only with this.
    compilerOptions: { ignoreDeprecations: '6.0' },
  },
};

export default defineConfig([
  {
    ...common,
    name: 'browser',
    entry: { 'browser/index': 'src/index.ts' },
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    splitting: false,
  },
  {
    ...node,
    name: 'node-esm',
    entry: { index: 'src/index.ts', server: 'src/server.ts', 'cli/main': 'src/cli/main.ts' },
    format: 'esm',
  },
  {
    ...node,
    name: 'node-cjs',
    entry: { index: 'src/index.ts', server: 'src/server.ts' },
    format: 'cjs',
    // Splitting CommonJS goes through Rollup with this; without it through a transform that lowers class fields
    // and turns `import('libsodium-wrappers')` into `require`.
    treeshake: true,
  },
]);
