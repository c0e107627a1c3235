// The chat example as a visitor meets it: its programs, and people in browsers.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../scripts/browsers.mjs';
import { FaultyProxy } from './faulty-proxy.js';
import { freePort } from './free-port.js';
import { launchBrowser, type TestBrowser, type TestPage } from './pages.js';

/** What somebody sees of the room. */
export interface Sight {
  readonly state: string;
  readonly title: string;
  /** Names and fingerprints, ourselves first. */
  readonly people: readonly { readonly name: string; readonly fingerprint: string }[];
  /** What others have written, `Name: text` each, in the order in which it came. */
  readonly heard: readonly string[];
  /** Joins, leaves and whatever else is noted. */
  readonly notes: readonly string[];
}

/** One tab in the room. */
export class ChatPerson {
  readonly name: string;
  readonly page: TestPage;

  constructor(name: string, page: TestPage) {
    this.name = name;
    this.page = page;
  }

  static async enter(browser: TestBrowser, url: string, name: string, space = 'lobby'): Promise<ChatPerson> {
    const page = await browser.newPage();
    await page.goto(`${url}/?${new URLSearchParams({ space }).toString()}`);
    await page.waitFor(() => !(document.querySelector('#enter button') as HTMLButtonElement).disabled);
    await page.evaluate(called => {
      (document.getElementById('name') as HTMLInputElement).value = called;
      (document.getElementById('enter') as HTMLFormElement).requestSubmit();
    }, name);
    const person = new ChatPerson(name, page);
    await person.until('open');
    return person;
  }

  /** Waits for a state of the connection. */
  async until(state: 'open' | 'away' | 'ended' | ''): Promise<void> {
    const isSo = (wanted: string): boolean =>
      document.getElementById('state')?.className === wanted &&
      (wanted !== 'open' || document.getElementById('room')?.hidden === false);
    try {
      await this.page.waitFor(isSo, state);
    } catch (error) {
      const shown = await this.page.evaluate(() =>
        ['state', 'entry-problem', 'keys'].map(id => document.getElementById(id)?.textContent).join(' | '),
      );
      throw new Error(`${this.name} does not come to “${state}”, and sees: ${shown}`, { cause: error });
    }
  }

  /** Waits until exactly these are here, in any order. */
  async untilHere(...names: string[]): Promise<void> {
    await this.page.waitFor(
      wanted => {
        const here = [...document.querySelectorAll('#people .name')].map(name => name.textContent);
        return here.sort().join() === wanted;
      },
      [...names].sort().join(),
    );
  }

  /** Waits until others have written so many messages. */
  async untilHeard(count: number): Promise<readonly string[]> {
    await this.page.waitFor(
      wanted => document.querySelectorAll('#lines .theirs .bubble:not(.file)').length >= wanted,
      count,
    );
    return (await this.sight()).heard;
  }

  /** Is gone, without a word. (The system's WebKit does not open a window any more when its current one was closed.) */
  async vanish(): Promise<void> {
    await this.page.goto('about:blank');
  }

  async say(text: string): Promise<void> {
    await this.page.evaluate(words => {
      (document.getElementById('text') as HTMLTextAreaElement).value = words;
      (document.getElementById('composer') as HTMLFormElement).requestSubmit();
    }, text);
  }

  async press(id: string): Promise<void> {
    await this.page.evaluate(button => {
      document.getElementById(button)?.click();
    }, id);
  }

  async sight(): Promise<Sight> {
    return this.page.evaluate(() => {
      const all = (selector: string): Element[] => [...document.querySelectorAll(selector)];
      const nameOf = (id: string | undefined): string => {
        // The name stands above the first of several.
        const heads = all(`#lines [data-member="${id ?? ''}"] .who .name`);
        return heads[0]?.textContent ?? '';
      };
      return {
        state: document.getElementById('state')?.textContent ?? '',
        title: document.title,
        people: all('#people li').map(row => ({
          name: row.querySelector('.name')?.textContent ?? '',
          fingerprint: row.querySelector('.fingerprint')?.textContent ?? '',
        })),
        heard: all('#lines .theirs').flatMap(line => {
          const text = line.querySelector('.bubble:not(.file)')?.textContent;
          return text === undefined ? [] : [`${nameOf((line as HTMLElement).dataset['member'])}: ${text}`];
        }),
        notes: all('#lines .note').map(note => note.textContent),
      };
    });
  }
}

/** The programs of the example, on free ports, with a home of their own. */
export class ChatPrograms {
  readonly #home: string;
  readonly #children: ChildProcess[] = [];

  private constructor(home: string) {
    this.#home = home;
  }

  static async start(): Promise<ChatPrograms> {
    return new ChatPrograms(await mkdtemp(join(tmpdir(), 'secure-websocket-')));
  }

  /** A file of this home that need not be there. */
  file(name: string): string {
    return join(this.#home, name);
  }

  /** Starts `examples/chat/<program>` and resolves to the URL that it tells people to open. */
  async run(program: 'server.js' | 'proxy.js', args: readonly string[]): Promise<string> {
    const script = fileURLToPath(new URL(`../../examples/chat/${program}`, import.meta.url));
    const child = spawn(process.execPath, [script, ...args], {
      env: { ...process.env, SECURE_WEBSOCKET_HOME: this.#home },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    for await (const line of createInterface(child.stdout)) {
      const [url] = /http:\/\/[\w.]+:\d+/.exec(line) ?? [];
      if (url !== undefined) return url;
    }
    throw new Error(`${program} ended without an address.`);
  }

  /** Ends them as Ctrl-C does. Resolves to their exit codes. */
  async close(): Promise<unknown[]> {
    const codes: unknown[] = [];
    for (const child of this.#children.reverse()) {
      const exited = child.exitCode === null ? once(child, 'exit') : [child.exitCode];
      child.kill('SIGINT');
      codes.push((await exited)[0]);
    }
    await rm(this.#home, { recursive: true });
    return codes;
  }
}

/** A room with a way into it for each person, which can be cut. */
export async function startChat(people: number): Promise<{
  readonly programs: ChatPrograms;
  /** The relay, without a way that can be cut. */
  readonly relay: string;
  /** Where each person finds page and relay. */
  readonly ways: readonly { readonly proxy: FaultyProxy; readonly url: string }[];
  close(): Promise<void>;
}> {
  const programs = await ChatPrograms.start();
  const proxies = await Promise.all(Array.from({ length: people }, () => FaultyProxy.start(1)));
  const ways = proxies.map(proxy => ({ proxy, url: `http://127.0.0.1:${proxy.port}` }));
  // The relay answers to the names under which it is dialled, and to no others when it is told some.
  const port = await freePort();
  const names = [...ways.map(({ url }) => url), `http://localhost:${port}`];
  const args = ['--port', String(port), ...names.flatMap(name => ['--public-url', name])];
  await programs.run('server.js', args);
  for (const proxy of proxies) proxy.retarget(port);
  return {
    programs,
    relay: `ws://localhost:${port}`,
    ways,
    async close() {
      const codes = await programs.close();
      for (const proxy of proxies) await proxy.close();
      if (codes.some(code => code !== 0)) throw new Error(`The programs ended with ${codes.join()}.`);
    },
  };
}

/** One browser for each person, of as many engines as there are. */
export async function launchBrowsers(engines: readonly Engine[], people: number): Promise<TestBrowser[]> {
  const browsers: TestBrowser[] = [];
  for (let index = 0; index < people; index++)
    browsers.push(await launchBrowser(engines[index % engines.length]!));
  return browsers;
}
