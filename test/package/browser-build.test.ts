import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundleForPage, type PageBundle } from './page-bundle.js';
import { repository, requireBuild } from './installed-package.js';

beforeAll(requireBuild);

/** Names that only Node has. */
const NODE_ONLY = ['Buffer', 'process', 'require', '__dirname', '__filename'];

/** What a source imports, and which of Node's globals it uses (not: properties or methods of such a name). */
function analyze(code: string): { imports: string[]; nodeGlobals: string[] } {
  const imports: string[] = [];
  const nodeGlobals: string[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      imports.push((node.moduleSpecifier as ts.StringLiteral).text);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      imports.push((node.arguments[0] as ts.StringLiteral).text);
    } else if (ts.isIdentifier(node) && NODE_ONLY.includes(node.text)) {
      const { parent } = node;
      const isMember =
        (ts.isPropertyAccessExpression(parent) ||
          ts.isPropertyAssignment(parent) ||
          ts.isMethodDeclaration(parent) ||
          ts.isPropertyDeclaration(parent)) &&
        parent.name === node;
      if (!isMember) nodeGlobals.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('code.js', code, ts.ScriptTarget.ES2022, true));
  return { imports, nodeGlobals };
}

describe('the build for browsers', () => {
  const code = () => fs.readFileSync(path.join(repository, 'dist/browser/index.js'), 'utf8');

  it('imports nothing but libsodium', () => {
    expect(analyze(code()).imports).toEqual(['libsodium-wrappers']);
  });

  it('does not mention what only Node has', () => {
    expect(analyze(code()).nodeGlobals).toEqual([]);
    expect(code()).not.toMatch(/["'`]node:/);
  });

  it('is analyzed by something that would find it', () => {
    const found = analyze(
      "import 'node:fs'; await import('ws'); x.process = Buffer.from(''); ({ process() {} }); process.exit()",
    );
    expect(found).toEqual({ imports: ['node:fs', 'ws'], nodeGlobals: ['Buffer', 'process'] });
  });
});

describe('a page that is bundled with the package', () => {
  let bundle: PageBundle;

  beforeAll(async () => {
    bundle = await bundleForPage("export * from 'secure-websocket';");
  });

  it('makes the bundler say nothing', () => {
    expect(bundle.warnings).toEqual([]);
  });

  it('gets the half for browsers, without ws and without what stands for a module of Node', () => {
    const modules = bundle.files.find(file => file.name === bundle.entry)?.modules ?? [];
    expect(modules).toContain(path.join(repository, 'dist/browser/index.js'));
    const others = modules.filter(name => !name.includes('vite/') && !name.startsWith(repository));
    expect(others).toEqual([]);
    expect(
      bundle.files.flatMap(file => file.modules).filter(name => /[\\/]node_modules[\\/]ws[\\/]/.test(name)),
    ).toEqual([]);
  });

  it('loads libsodium as a file of its own, when it is needed', () => {
    const withSodium = bundle.files.filter(file =>
      file.modules.some(name => name.includes('libsodium-wrappers')),
    );
    expect(withSodium).toHaveLength(1);
    expect(withSodium[0]!.name).not.toBe(bundle.entry);
  });
});
