// @ts-check
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { layers } from './scripts/eslint-layers.mjs';

/** Globals through which src/core would touch the world: it is given time, randomness and input as arguments. */
const WORLD = [
  ...['process', 'globalThis', 'window', 'self', 'document', 'navigator', 'location', 'Buffer', 'require'],
  ...[
    'performance',
    'crypto',
    'console',
    'fetch',
    'WebSocket',
    'indexedDB',
    'localStorage',
    'MessageChannel',
  ],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'clearTimeout', 'clearInterval'],
];

export default defineConfig(
  { ignores: ['dist/', 'coverage/', 'test/vectors/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    rules: {
      // Vitest's way to name the type of a module that it loads later is an annotation.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      eqeqeq: 'error',
    },
  },
  {
    // Everywhere, JavaScript included: a promise that nobody looks at hides a failure.
    files: ['**/*.{ts,js,mjs}'],
    plugins: { '@typescript-eslint': tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: ['tsconfig.json', 'test/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],
      // The compiler knows the globals of each folder better.
      'no-undef': 'off',
      'no-unused-vars': 'off',
      // Control characters are what the parsers of a protocol look for.
      'no-control-regex': 'off',
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { 'secure-websocket': { rules: { layers } } },
    rules: { 'secure-websocket/layers': 'error', 'no-console': 'error' },
  },
  { files: ['src/cli/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['src/core/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...WORLD.map(name => ({
          name,
          message: 'src/core does no input or output: time, random bytes and input are arguments.',
        })),
      ],
      'no-restricted-properties': [
        'error',
        {
          object: 'Date',
          property: 'now',
          message: 'Time is an argument in src/core (`now`, milliseconds).',
        },
        {
          object: 'Math',
          property: 'random',
          message: 'Random bytes come from the injected Crypto in src/core.',
        },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: ':matches(NewExpression, CallExpression)[callee.name="Date"][arguments.length=0]',
          message: 'Time is an argument in src/core (`now`, milliseconds).',
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test that indexes past the end of its own array may crash; that is its way to fail.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Stand-ins implement asynchronous interfaces, and often have nothing to wait for or to do.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      // Text and objects of a test are its own: it knows what comes of spreading them.
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
    },
  },
);
