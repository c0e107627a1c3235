import type { Page } from './page.js';
import { type WebEvent, type WebEvents, webGlobals } from './web-globals.js';

/** Browsers, and other runtimes with the web's globals. */
export const page: Page = {
  baseUrl() {
    const { document, location } = webGlobals();
    return document?.baseURI ?? location?.href;
  },

  origin() {
    const { origin } = webGlobals();
    return typeof origin === 'string' ? origin : undefined;
  },

  onWake(callback) {
    const globals = webGlobals();
    const stops = [
      listenTo(globals, 'online', () => {
        callback();
      }),
      // Out of the back/forward cache: connections were closed when the page went in, and nothing told of it.
      listenTo(globals, 'pageshow', event => {
        if (event.persisted) callback();
      }),
      onVisibility(hidden => {
        if (!hidden) callback();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  },

  isHidden,
  onVisibility,
};

function isHidden(): boolean {
  return webGlobals().document?.visibilityState === 'hidden';
}

function onVisibility(callback: (hidden: boolean) => void): () => void {
  return listenTo(webGlobals().document, 'visibilitychange', () => {
    callback(isHidden());
  });
}

/** Returns what stops it: at the same target, whatever has become of the global meanwhile. */
function listenTo(
  target: WebEvents | undefined,
  type: string,
  listener: (event: WebEvent) => void,
): () => void {
  target?.addEventListener?.(type, listener);
  return () => {
    target?.removeEventListener?.(type, listener);
  };
}
