// Real pages for tests that run in Node and look at browsers from outside: several tabs, reloads, navigation.
// One face for all engines: Playwright where it can drive the browser, WebDriver for the system's WebKit.
import { setTimeout as delay } from 'node:timers/promises';
import { chromium, firefox, webkit, type Browser, type Page } from 'playwright';
import { ENGINES, findBrowsers, type Engine } from '../../scripts/browsers.mjs';
import { launchOptions } from './launch-options.js';
import { WebKitDriver } from './webkit-driver.js';

/** How long `waitFor` waits, milliseconds. */
const WAIT_TIME_LIMIT = 30_000;

type Truthy<T> = Exclude<T, false | 0 | '' | null | undefined>;

/** One tab. Functions given to it run in the page: they see nothing of the test but their arguments (JSON values). */
export interface TestPage {
  /** Goes to a URL and waits for `load`. */
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /**
   * Runs `fn` in the page and resolves to its result (a JSON value). In WebKit, the calls of all pages of one browser
   * queue up: what waits for another page must use `waitFor`.
   */
  evaluate<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>>;
  /** Runs `fn` in the page again and again until its result is truthy, and resolves to that. */
  waitFor<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Truthy<Awaited<R>>>;
  close(): Promise<void>;
  /** For what only Playwright can do (`page.context().setOffline(true)`); undefined in the system's WebKit. */
  readonly playwright: Page | undefined;
}

/** One browser with a fresh profile. */
export interface TestBrowser {
  readonly engine: Engine;
  /** Opens a tab. All tabs of one browser share cookies and storage. */
  newPage(): Promise<TestPage>;
  close(): Promise<void>;
}

/** The engines that `launchBrowser` can start here: `describe.each(testEngines)`. */
export const testEngines: readonly Engine[] = ENGINES.filter(engine => findBrowsers()[engine] !== undefined);

/** Starts a browser; some seconds. */
export async function launchBrowser(engine: Engine): Promise<TestBrowser> {
  const options = launchOptions(engine);
  if (options === undefined) return new WebDriverBrowser(await WebKitDriver.start());
  return PlaywrightBrowser.over(engine, await { chromium, firefox, webkit }[engine].launch(options));
}

/** What both kinds of page share: all that can be said in terms of running source text in the page. */
abstract class ScriptedPage implements TestPage {
  abstract readonly playwright: Page | undefined;
  abstract goto(url: string): Promise<void>;
  abstract reload(): Promise<void>;
  abstract close(): Promise<void>;
  /** Resolves to the value of an expression, awaited. */
  protected abstract run(expression: string): Promise<unknown>;

  async evaluate<A extends readonly unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>> {
    return (await this.run(`(${String(fn)})(...${JSON.stringify(args)})`)) as Awaited<R>;
  }

  // Asked from outside, not in a loop inside the page: so it survives navigation, and pages do not wait in each other's way.
  async waitFor<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Promise<Truthy<Awaited<R>>> {
    const deadline = Date.now() + WAIT_TIME_LIMIT;
    for (;;) {
      const value = await this.evaluate(fn, ...args);
      if (value) return value as Truthy<Awaited<R>>;
      if (Date.now() > deadline) {
        throw new Error(
          `Waited ${WAIT_TIME_LIMIT / 1000} s in the page for ${String(fn)} (last: ${JSON.stringify(value)})`,
        );
      }
      await delay(20);
    }
  }
}

class PlaywrightBrowser implements TestBrowser {
  readonly engine: Engine;
  readonly #browser: Browser;
  readonly #newPage: () => Promise<Page>;

  private constructor(engine: Engine, browser: Browser, newPage: () => Promise<Page>) {
    this.engine = engine;
    this.#browser = browser;
    this.#newPage = newPage;
  }

  static async over(engine: Engine, browser: Browser): Promise<PlaywrightBrowser> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    return new PlaywrightBrowser(engine, browser, () => context.newPage());
  }

  async newPage(): Promise<TestPage> {
    return new PlaywrightPage(await this.#newPage());
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}

class PlaywrightPage extends ScriptedPage {
  readonly playwright: Page;

  constructor(page: Page) {
    super();
    this.playwright = page;
  }

  async goto(url: string): Promise<void> {
    await this.playwright.goto(url);
  }

  async reload(): Promise<void> {
    await this.playwright.reload();
  }

  async close(): Promise<void> {
    await this.playwright.close();
  }

  protected run(expression: string): Promise<unknown> {
    return this.playwright.evaluate(expression);
  }
}

class WebDriverBrowser implements TestBrowser {
  readonly engine = 'webkit';
  readonly #driver: WebKitDriver;
  /** The driver has one current window: what belongs together must not be interleaved. */
  #queue: Promise<unknown> = Promise.resolve();
  #unusedWindow: Promise<string> | undefined;

  constructor(driver: WebKitDriver) {
    this.#driver = driver;
    // The browser starts with one window, which becomes the first page.
    this.#unusedWindow = driver.window();
  }

  async newPage(): Promise<TestPage> {
    const window = await this.#inTurn(() => this.#unusedWindow ?? this.#driver.newWindow());
    this.#unusedWindow = undefined;
    return new WebDriverPage(action =>
      this.#inTurn(async () => {
        await this.#driver.switchTo(window);
        return action(this.#driver);
      }),
    );
  }

  async close(): Promise<void> {
    await this.#driver.quit();
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(action);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

class WebDriverPage extends ScriptedPage {
  readonly playwright = undefined;
  readonly #inWindow: <T>(action: (driver: WebKitDriver) => Promise<T>) => Promise<T>;

  constructor(inWindow: <T>(action: (driver: WebKitDriver) => Promise<T>) => Promise<T>) {
    super();
    this.#inWindow = inWindow;
  }

  goto(url: string): Promise<void> {
    return this.#inWindow(driver => driver.navigate(url));
  }

  reload(): Promise<void> {
    return this.#inWindow(driver => driver.reload());
  }

  close(): Promise<void> {
    return this.#inWindow(driver => driver.closeWindow());
  }

  protected run(expression: string): Promise<unknown> {
    return this.#inWindow(driver => driver.execute(`return ${expression}`));
  }
}
