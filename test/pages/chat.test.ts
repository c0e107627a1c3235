// The chat example: three people in three engines, in one room. Each has a way to the relay that can be cut.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ChatPerson, ChatPrograms, launchBrowsers, startChat } from '../support/chat-scene.js';
import { launchBrowser, testEngines, type TestBrowser } from '../support/pages.js';

const NAMES = ['Ada', 'Bob', 'Eve'] as const;

let chat: Awaited<ReturnType<typeof startChat>>;
let browsers: TestBrowser[];
beforeAll(async () => {
  chat = await startChat(NAMES.length);
  browsers = await launchBrowsers(testEngines, NAMES.length);
}, 120_000);
afterAll(async () => {
  for (const browser of browsers) await browser.close();
  await chat.close();
});

/** Three people in a room of this test. */
async function room(space: string): Promise<[ChatPerson, ChatPerson, ChatPerson]> {
  const people: ChatPerson[] = [];
  for (const [index, name] of NAMES.entries()) {
    people.push(await ChatPerson.enter(browsers[index]!, chat.ways[index]!.url, name, space));
  }
  for (const person of people) await person.untilHere(...NAMES);
  return people as [ChatPerson, ChatPerson, ChatPerson];
}

async function leave(...people: ChatPerson[]): Promise<void> {
  for (const person of people) await person.vanish();
}

describe('three people in three engines', () => {
  it('talk, each seen under a name and a key; the relay sees ciphertext', async () => {
    const [ada, bob, eve] = await room('lobby');
    await ada.say('Can anybody else read this?');
    await bob.say('<b>No.</b>');
    await bob.say('Not a word.');
    expect(await eve.untilHeard(3)).toEqual(
      expect.arrayContaining(['Ada: Can anybody else read this?', 'Bob: <b>No.</b>', 'Bob: Not a word.']),
    );
    expect((await ada.untilHeard(2)).slice(-2)).toEqual(['Bob: <b>No.</b>', 'Bob: Not a word.']);
    await bob.untilHeard(1);

    // Everybody sees the same key beside the same name, and each has one of its own.
    const sights = await Promise.all([ada, bob, eve].map(person => person.sight()));
    const sorted = sights.map(({ people }) =>
      people.map(({ name, fingerprint }) => `${name} ${fingerprint}`).sort(),
    );
    expect(sorted[1]).toEqual(sorted[0]);
    expect(sorted[2]).toEqual(sorted[0]);
    expect(new Set(sights[0]!.people.map(({ fingerprint }) => fingerprint)).size).toBe(3);
    expect(sights[0]!.notes[0]).toContain('What was said before cannot be shown');
    expect(sights[0]!.notes.slice(1).map(note => note.replace(/ \(.*\)/, ''))).toEqual([
      '“Bob” joined.',
      '“Eve” joined.',
    ]);

    const seen = await eve.page.waitFor(() => {
      const rows = [...document.querySelectorAll('#relay-rows [data-type=multicast]')].map(
        row => row.textContent,
      );
      return rows.length >= 3 && rows;
    });
    expect(seen.at(-1)).toContain('2 others in “lobby”');
    const all = await eve.page.evaluate(() => document.getElementById('relay-rows')?.textContent ?? '');
    for (const word of ['anybody', 'Not a word', 'Ada']) {
      expect(all).not.toContain(word);
      expect(all).not.toContain(Buffer.from(word).toString('hex').replace(/../g, '$& ').trim());
    }
    await leave(ada, bob, eve);
  });

  it('who comes later is told nothing of before; who has left, nothing of after', async () => {
    const ada = await ChatPerson.enter(browsers[0]!, chat.ways[0]!.url, 'Ada', 'door');
    const bob = await ChatPerson.enter(browsers[1]!, chat.ways[1]!.url, 'Bob', 'door');
    await bob.untilHere('Ada', 'Bob');
    await ada.say('before');
    await bob.untilHeard(1);
    const eve = await ChatPerson.enter(browsers[2]!, chat.ways[2]!.url, 'Eve', 'door');
    for (const person of [ada, bob, eve]) await person.untilHere('Ada', 'Bob', 'Eve');
    await ada.say('between');
    expect(await eve.untilHeard(1)).toEqual(['Ada: between']);
    const generations = (): Promise<number[]> => generationsIn(ada, 'door');
    await ada.page.waitFor(() => document.querySelectorAll('#relay-rows [data-type=multicast]').length > 0);
    const before = Math.max(...(await generations()));

    await eve.press('leave');
    await eve.until('');
    for (const person of [ada, bob]) await person.untilHere('Ada', 'Bob');
    await ada.say('after');
    expect(await bob.untilHeard(3)).toEqual(['Ada: before', 'Ada: between', 'Ada: after']);
    // The door is shown again, and what was said is gone with the visit.
    expect(await eve.sight()).toMatchObject({ heard: [], notes: [], title: 'Chat · secure-websocket' });
    expect(await eve.page.evaluate(() => document.activeElement?.id)).toBe('name');
    // New keys for those who remain; those of who left are wiped, and that is told.
    expect(Math.max(...(await generations()))).toBeGreaterThan(before);
    // And the relay hands it to nobody else.
    const [last] = await ada.page.evaluate(() =>
      [...document.querySelectorAll('#relay-rows [data-type=multicast]')]
        .slice(-1)
        .map(row => row.textContent),
    );
    expect(last).toContain('1 other in “door”');
    expect(await ada.page.waitFor(() => document.getElementById('keys')?.textContent)).toMatch(
      /^Keys wiped of one member who left/,
    );
    expect((await ada.sight()).notes.at(-1)).toMatch(/^“Eve” \(.*\) left\./);
    await leave(ada, bob, eve);
  });

  it('who goes offline misses nothing, and is told so', async () => {
    const [ada, bob, eve] = await room('tunnel');
    const { proxy } = chat.ways[1]!;
    proxy.refusing = true;
    proxy.cut();
    await bob.until('away');
    expect((await bob.sight()).state).toMatch(/^Connection lost/);
    for (let number = 1; number <= 10; number++) {
      await ada.say(`a${number}`);
      await eve.say(`e${number}`);
    }
    await bob.say('written in the tunnel');
    await ada.page.waitFor(() => [...document.querySelectorAll('#people .away')].length === 1);
    proxy.refusing = false;
    // As a browser tells when its network is back.
    await bob.page.evaluate(() => globalThis.dispatchEvent(new Event('online')));
    await bob.until('open');
    const heard = await bob.untilHeard(20);
    for (const [name, letter] of [
      ['Ada', 'a'],
      ['Eve', 'e'],
    ] as const) {
      const numbers = Array.from({ length: 10 }, (_, index) => `${name}: ${letter}${index + 1}`);
      expect(heard.filter(line => line.startsWith(name))).toEqual(numbers);
    }
    expect(await ada.untilHeard(11)).toContain('Bob: written in the tunnel');
    expect((await ada.sight()).notes.join('\n')).not.toMatch(/left|did not arrive/);
    await ada.page.waitFor(() => document.querySelectorAll('#people .away').length === 0);
    await leave(ada, bob, eve);
  });

  it('send files by drag and drop: shown, saved under harmless names, and bounded', async () => {
    const [ada, bob, eve] = await room('files');
    await eve.page.evaluate(drop, [
      { name: '../photo.png', base64: PNG },
      { name: 'page.html', base64: btoa(PAGE.repeat(3_000)) },
      { name: 'too-large.iso', size: 10_485_761 },
    ]);
    for (const person of [ada, bob, eve]) {
      const files = await person.page.waitFor(() => {
        const links = [...document.querySelectorAll<HTMLAnchorElement>('#lines .file a')];
        return links.length === 2 && links.map(link => [link.download, link.protocol, link.ariaLabel]);
      });
      expect(files).toEqual([
        ['photo.png', 'blob:', 'Save photo.png'],
        ['page.html', 'blob:', 'Save page.html'],
      ]);
      // The preview is there because the bytes are.
      await person.page.waitFor(() => {
        const image = document.querySelector<HTMLImageElement>('#lines .file img');
        return image?.naturalWidth === 16 && image.alt === 'photo.png';
      });
    }
    expect((await eve.sight()).notes.at(-1)).toBe(
      '“too-large.iso” was not sent: it has 10.0 MiB. At most 10.0 MiB can be sent here.',
    );
    // Only there a test learns what was saved.
    if (browsers[0]!.engine === 'chromium') {
      const [download] = await Promise.all([
        ada.page.playwright!.waitForEvent('download'),
        ada.page.playwright!.click('[aria-label="Save page.html"]'),
      ]);
      expect(download.suggestedFilename()).toBe('page.html');
      const chunks: Buffer[] = [];
      for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe(PAGE.repeat(3_000));
    }
    await leave(ada, bob, eve);
  });
});

describe('by way of a proxy', () => {
  it('a plain WebSocket is in the same room, and the page has neither keys nor library', async () => {
    const programs = await ChatPrograms.start();
    onTestFinished(async () => {
      expect(await programs.close()).toEqual([0]);
    });
    const identity = programs.file('plain.key');
    const args = ['--relay', chat.relay, '--port', '0', '--proxy-port', '0', '--identity', identity];
    const url = await programs.run('proxy.js', args);
    for (const browser of browsers) {
      const space = `plain in ${browser.engine}`;
      const ada = await ChatPerson.enter(browsers[0]!, chat.ways[0]!.url, 'Ada', space);
      const plain = await ChatPerson.enter(browser, url, 'Plain', space);
      await ada.untilHere('Ada', 'Plain');
      await plain.untilHere('Ada', 'Plain');
      await ada.say('Where are your keys?');
      expect(await plain.untilHeard(1)).toEqual(['Ada: Where are your keys?']);
      await plain.say('In the proxy.');
      expect(await ada.untilHeard(1)).toEqual(['Plain: In the proxy.']);
      await plain.page.evaluate(drop, [{ name: 'photo.png', base64: PNG }]);
      await ada.page.waitFor(
        () => document.querySelector<HTMLImageElement>('#lines .file img')?.naturalWidth === 16,
      );
      await ada.page.evaluate(drop, [{ name: 'photo.png', base64: PNG }]);
      await plain.page.waitFor(
        () => document.querySelectorAll<HTMLImageElement>('#lines .theirs .file img')[0]?.naturalWidth === 16,
      );
      const inPage = await plain.page.evaluate(async () => ({
        loaded: performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname),
        databases: (await indexedDB.databases()).map(({ name }) => name),
        storage: Object.keys(localStorage),
      }));
      expect(inPage.loaded.filter(path => /secure-websocket|libsodium|over-relay/.test(path))).toEqual([]);
      expect(inPage.loaded).toContain('/space-over-proxy.js');
      expect(inPage).toMatchObject({ databases: [], storage: [] });
      // The relay's own view, passed on to those who look.
      await plain.page.waitFor(
        () =>
          document.visibilityState === 'hidden' ||
          document.querySelector('#relay-rows [data-type=multicast]') !== null,
      );
      await plain.press('leave');
      await plain.until('');
      await ada.untilHere('Ada');
      await leave(ada, plain);
    }
  });
});

describe.each(testEngines)('the page in %s', engine => {
  let browser: TestBrowser;
  let url: string;
  beforeAll(async () => {
    browser = await launchBrowser(engine);
    ({ url } = chat.ways[0]!);
  });
  afterAll(() => browser.close());

  it('has a name for everything, landmarks, live regions, and a focus that follows', async () => {
    const ada = await ChatPerson.enter(browser, url, 'Ada', `access ${engine}`);
    const found = await ada.page.evaluate(() => {
      const nameOf = (element: Element): string => {
        const labelled = element.getAttribute('aria-labelledby');
        const labels = (element as HTMLInputElement).labels ?? [];
        return (
          element.getAttribute('aria-label') ??
          (labelled && document.getElementById(labelled)?.textContent) ??
          labels[0]?.textContent ??
          element.textContent
        ).trim();
      };
      const controls = [...document.querySelectorAll('button, textarea, input, a[href]')];
      const log = document.getElementById('log')!;
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
      const pointed = [
        ...document.querySelectorAll('[aria-describedby], [aria-labelledby], [aria-controls], [for]'),
      ]
        .flatMap(element =>
          ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for'].map(name =>
            element.getAttribute(name),
          ),
        )
        .flatMap(value => value?.split(' ') ?? []);
      return {
        nameless: controls
          .filter(control => nameOf(control) === '' && !(control as HTMLElement).hidden)
          .map(({ id }) => id),
        landmarks: [...document.querySelectorAll('header, main, aside, section')].map(mark =>
          `${mark.localName} ${mark.hasAttribute('aria-labelledby') ? nameOf(mark) : ''}`.trim(),
        ),
        log: [log.role, log.ariaLive, log.tabIndex],
        status: document.getElementById('state')!.role,
        alert: document.getElementById('entry-problem')!.role,
        headings: [...document.querySelectorAll('h1, h2')].map(({ localName }) => localName),
        language: document.documentElement.lang,
        focus: document.activeElement?.id,
        repeated: ids.filter((id, index) => ids.indexOf(id) !== index),
        dangling: pointed.filter(id => !ids.includes(id)),
        tabIndexes: [...document.querySelectorAll<HTMLElement>('[tabindex]')].map(({ tabIndex }) => tabIndex),
      };
    });
    expect(found).toEqual({
      nameless: [],
      landmarks: [
        'header',
        'main',
        'section Enter a room',
        'aside Here: 1',
        'section Conversation',
        'aside What the relay sees',
      ],
      log: ['log', 'polite', 0],
      status: 'status',
      alert: 'alert',
      headings: ['h1', 'h2', 'h2', 'h2', 'h2'],
      language: 'en',
      focus: 'text',
      repeated: [],
      dangling: [],
      // The order of the page is the order of Tab.
      tabIndexes: [0, 0],
    });
    await ada.vanish();
  });

  it('is used with the keyboard, and says what is wrong with a form', async () => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitFor(() => !(document.querySelector('#enter button') as HTMLButtonElement).disabled);
    const refused = await page.evaluate(() => {
      const [name, space] = ['name', 'space'].map(id => document.getElementById(id) as HTMLInputElement);
      name!.value = '\u202e';
      space!.value = 'a/b';
      (document.getElementById('enter') as HTMLFormElement).requestSubmit();
      return {
        invalid: [name!.getAttribute('aria-invalid'), space!.getAttribute('aria-invalid')],
        why: ['name-problem', 'space-problem'].map(id => document.getElementById(id)?.textContent),
        focus: document.activeElement?.id,
      };
    });
    expect(refused).toEqual({
      invalid: ['true', 'true'],
      why: ['Say what you want to be called.', 'The name of a room has no “/” in it.'],
      focus: 'name',
    });

    const ada = await ChatPerson.enter(browser, url, 'Ada', `keys ${engine}`);
    const bob = await ChatPerson.enter(browser, url, 'Bob', `keys ${engine}`);
    await ada.untilHere('Ada', 'Bob');
    await bob.untilHere('Ada', 'Bob');
    const kept = await bob.page.evaluate(() => {
      const text = document.getElementById('text') as HTMLTextAreaElement;
      const press = (init: KeyboardEventInit): boolean =>
        text.dispatchEvent(
          new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init }),
        );
      text.value = 'two\nlines';
      // True: left to the browser, which begins a new line or chooses a word.
      const left = [press({ shiftKey: true }), press({ isComposing: true })];
      press({});
      return { left, value: text.value, focus: document.activeElement?.id };
    });
    expect(kept).toEqual({ left: [true, true], value: '', focus: 'text' });
    expect(await ada.untilHeard(1)).toEqual(['Bob: two\nlines']);

    // Where a focus is, is seen: for who comes there by keyboard.
    const { playwright } = ada.page;
    if (playwright) {
      await playwright.bringToFront();
      await playwright.focus('#text');
      const order: string[] = [];
      for (let step = 0; step < 3; step++) {
        await playwright.keyboard.press('Tab');
        order.push(
          await ada.page.evaluate(() => {
            const { id } = document.activeElement!;
            const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement!);
            return `${id} ${outlineStyle} ${outlineWidth}`;
          }),
        );
      }
      expect(order).toEqual(['attach solid 3px', 'send solid 3px', 'relay-toggle solid 3px']);
    }
    await leave(ada, bob);
  });

  it('marks what was not seen, in the title and at each message', async () => {
    const ada = await ChatPerson.enter(browser, url, 'Ada', 'unread');
    const bob = await ChatPerson.enter(browser, url, 'Bob', 'unread');
    await ada.untilHere('Ada', 'Bob');
    await bob.untilHere('Ada', 'Bob');
    for (let number = 1; number <= 40; number++) await bob.say(`line ${number}`);
    await ada.untilHeard(40);
    // Another tab may be in front; a page can only be looked at when it says that it is.
    await ada.page.evaluate(() => {
      const seen = (state: string): void => {
        Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      };
      Object.assign(globalThis, { seen });
      seen('visible');
      const log = document.getElementById('log')!;
      log.scrollTop = log.scrollHeight;
    });
    await ada.page.waitFor(() => document.title.startsWith('unread'));
    await ada.page.evaluate(() => {
      const log = document.getElementById('log')!;
      log.scrollTop = 0;
      // In a tab behind another one the event waits until somebody looks.
      log.dispatchEvent(new Event('scroll'));
    });
    // Scrolled up: what comes is not seen, and nothing is pulled away from who reads.
    await ada.page.waitFor(() => !document.getElementById('newest')!.hidden);
    await bob.say('unseen one');
    await bob.say('unseen two');
    await ada.untilHeard(42);
    const marks = (): { title: string; lines: (string | null)[]; top: number; button: string } => ({
      title: document.title,
      lines: [...document.querySelectorAll('#lines .new-mark, #lines .unread')].map(line => line.textContent),
      top: document.getElementById('log')!.scrollTop,
      button: document.getElementById('newest')!.textContent,
    });
    const unseen = await ada.page.evaluate(marks);
    expect(unseen).toMatchObject({
      title: '(2) unread · secure-websocket chat',
      top: 0,
      button: '2 new messages ↓',
    });
    expect(unseen.lines).toEqual([
      'New',
      expect.stringMatching(/^Unread: Bob .*unseen one$/),
      'Unread: Bob: unseen two',
    ]);
    await ada.press('newest');
    const looked = await ada.page.waitFor(() => {
      const lines = [...document.querySelectorAll('#lines .new-mark, #lines .unread')].map(
        line => line.textContent,
      );
      return lines.length === 1 && { title: document.title, lines };
    });
    // The line above them stays, so that one finds them.
    expect(looked).toEqual({ title: 'unread · secure-websocket chat', lines: ['New'] });

    // The same while the tab is in the background.
    await ada.page.evaluate(() => {
      (globalThis as unknown as { seen(state: string): void }).seen('hidden');
    });
    await bob.say('unseen three');
    await ada.untilHeard(43);
    expect((await ada.sight()).title).toBe('(1) unread · secure-websocket chat');
    await ada.page.evaluate(() => {
      (globalThis as unknown as { seen(state: string): void }).seen('visible');
    });
    expect((await ada.sight()).title).toBe('unread · secure-websocket chat');
    await leave(ada, bob);
  });

  it('has two themes, fits narrow and magnified windows, and keeps still where that is asked for', async () => {
    const ada = await ChatPerson.enter(browser, url, 'Ada', `looks ${engine}`);
    await ada.say('hello');
    const look = (): { ground: string; scheme: string; dark: string | null } => ({
      ground: getComputedStyle(document.body).backgroundColor,
      scheme: getComputedStyle(document.documentElement).colorScheme,
      dark: document.getElementById('theme')!.getAttribute('aria-pressed'),
    });
    const before = await ada.page.evaluate(look);
    await ada.press('theme');
    const after = await ada.page.evaluate(look);
    expect(after.ground).not.toBe(before.ground);
    expect([before.dark, after.dark].sort()).toEqual(['false', 'true']);
    expect(after.scheme).toBe(after.dark === 'true' ? 'dark' : 'light');
    await ada.page.reload();
    expect(await ada.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe(
      after.scheme,
    );
    await ada.page.evaluate(() => {
      localStorage.clear();
    });
    await ada.vanish();

    const bob = await ChatPerson.enter(browser, url, 'Bob', `looks ${engine}`);
    const looksLike = (dark: string, moves: string): boolean =>
      document.getElementById('theme')!.getAttribute('aria-pressed') === dark &&
      getComputedStyle(document.querySelector('#lines .message')!).animationName === moves;
    const { playwright } = bob.page;
    if (playwright) {
      await bob.say('x'.repeat(300));
      // Over WebDriver BiDi, as Firefox is driven, there is no way to say this.
      if (engine === 'chromium') {
        await playwright.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
        await bob.page.waitFor(looksLike, 'true', 'none');
        await playwright.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
        await bob.page.waitFor(looksLike, 'false', 'arrive');
      }
      // 320 pixels is a phone, and 1280 at 400 %; 640 × 360 is 1280 × 720 at 200 %.
      for (const [width, height] of [
        [320, 640],
        [640, 360],
        [1024, 700],
      ] as const) {
        await playwright.setViewportSize({ width, height });
        const wide = await bob.page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          const sizes = ['log', 'text', 'send'].map(id =>
            document.getElementById(id)!.getBoundingClientRect(),
          );
          return {
            over: scrollWidth - clientWidth,
            log: sizes[0]!.height,
            outside: sizes.some(size => size.right > clientWidth),
          };
        });
        expect(wide).toMatchObject({ over: 0, outside: false });
        expect(wide.log).toBeGreaterThan(100);
      }
    }
    await bob.vanish();
  });

  it('runs nothing but its own scripts, and connects to nobody else', async () => {
    const { headers } = await fetch(url);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-[\w+/=]+'; style-src 'self';/,
    );
    expect(policy).not.toMatch(/unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|\*|https?:\/\//);
    expect(policy).toContain(`connect-src 'self' ${url.replace('http', 'ws')};`);
    const ada = await ChatPerson.enter(browser, url, 'Ada', `policy ${engine}`);
    const ran = await ada.page.evaluate(async other => {
      const attempt = (action: () => void): void => {
        try {
          action();
        } catch {
          // Refused at once, which is as good.
        }
      };
      attempt(() => {
        const script = document.createElement('script');
        script.textContent = 'globalThis.hacked = true';
        document.body.append(script);
      });
      attempt(() => {
        const image = document.createElement('img');
        image.setAttribute('onerror', 'globalThis.hacked = true');
        image.src = 'data:,x';
        document.body.append(image);
      });
      const refused = await fetch(other).then(
        () => false,
        () => true,
      );
      await new Promise(resolve => {
        setTimeout(resolve, 0);
      });
      return { hacked: 'hacked' in globalThis, refused };
    }, chat.ways[1]!.url);
    expect(ran).toEqual({ hacked: false, refused: true });
    await ada.vanish();
  });
});

const PAGE = '<script>globalThis.hacked = true</script>';

/** 16 × 16 pixels. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR4nGNk+M9AEmAiTfmohlENQxkAAP8A/3EBGfQAAAAASUVORK5CYII=';

/** Runs in the page: drops files into the room. */
function drop(files: readonly { name: string; base64?: string; size?: number }[]): void {
  const transfer = new DataTransfer();
  for (const { name, base64, size } of files) {
    const bytes =
      base64 === undefined ? new Uint8Array(size ?? 0) : Uint8Array.from(atob(base64), c => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  for (const type of ['dragover', 'drop']) {
    const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer });
    document.getElementById('log')!.dispatchEvent(event);
  }
}

/** The generations in the headers of messages to a space, as the relay sees them: u32 after 81 bytes. */
function generationsIn(person: ChatPerson, space: string): Promise<number[]> {
  return person.page.evaluate(
    name =>
      [...document.querySelectorAll('#relay-rows [data-type=multicast]')]
        .filter(row => row.textContent.includes(`“${name}”`))
        .map(row => parseInt(row.querySelector('code')!.textContent.split(' ').slice(81, 85).join(''), 16)),
    space,
  );
}
