/**
 * What is to be known of the page: the part of {@link Platform} that is needed before anything is dialled, and is loaded
 * with the page. One half is chosen when the package is built (`#page`).
 */
export interface Page {
  /** What relative URLs resolve against: the page's base URL. */
  baseUrl(): string | undefined;
  /** The origin of the page, sent sealed in OPEN. */
  origin(): string | undefined;
  /**
   * Calls back whenever there is reason to believe that the network is back or that the user looks again, perhaps more
   * than once for one reason. In Node never. Returns a function that stops it.
   */
  onWake(callback: () => void): () => void;
  /** Whether nobody can see the page. False where there is no page: in workers and in Node. */
  readonly isHidden: () => boolean;
  /** Calls back whenever that changes. Where there is no page never. Returns a function that stops it. */
  onVisibility(callback: (hidden: boolean) => void): () => void;
}
