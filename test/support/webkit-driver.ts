// The system's WebKitGTK, driven through WebKitWebDriver: W3C WebDriver (https://www.w3.org/TR/webdriver2/) over fetch.
import { spawn, type ChildProcess } from 'node:child_process';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { findBrowsers, missingBrowsersMessage } from '../../scripts/browsers.mjs';

/** How long the driver may take to answer its first request, milliseconds. */
const START_TIME_LIMIT = 20_000;

/** One running browser with its driver. */
export class WebKitDriver {
  readonly #process: ChildProcess;
  readonly #url: string;
  #session = '';

  private constructor(process: ChildProcess, url: string) {
    this.#process = process;
    this.#url = url;
  }

  /** Starts the driver, on a virtual display where there is no other, and a browser with one empty window. */
  static async start(): Promise<WebKitDriver> {
    const location = findBrowsers().webkit;
    if (location?.kind !== 'webdriver') throw new Error(missingBrowsersMessage(['webkit']));
    const port = await freePort();
    const args = [`--port=${port}`];
    const hasDisplay = Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY']);
    const [command, commandArgs] = hasDisplay
      ? [location.driver, args]
      : ['xvfb-run', ['--auto-servernum', location.driver, ...args]];
    // A group of its own, so that the virtual display and the browser go when the driver does.
    const child = spawn(command, commandArgs, { stdio: 'ignore', detached: true });
    const driver = new WebKitDriver(child, `http://127.0.0.1:${port}`);
    process.once('exit', driver.#kill);
    try {
      await driver.#ready();
      const { sessionId } = await driver.#request<{ sessionId: string }>('POST', '/session', {
        capabilities: {
          alwaysMatch: {
            acceptInsecureCerts: true,
            'webkitgtk:browserOptions': { binary: location.browser, args: ['--automation'] },
          },
        },
      });
      driver.#session = `/session/${sessionId}`;
    } catch (error) {
      driver.#kill();
      throw error;
    }
    return driver;
  }

  async navigate(url: string): Promise<void> {
    await this.#request('POST', `${this.#session}/url`, { url });
  }

  async reload(): Promise<void> {
    await this.#request('POST', `${this.#session}/refresh`, {});
  }

  /** Runs the body of an async function in the current window; `arguments` are its arguments, JSON values only. */
  async execute(body: string, args: readonly unknown[] = []): Promise<unknown> {
    // What a script throws is handed back as a value: the driver would reduce it to a name.
    const outcome = await this.#request<{ value?: unknown; error?: string }>(
      'POST',
      `${this.#session}/execute/async`,
      {
        script: `
        const finish = arguments[arguments.length - 1];
        (async function () { ${body} })
          .apply(null, Array.prototype.slice.call(arguments, 0, -1))
          .then(value => finish({ value }), error => finish({ error: String(error) + '\\n' + (error && error.stack || '') }));`,
        args,
      },
    );
    if (outcome.error !== undefined) throw new Error(outcome.error);
    return outcome.value;
  }

  async setWindowSize(width: number, height: number): Promise<void> {
    await this.#request('POST', `${this.#session}/window/rect`, { width, height });
  }

  /** Handle of the current window. */
  window(): Promise<string> {
    return this.#request('GET', `${this.#session}/window`);
  }

  /** Opens a further tab, which shares cookies and storage with the others. It does not become the current one. */
  async newWindow(): Promise<string> {
    const { handle } = await this.#request<{ handle: string }>('POST', `${this.#session}/window/new`, {
      type: 'tab',
    });
    return handle;
  }

  /** Makes a window the current one, to which the other methods go. */
  async switchTo(handle: string): Promise<void> {
    await this.#request('POST', `${this.#session}/window`, { handle });
  }

  /** Closes the current window. */
  async closeWindow(): Promise<void> {
    await this.#request('DELETE', `${this.#session}/window`);
  }

  /** How long scripts may take, milliseconds. */
  async setScriptTimeLimit(script: number): Promise<void> {
    await this.#request('POST', `${this.#session}/timeouts`, { script });
  }

  /** Ends the browser, the driver and the virtual display. */
  async quit(): Promise<void> {
    try {
      await this.#request('DELETE', this.#session);
    } catch {
      // The browser is gone already.
    }
    this.#kill();
  }

  readonly #kill = (): void => {
    process.removeListener('exit', this.#kill);
    if (this.#process.pid === undefined) return;
    try {
      process.kill(-this.#process.pid);
    } catch {
      // It ended by itself.
    }
  };

  async #ready(): Promise<void> {
    let failure: unknown;
    this.#process.once('error', error => (failure = error));
    this.#process.once(
      'exit',
      code => (failure ??= new Error(`WebKitWebDriver ended with code ${String(code)}.`)),
    );
    const deadline = Date.now() + START_TIME_LIMIT;
    for (;;) {
      try {
        await this.#request('GET', '/status');
        return;
      } catch (error) {
        if (failure !== undefined) throw failure as Error;
        if (Date.now() > deadline) throw error;
        await delay(50);
      }
    }
  }

  async #request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { value } = (await response.json()) as { value: unknown };
    if (!response.ok) {
      const { error, message } = value as { error: string; message: string };
      throw new Error(`WebKitWebDriver: ${error}: ${message} (${method} ${path})`);
    }
    return value as T;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const { port } = server.address() as net.AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}
