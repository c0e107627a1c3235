import { setImmediate } from 'node:timers/promises';
import { SecureWebSocketError } from '../../core/errors.js';

/** So many lines are taken before others get their turn: some milliseconds. */
const SLICE = 2_048;
/** Characters of one line beyond which nobody looks. */
const MAX_LINE = 1_024;

/** Where the lines come from: a text, or an array with one in each element. */
export type Lines = string | readonly string[];

/**
 * Gives `visit` each line that is not empty, without its comment (`#` to the end) and the space around it. Of a long
 * text only so much at a time that a relay goes on forwarding.
 * @param name what error messages call it: a file, or an option
 * @throws SecureWebSocketError `INVALID_ARGUMENT` naming the line, when `visit` throws
 */
export async function eachLine(name: string, lines: Lines, visit: (line: string) => void): Promise<void> {
  const unit = typeof lines === 'string' ? 'line' : 'entry';
  let number = 0;
  for (const line of typeof lines === 'string' ? splitLines(lines) : lines) {
    number += 1;
    if (number % SLICE === 0) await setImmediate();
    try {
      // Callers in plain JavaScript, and files of options, bring anything.
      if (typeof (line as unknown) !== 'string') throw new Error('It is not a string.');
      if (line.length > MAX_LINE) throw new Error(`It is longer than ${MAX_LINE} characters.`);
      const rest = line.replace(/#.*$/s, '').trim();
      if (rest !== '') visit(rest);
    } catch (error) {
      throw new SecureWebSocketError(
        'INVALID_ARGUMENT',
        `${name}, ${unit} ${number}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
}

/** One after the other: an array of all of them would be as large as the text again. */
function* splitLines(text: string): Generator<string> {
  let start = 0;
  for (;;) {
    const end = text.indexOf('\n', start);
    if (end < 0) break;
    yield text.slice(start, end);
    start = end + 1;
  }
  yield text.slice(start);
}
