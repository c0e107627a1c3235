// The declarations of the package as a program of somebody else sees them, in programs with different ideas of the
// world and of how packages are resolved. What must not compile is marked in the programs with @ts-expect-error.
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPackage, removeFolder, repository } from './installed-package.js';

const NO_DOM = ['lib.es2022.d.ts'];
const DOM = ['lib.es2022.d.ts', 'lib.dom.d.ts'];
const WORKER = ['lib.es2022.d.ts', 'lib.webworker.d.ts'];

const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
const node16 = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 };

/** As ESM and as CommonJS: the extension decides. */
const BOTH = ['.mts', '.cts'];

const WORLDS = [
  {
    program: 'client-bare',
    what: 'neither the DOM nor Node',
    as: ['.ts'],
    lib: NO_DOM,
    types: [],
    ...bundler,
  },
  { program: 'client-bare', what: 'neither the DOM nor Node', as: BOTH, lib: NO_DOM, types: [], ...node16 },
  { program: 'client-node', what: 'Node', as: BOTH, lib: NO_DOM, types: ['node'], ...node16 },
  { program: 'client-dom', what: 'the DOM', as: ['.ts'], lib: DOM, types: [], ...bundler },
  { program: 'client-dom', what: 'the DOM and Node', as: ['.ts'], lib: DOM, types: ['node'], ...bundler },
  { program: 'client-dom', what: 'workers', as: ['.ts'], lib: WORKER, types: [], ...bundler },
  { program: 'server', what: 'Node', as: ['.ts'], lib: NO_DOM, types: ['node'], ...bundler },
  { program: 'server', what: 'Node', as: BOTH, lib: NO_DOM, types: ['node'], ...node16 },
];

describe('the declarations of the package', () => {
  let folder: string;

  beforeAll(async () => {
    // Node's types, and no others: what the declarations mention must come with the package.
    folder = await installPackage(['@types/node', 'undici-types']);
    for (const program of new Set(WORLDS.map(world => world.program))) {
      for (const extension of ['.ts', ...BOTH]) {
        fs.copyFileSync(
          path.join(repository, 'test/types', `${program}.ts`),
          path.join(folder, program + extension),
        );
      }
    }
  });

  afterAll(() => removeFolder(folder));

  it.each(WORLDS)(
    '$program as $as compiles with the types of $what',
    ({ program, what: _what, as, lib, types, ...resolution }) => {
      const compiled = ts.createProgram(
        as.map(extension => path.join(folder, program + extension)),
        {
          ...resolution,
          target: ts.ScriptTarget.ES2022,
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          typeRoots: [path.join(folder, 'node_modules/@types')],
          lib,
          types,
        },
      );
      // The programs and the package's declarations. Those of the language and of Node are not ours to check.
      const ours = compiled
        .getSourceFiles()
        .filter(file => !compiled.isSourceFileDefaultLibrary(file) && !file.fileName.includes('/@types/'));
      const declarations = ours.filter(file => file.fileName.includes('/secure-websocket/dist/'));
      expect(declarations.length).toBeGreaterThan(0);
      const problems = [
        ...compiled.getOptionsDiagnostics(),
        ...compiled.getGlobalDiagnostics(),
        ...ours.flatMap(file => compiled.getSyntacticDiagnostics(file)),
        ...ours.flatMap(file => compiled.getSemanticDiagnostics(file)),
      ];
      expect(
        ts.formatDiagnostics(problems, {
          getCanonicalFileName: name => name,
          getCurrentDirectory: () => folder,
          getNewLine: () => '\n',
        }),
      ).toBe('');
    },
  );
});
