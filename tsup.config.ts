import { defineConfig, type Options } from 'tsup';

/**
 * esbuild gives a class another `name` when it turns it into a variable: `_Identity` when the class names itself in its
 * own body, `Relay2` when another file has a class of that name. This gives the name back. (`keepNames` would do it too,
 * at the price of a `defineProperty` for every closure that is created.)
 */
const classNames: NonNullable<Options['plugins']>[number] = {
  name: 'class-names',
  renderChunk(code) {
    const named = code.replace(
      /^var (\w+?)(\d*) = class(?: _(\w+))?(?: extends [^{]+)? \{/gm,
      (start, variable: string, counter: string, inner: string | undefined) => {
        // A digit belongs to the name unless there is something else of the name without it.
        const counted = counter !== '' && new RegExp(String.raw`\b${variable}\b`).test(code);
        if (inner === undefined && !counted) return start;
        const name = JSON.stringify(inner ?? variable);
        return `${start} static { Object.defineProperty(this, "name", { value: ${name}, configurable: true }); }`;
      },
    );
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
};

const entries = { index: 'src/index.ts', server: 'src/server.ts' };

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
    entry: { ...entries, 'cli/main': 'src/cli/main.ts' },
    format: 'esm',
  },
  {
    ...node,
    name: 'node-cjs',
    entry: entries,
    format: 'cjs',
    // Splitting CommonJS goes through Rollup with this; without it through a transform that lowers class fields
    // and turns `import('libsodium-wrappers')` into `require`.
    treeshake: true,
  },
  {
    ...common,
    name: 'types',
    entry: entries,
    format: ['esm', 'cjs'],
    // rollup-plugin-dts sets `baseUrl`, which TypeScript 6 accepts only with this.
    dts: { only: true, compilerOptions: { ignoreDeprecations: '6.0' } },
  },
]);
