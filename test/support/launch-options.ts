// How Playwright starts a browser here.
import type { LaunchOptions } from 'playwright';
import { findBrowsers, missingBrowsersMessage } from '../../scripts/browsers.mjs';

/** Quiet, and without what a test machine has no use for. */
const CHROMIUM_ARGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Options for Playwright's `launch`, or undefined when this engine is here but Playwright cannot drive it. */
export function launchOptions(engine: 'chromium' | 'firefox' | 'webkit'): LaunchOptions | undefined {
  const location = findBrowsers()[engine];
  if (location === undefined) throw new Error(missingBrowsersMessage([engine]));
  if (location.kind === 'webdriver') return undefined;
  const executable = location.kind === 'system' ? { executablePath: location.executable } : {};
  switch (engine) {
    case 'chromium': {
      // Chromium refuses its sandbox to root.
      const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
      return { ...executable, args: [...CHROMIUM_ARGS, ...sandbox] };
    }
    case 'firefox':
      // A Firefox that Playwright did not build is driven by WebDriver BiDi, which this channel selects.
      return location.kind === 'system' ? { ...executable, channel: 'moz-firefox' } : {};
    case 'webkit':
      return executable;
  }
}
