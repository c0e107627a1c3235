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
      const [what] = node.arguments;
      // Else it is one of the others at a URL that is known when it is too late.
      if (what && ts.isStringLiteral(what)) imports.push(what.text);
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
  const folder = path.join(repository, 'dist/browser');
  const files = (): string[] => fs.readdirSync(folder).filter(name => name.endsWith('.js'));
  const code = (name: string): string => fs.readFileSync(path.join(folder, name), 'utf8');

  it('imports nothing but files of its own and libsodium', () => {
    const imports = new Set(files().flatMap(name => analyze(code(name)).imports));
    const others = [...imports].filter(name => !files().some(file => name === `./${file}`));
    expect(others).toEqual(['libsodium-wrappers']);
  });

  it('does not mention what only Node has', () => {
    for (const name of files()) {
      expect(analyze(code(name)).nodeGlobals, name).toEqual([]);
      expect(code(name), name).not.toMatch(/["'`]node:/);
    }
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
    const own = bundle.files.filter(file => !file.modules.some(name => name.includes('libsodium')));
    const modules = own.flatMap(file => file.modules);
    expect(modules).toContain(path.join(repository, 'dist/browser/client.js'));
    expect(modules).toContain(path.join(repository, 'dist/browser/service.js'));
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
