import { defineConfig } from 'vitest/config';
import { browserEngines } from './test/support/browsers.js';

/**
 * Projects run in the order of their group, so that what measures nothing but correctness still gets the machine
 * mostly to itself: `node`, then `package`, then the engines, then whole pages.
 *
 *   npx vitest run --project node test/unit/core      npx vitest run --project in-firefox
 */
export default defineConfig({
  test: {
    // Every test has a time limit that a busy machine keeps; only what comes near it is worth a line.
    slowTestThreshold: 10_000,
    globalSetup: ['test/support/server.setup.ts'],
    projects: [
      {
        test: {
          name: 'node',
          include: [
            'test/unit/**/*.test.ts',
            'test/integration/**/*.test.ts',
            'test/simulation/**/*.test.ts',
          ],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // What is published: needs `npm run build`.
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      // The same suite in every engine that is here.
      ...browserEngines().map(({ engine, provider }) => ({
        // Found in advance: found late, it would reload the page in the middle of a test.
        optimizeDeps: {
          include: [
            'libsodium-wrappers',
            '@noble/ciphers/chacha.js',
            '@noble/curves/ed25519.js',
            '@noble/hashes/blake2.js',
            '@noble/hashes/sha2.js',
          ],
        },
        test: {
          name: `engine-${engine}`,
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider,
            instances: [{ browser: engine, name: `in-${engine}` }],
          },
        },
      })),
      {
        // Several pages, reloads, navigation: in all engines, looked at from Node.
        test: {
          name: 'pages',
          include: ['test/pages/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
