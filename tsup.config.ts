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

/**
 * Makes a file declare what it exports, if it only hands on what another one declares. esbuild follows names to where they
 * are declared: a page that imports one name of `index` would get at once every file that declares another, as long as
 * something else needs that file later.
 */
const ownExports: NonNullable<Options['plugins']>[number] = {
  name: 'own-exports',
  renderChunk(code) {
    const imported = [...code.matchAll(/^import \{([^}]+)\} from /gm)].flatMap(([, names = '']) =>
      list(names),
    );
    const declarations: string[] = [];
    const exported = code.replace(/^export \{([^}]+)\};$/m, (_statement, names: string) => {
      const own = list(names).map(name => {
        if (!imported.includes(name)) return name;
        declarations.push(`var ${name}Export = ${name};\n`);
        return `${name}Export as ${name}`;
      });
      return `${declarations.join('')}export { ${own.join(', ')} };`;
    });
    return { code: exported };
  },
};

function list(names: string): string[] {
  return names.split(',').map(name => name.trim());
}

/** What src/index.ts consists of. */
const parts = ['client', 'identity', 'key-stores', 'presence', 'service'];

/**
 * A build for bundlers and pages. A bundler leaves out a file of which nothing is imported, but splits none, and what two
 * files share loads with the first of them. So each part is a file; what several of them use, or what is loaded at the
 * first dial (`#engine`), stands in further ones; and `index` holds no code: it only names the parts.
 */
function browser(name: string, outDir: string, options: Options = {}): Options[] {
  const build: Options = {
    ...common,
    ...options,
    outDir,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    splitting: true,
  };
  return [
    {
      ...build,
      name,
      plugins: [classNames, ownExports],
      entry: Object.fromEntries(parts.map(part => [part, `src/${part}.ts`])),
    },
    {
      ...build,
      name: `${name}-index`,
      entry: { index: 'src/index.ts' },
      external: parts.map(part => `./${part}.js`),
    },
  ];
}

/** `secure-websocket/lite`: the same sources over another back end of the cryptography (`#crypto` in package.json). */
const lite: Options = {
  esbuildOptions(options) {
    options.conditions = ['secure-websocket-lite'];
  },
};

const entries = { index: 'src/index.ts', server: 'src/server.ts' };

export default defineConfig([
  ...browser('browser', 'dist/browser'),
  ...browser('browser-lite', 'dist/browser-lite', lite),
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
    ...node,
    ...lite,
    name: 'node-lite',
    outDir: 'dist/lite',
    entry: { index: 'src/index.ts' },
    format: ['esm', 'cjs'],
    treeshake: true,
  },
  {
    ...common,
    // Those of `secure-websocket/lite` are the same: its classes are of one type with those of the other entries.
    name: 'types',
    entry: entries,
    format: ['esm', 'cjs'],
    // rollup-plugin-dts sets `baseUrl`, which TypeScript 6 accepts only with this.
    dts: { only: true, compilerOptions: { ignoreDeprecations: '6.0' } },
  },
]);
