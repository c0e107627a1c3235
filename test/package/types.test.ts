import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

// The declarations of the package as a program sees them, in programs with different ideas of the world. What must
// not compile is marked in the programs with @ts-expect-error.

const WORLDS = [
  { program: 'client-bare.ts', what: 'neither the DOM nor Node', lib: ['lib.es2022.d.ts'], types: [] },
  { program: 'client-node.ts', what: 'Node', lib: ['lib.es2022.d.ts'], types: ['node'] },
  { program: 'client-dom.ts', what: 'the DOM', lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'], types: [] },
  {
    program: 'client-dom.ts',
    what: 'the DOM and Node',
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: ['node'],
  },
  { program: 'client-dom.ts', what: 'workers', lib: ['lib.es2022.d.ts', 'lib.webworker.d.ts'], types: [] },
];

const root = join(import.meta.dirname, '../..');

describe('the declarations of the package', () => {
  it.each(WORLDS)('$program compiles with the types of $what', ({ program, lib, types }) => {
    const compiled = ts.createProgram([join(root, 'test/types', program)], {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      strict: true,
      exactOptionalPropertyTypes: true,
      // The declarations themselves are what is checked.
      skipLibCheck: false,
      noEmit: true,
      lib,
      types,
    });
    const declarations = compiled.getSourceFiles().map(({ fileName }) => fileName);
    expect(declarations).toContain(join(root, 'dist/index.d.ts'));
    const problems = ts.getPreEmitDiagnostics(compiled);
    expect(
      ts.formatDiagnostics(problems, {
        getCanonicalFileName: name => name,
        getCurrentDirectory: () => root,
        getNewLine: () => '\n',
      }),
    ).toBe('');
  });
});
