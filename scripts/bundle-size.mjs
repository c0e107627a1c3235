// @ts-check
// What a page loads that is bundled with this package, minified, as `gzip -9` would make it. Needs `npm run build`.
//
//   npm run size                            the names below
//   npm run size -- Identity MemoryKeyStore others
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/**
 * @typedef {object} PageFile
 * @property {string} name
 * @property {number} bytes minified
 * @property {number} gzip of them, compressed
 * @property {string[]} inputs the files that went into it
 */

/**
 * Bundles a page that imports `names` from the package as it is resolved in `folder`.
 *
 * @param {readonly string[]} names
 * @param {string} folder
 * @returns {Promise<{ atOnce: PageFile[], later: PageFile[], warnings: string[] }>} what the page loads with its first
 *   script, and what is loaded when it is needed
 */
export async function bundlePage(names, folder) {
  const list = names.join(', ');
  const { outputFiles, metafile, warnings } = await build({
    stdin: {
      contents: `import { ${list} } from 'secure-websocket'; globalThis.used = [${list}];`,
      resolveDir: folder,
      sourcefile: 'page.js',
    },
    absWorkingDir: folder,
    outdir: 'out',
    entryNames: 'page',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const contentsOf = new Map(outputFiles.map(file => [path.relative(folder, file.path), file.contents]));
  const files = new Map(
    Object.entries(metafile.outputs).map(([output, { inputs: parts, imports, entryPoint }]) => {
      const contents = contentsOf.get(path.normalize(output)) ?? new Uint8Array(0);
      const gzip = gzipSync(contents, { level: 9 }).length;
      const inputs = Object.keys(parts).filter(input => parts[input]?.bytesInOutput !== 0);
      const file = { name: path.basename(output), bytes: contents.length, gzip, inputs };
      return [output, { file, imports, isEntry: entryPoint === 'page.js' }];
    }),
  );
  /** @type {Set<string>} */
  const first = new Set();
  /** @param {string} output */
  const load = output => {
    if (first.has(output)) return;
    first.add(output);
    for (const { kind, path: imported } of files.get(output)?.imports ?? []) {
      if (kind === 'import-statement') load(imported);
    }
  };
  for (const [output, { isEntry }] of files) if (isEntry) load(output);
  const entries = [...files];
  return {
    atOnce: entries.filter(([output]) => first.has(output)).map(([, { file }]) => file),
    later: entries.filter(([output]) => !first.has(output)).map(([, { file }]) => file),
    warnings: warnings.map(({ text }) => text),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.length > 2 ? process.argv.slice(2) : ['ClientSecureWebSocket'];
  const { atOnce, later } = await bundlePage(names, fileURLToPath(new URL('..', import.meta.url)));
  for (const [when, files] of /** @type {const} */ ([
    ['with the page', atOnce],
    ['when it dials', later],
  ])) {
    console.log(`${when}: ${kilobytes(files.reduce((sum, { gzip }) => sum + gzip, 0))} gzip`);
    for (const { name, bytes, gzip } of files)
      console.log(`  ${name}  ${kilobytes(bytes)}, ${kilobytes(gzip)} gzip`);
  }
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} KB`;
}
