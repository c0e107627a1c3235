import { isUtf8 } from 'node:buffer';
import { CommandError } from './exit-code.js';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The lines of a stream of bytes, without their ends (`\n` or `\r\n`); the last one may lack it. Every line is valid
 * UTF-8: bytes that are not become U+FFFD, and `repaired` is called.
 *
 * @throws CommandError when a line is longer than `limit` bytes: it would have to be kept in memory
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  limit: number,
  repaired: () => void,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      yield toLine(parts, repaired);
      parts = [];
      length = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    if (rest.length === 0) continue;
    parts.push(rest);
    length += rest.length;
    if (length > limit) {
      throw new CommandError(`A line of the input is longer than ${limit} bytes.`, {
        hint: 'For data that is not made of lines give --binary.',
      });
    }
  }
  if (parts.length > 0) yield toLine(parts, repaired);
}

function toLine(parts: readonly Uint8Array[], repaired: () => void): Uint8Array {
  const whole = Buffer.concat(parts);
  const line = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole;
  if (isUtf8(line)) return line;
  repaired();
  return Buffer.from(line.toString());
}
