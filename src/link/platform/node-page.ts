import type { Page } from './page.js';

/** Node: there is no page, and nobody tells when the network comes back. */
export const page: Page = {
  baseUrl: () => undefined,
  origin: () => undefined,
  onWake: () => stopNothing,
  isHidden: () => false,
  onVisibility: () => stopNothing,
};

function stopNothing(): void {
  // Nothing was started.
}
