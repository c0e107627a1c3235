// The built package as a page gets it: bundled by the application that uses it.
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, createLogger } from 'vite';

export interface BundledFile {
  /** Path below the entry, '/' between folders. */
  readonly name: string;
  readonly code: string;
  /** The modules that went into it: absolute paths. */
  readonly modules: readonly string[];
  /** Names of the files that are loaded with it. */
  readonly imports: readonly string[];
  /** Bytes, compressed. */
  readonly gzip: number;
}

export interface PageBundle {
  /** Name of the file that a page imports. */
  readonly entry: string;
  readonly files: readonly BundledFile[];
  /** What the bundler had to say. */
  readonly warnings: readonly string[];
}

/**
 * Bundles a module for browsers, in memory. Its source may import `secure-websocket`, which is resolved from `folder`
 * as any package is: in this repository to `dist`, so `npm run build` comes first.
 */
export async function bundleForPage(
  source: string,
  { folder = process.cwd(), minify = false } = {},
): Promise<PageBundle> {
  const entry = path.join(folder, 'page-entry.js');
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const output = await build({
    root: folder,
    configFile: false,
    publicDir: false,
    logLevel: 'silent',
    customLogger: { ...createLogger('silent'), warn, warnOnce: warn },
    build: {
      write: false,
      minify,
      modulePreload: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: 'strict',
        output: { entryFileNames: 'page.js' },
      },
    },
    plugins: [
      {
        name: 'page-entry',
        enforce: 'pre',
        resolveId: id => (id === entry ? entry : undefined),
        load: id => (id === entry ? source : undefined),
      },
    ],
  });
  if (!('output' in output)) throw new Error('The bundler made something else than one set of files.');
  const files = output.output
    .filter(file => file.type === 'chunk')
    .map(file => ({
      name: file.fileName,
      code: file.code,
      modules: file.moduleIds,
      imports: file.imports,
      gzip: gzipSync(file.code, { level: 9 }).length,
    }));
  return { entry: 'page.js', files, warnings };
}
