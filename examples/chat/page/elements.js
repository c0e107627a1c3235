// Everything that is shown goes through here: as text, never as HTML.
import { fingerprint, hue } from './names.js';

export const $ = id => document.getElementById(id);

/** An element with a class, and children that are elements or text. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** The colour of a key. */
export function avatar(publicKey) {
  const dot = element('span', 'avatar');
  dot.style.setProperty('--hue', hue(publicKey));
  dot.setAttribute('aria-hidden', 'true');
  return dot;
}

/** The beginning of a key; all of it on demand. */
export function fingerprintOf(publicKey) {
  const shown = element('span', 'fingerprint', fingerprint(publicKey));
  shown.title = `Public key ${publicKey}`;
  return shown;
}

/** Text for those who hear the page. */
export function heard(text) {
  return element('span', 'visually-hidden', text);
}
