// @ts-check
import { chromium } from 'playwright';
import { findBrowsers, missingBrowsersMessage } from '../../scripts/browsers.mjs';

/**
 * Starts Chromium, found as the tests find it.
 *
 * @throws Error that says how to get it when it is not here
 */
export function launchChromium() {
  const location = findBrowsers().chromium;
  if (location === undefined) throw new Error(missingBrowsersMessage(['chromium']));
  // Chromium refuses its sandbox to root.
  const args = ['--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
  return chromium.launch(
    location.kind === 'system' ? { executablePath: location.executable, args } : { args },
  );
}
