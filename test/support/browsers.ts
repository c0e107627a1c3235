// The browser engines as Vitest projects: the same suite in each of them.
import { playwright } from '@vitest/browser-playwright';
import type { BrowserProviderOption } from 'vitest/node';
import { ENGINES, findBrowsers, type Engine } from '../../scripts/browsers.mjs';
import { launchOptions } from './launch-options.js';
import { webkitGtk } from './webkitgtk.js';

export interface BrowserEngine {
  readonly engine: Engine;
  readonly provider: BrowserProviderOption;
}

/** The engines that can run here, each with what drives it. */
export function browserEngines(): BrowserEngine[] {
  const found = findBrowsers();
  return ENGINES.filter(engine => found[engine] !== undefined).map(engine => {
    const options = launchOptions(engine);
    return { engine, provider: options === undefined ? webkitGtk() : playwright({ launchOptions: options }) };
  });
}
