// @ts-check
// ESLint rule `layers`: a file imports only from its own layer and from those below it.
import path from 'node:path';

/**
 * What each layer may import: other layers of src/, and what comes from outside it.
 * `undefined` for packages means any.
 *
 * @type {Record<string, { layers: string[], packages?: string[] }>}
 */
const LAYERS = {
  // `#crypto` is the back end of the build: of it the core knows one function, whose type is its own.
  core: { layers: ['core'], packages: ['#crypto'] },
  crypto: { layers: ['core', 'crypto'] },
  websocket: { layers: ['core', 'websocket'] },
  link: { layers: ['core', 'websocket', 'link'] },
  socket: { layers: ['core', 'websocket', 'link', 'socket'] },
  relay: { layers: ['core', 'websocket', 'link', 'relay'] },
  // src/index.ts, src/server.ts
  '': { layers: ['core', 'websocket', 'link', 'socket', 'relay', ''] },
  cli: { layers: ['core', 'websocket', 'link', 'socket', 'relay', '', 'cli'] },
};

/** @param {string} file path below src/ */
function layerOf(file) {
  const [first, ...rest] = file.split('/');
  return rest.length === 0 ? '' : String(first);
}

/** @type {import('eslint').Rule.RuleModule} */
export const layers = {
  meta: {
    type: 'problem',
    docs: { description: 'imports point down only: cli → socket, relay → link → websocket → core' },
    messages: {
      layer: '{{from}} must not import from {{to}}: imports point down only (see CONTRIBUTING.md, "Layers").',
      package:
        '{{from}} must not import "{{name}}": it does no input or output (see CONTRIBUTING.md, "Layers").',
      outside: 'src must not import "{{name}}", which is not part of the package.',
    },
    schema: [],
  },
  create(context) {
    const src = path.join(context.cwd, 'src');
    const from = layerOf(path.relative(src, context.filename).replaceAll('\\', '/'));
    const allowed = LAYERS[from];
    if (allowed === undefined) throw new Error(`src/${from} is no known layer: add it to ${import.meta.url}`);
    const fromName = from === '' ? 'src' : `src/${from}`;

    /** @param {unknown} source */
    function check(source) {
      const node = /** @type {import('estree').Literal} */ (source);
      if (typeof node.value !== 'string') return;
      const name = node.value;
      if (name.startsWith('.')) {
        const target = path.relative(src, path.resolve(path.dirname(context.filename), name));
        if (target.startsWith('..')) {
          context.report({ node, messageId: 'outside', data: { name } });
          return;
        }
        const to = layerOf(target.replaceAll('\\', '/'));
        if (!allowed?.layers.includes(to)) {
          context.report({
            node,
            messageId: 'layer',
            data: { from: fromName, to: to === '' ? 'src' : `src/${to}` },
          });
        }
      } else if (name === '#platform') {
        if (!allowed?.layers.includes('link')) {
          context.report({ node, messageId: 'package', data: { from: fromName, name } });
        }
      } else if (allowed?.packages !== undefined && !allowed.packages.includes(name)) {
        context.report({ node, messageId: 'package', data: { from: fromName, name } });
      }
    }

    return {
      // import … from 'x', export … from 'x', export * from 'x', import('x'), typeof import('x'), import a = require('x')
      'ImportDeclaration > Literal.source': check,
      'ExportNamedDeclaration > Literal.source': check,
      'ExportAllDeclaration > Literal.source': check,
      'ImportExpression > Literal.source': check,
      'TSImportType Literal': check,
      'TSExternalModuleReference > Literal': check,
    };
  },
};
