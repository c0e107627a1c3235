// Lets Vitest run browser tests in the system's WebKitGTK, where Playwright's own build of WebKit is absent.
import { defineBrowserProvider } from '@vitest/browser';
import type { BrowserProvider, BrowserProviderOption, TestProject } from 'vitest/node';
import { WebKitDriver } from './webkit-driver.js';

declare module 'vitest/browser' {
  interface BrowserCommands {
    /** Vitest's own command: sets the size of the page. */
    __vitest_viewport(size: { width: number; height: number }): Promise<void>;
  }
}

class WebKitGtkProvider implements BrowserProvider {
  readonly name = 'webkitgtk';
  readonly supportsParallelism = false;
  #driver: Promise<WebKitDriver> | undefined;

  constructor(project: TestProject) {
    project.browser?.registerCommand('__vitest_viewport', async (_context, { width, height }) => {
      await (await this.#driver)?.setWindowSize(width, height);
    });
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#driver ??= WebKitDriver.start();
    await (await this.#driver).navigate(url);
  }

  async close(): Promise<void> {
    // One that did not start has failed the test run already, in openPage.
    const driver = await this.#driver?.catch(() => undefined);
    this.#driver = undefined;
    await driver?.quit();
  }
}

export function webkitGtk(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'webkitgtk',
    supportedBrowser: ['webkit'],
    providerFactory: project => new WebKitGtkProvider(project),
  });
}
