import { afterEach, describe, expect, it, vi } from 'vitest';
import { platform as browser } from '../../../src/link/platform/browser.js';
import { platform as node } from '../../../src/link/platform/node.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

class FakeDocument extends EventTarget {
  readonly baseURI = 'https://a.example/';
  visibilityState = 'visible';

  becomes(state: 'visible' | 'hidden'): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

/** The events of the global object, as in a worker. */
function fakeGlobal(): EventTarget {
  const target = new EventTarget();
  vi.stubGlobal('addEventListener', target.addEventListener.bind(target));
  vi.stubGlobal('removeEventListener', target.removeEventListener.bind(target));
  return target;
}

/** And a page. */
function fakePage(): { window: EventTarget; document: FakeDocument } {
  const document = new FakeDocument();
  vi.stubGlobal('document', document);
  return { window: fakeGlobal(), document };
}

const pageshow = (persisted: boolean) => Object.assign(new Event('pageshow'), { persisted });

describe('the browser platform', () => {
  it('wakes when the network is back, the page is seen again, or it comes out of the cache', () => {
    const { window, document } = fakePage();
    const woken = vi.fn();
    browser.onWake(woken);
    window.dispatchEvent(new Event('online'));
    expect(woken).toHaveBeenCalledTimes(1);
    document.becomes('hidden');
    expect(woken).toHaveBeenCalledTimes(1);
    document.becomes('visible');
    expect(woken).toHaveBeenCalledTimes(2);
    window.dispatchEvent(pageshow(true));
    expect(woken).toHaveBeenCalledTimes(3);
    expect(woken.mock.calls.flat()).toEqual([]);
  });

  it('does not wake for a page that is shown first, nor when the network goes', () => {
    const { window } = fakePage();
    const woken = vi.fn();
    browser.onWake(woken);
    window.dispatchEvent(pageshow(false));
    window.dispatchEvent(new Event('offline'));
    expect(woken).not.toHaveBeenCalled();
  });

  it('wakes in a worker, which has no document', () => {
    const self = fakeGlobal();
    const woken = vi.fn();
    const stop = browser.onWake(woken);
    self.dispatchEvent(new Event('online'));
    expect(woken).toHaveBeenCalledTimes(1);
    stop();
    self.dispatchEvent(new Event('online'));
    expect(woken).toHaveBeenCalledTimes(1);
  });

  it('stops for one who asked and not for another, though both gave the same function', () => {
    const { window, document } = fakePage();
    const woken = vi.fn();
    const stop = browser.onWake(woken);
    const stopOther = browser.onWake(woken);
    stop();
    stop();
    window.dispatchEvent(new Event('online'));
    window.dispatchEvent(pageshow(true));
    document.becomes('visible');
    expect(woken).toHaveBeenCalledTimes(3);
    stopOther();
    window.dispatchEvent(new Event('online'));
    window.dispatchEvent(pageshow(true));
    document.becomes('visible');
    expect(woken).toHaveBeenCalledTimes(3);
  });

  it('tells whether the page is hidden, and when that changes', () => {
    const { document } = fakePage();
    const changes: boolean[] = [];
    const stop = browser.onVisibility(hidden => changes.push(hidden));
    expect(browser.isHidden()).toBe(false);
    document.becomes('hidden');
    expect(browser.isHidden()).toBe(true);
    document.becomes('visible');
    expect(browser.isHidden()).toBe(false);
    expect(changes).toEqual([true, false]);
    stop();
    document.becomes('hidden');
    expect(changes).toEqual([true, false]);
  });

  it('is content with a runtime that has none of it', () => {
    const nothing = (): void => {};
    for (const document of [undefined, { baseURI: 'https://a.example/' }]) {
      vi.stubGlobal('addEventListener', undefined);
      vi.stubGlobal('removeEventListener', undefined);
      vi.stubGlobal('document', document);
      expect(browser.isHidden()).toBe(false);
      browser.onWake(nothing)();
      browser.onVisibility(nothing)();
    }
  });

  it('leaves the targets that it listened to, though the globals are others by then', () => {
    const { document } = fakePage();
    const changed = vi.fn();
    const stop = browser.onVisibility(changed);
    vi.stubGlobal('document', undefined);
    stop();
    document.becomes('hidden');
    expect(changed).not.toHaveBeenCalled();
  });
});

describe('the platform of Node', () => {
  it('is never told of the network or of somebody who looks, even where there are such events', () => {
    const { window, document } = fakePage();
    const told = vi.fn();
    const stops = [node.onWake(told), node.onVisibility(told)];
    document.becomes('hidden');
    expect(node.isHidden()).toBe(false);
    document.becomes('visible');
    window.dispatchEvent(new Event('online'));
    window.dispatchEvent(pageshow(true));
    expect(told).not.toHaveBeenCalled();
    for (const stop of stops) stop();
  });
});
