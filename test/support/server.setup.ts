// Vitest global setup: once for a whole run, in Node, before the first test.
import type { TestProject } from 'vitest/node';
import { ENGINES, findBrowsers, missingBrowsersMessage, requiredBrowsers } from '../../scripts/browsers.mjs';
import { startServices, type Services } from './services.js';

declare module 'vitest' {
  interface ProvidedContext {
    services: Services;
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const withBrowsers = project.vitest.projects.some(({ name }) => name === 'pages' || name.startsWith('in-'));
  // Unit tests alone need neither a browser nor a server.
  if (!withBrowsers) return undefined;

  checkBrowsers();
  const running = await startServices();
  project.provide('services', running.services);
  return () => running.close();
}

/** An engine that is left out is said aloud, and is an error where it is required. */
function checkBrowsers(): void {
  const found = findBrowsers();
  const missing = ENGINES.filter(engine => found[engine] === undefined);
  if (missing.length === 0) return;
  const required = requiredBrowsers().filter(engine => missing.includes(engine));
  if (required.length > 0) throw new Error(missingBrowsersMessage(required));
  console.warn(`${missingBrowsersMessage(missing)}\nThe tests run without.\n`);
}
