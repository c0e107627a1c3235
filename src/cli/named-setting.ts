import { resolve } from 'node:path';
import type { Configuration } from './relay-configuration.js';
import { RELAY_SETTINGS } from './relay-settings.js';
import type { Setting } from './setting.js';
import { HTTP_URL, type Kind, PATH } from './setting-kinds.js';

/** What can stand around a path in a sentence. What follows may also go on with the name of a file beside it. */
const BEFORE = /[\s"'(“]$/;
const AFTER = /^(?:[\s"'),:;”]|\.(?:\s|$)|\.[a-z]+\b)/;

const NAMED: ReadonlySet<Kind> = new Set([PATH, HTTP_URL]);

/**
 * Where the setting was made whose path or URL `message` names, as in {@link Configured.where}; of several that which is
 * named first. Undefined when there is none.
 */
export function whereNamed(configuration: Configuration, message: string): string | undefined {
  let best = { at: Infinity, length: 0 };
  let found: string[] = [];
  for (const { name, kind } of RELAY_SETTINGS as readonly Setting[]) {
    const configured = configuration.get(name);
    if (configured === undefined || !NAMED.has(kind)) continue;
    const { value, where } = configured;
    const texts = [value].flat().flatMap(each => {
      const given = String(each);
      return [given, kind === PATH ? resolve(given) : kind.format(given)];
    });
    for (const text of new Set(texts)) {
      const at = positionOf(text, message);
      if (at === undefined) continue;
      const { length } = text;
      if (at < best.at || (at === best.at && length > best.length)) {
        best = { at, length };
        found = [where];
        // The same file for two purposes: it may be about either of them.
      } else if (at === best.at && length === best.length) found.push(where);
    }
  }
  return found.length === 0 ? undefined : found.join(', ');
}

function positionOf(text: string, message: string): number | undefined {
  // A name such as "list" would be found in most sentences.
  if (!/[/\\.]/.test(text)) return undefined;
  for (let at = message.indexOf(text); at >= 0; at = message.indexOf(text, at + 1)) {
    const end = at + text.length;
    if (
      (at === 0 || BEFORE.test(message.slice(0, at))) &&
      (end === message.length || AFTER.test(message.slice(end)))
    )
      return at;
  }
  return undefined;
}
