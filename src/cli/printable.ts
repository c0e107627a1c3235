/** C0 and C1 controls, and what changes the direction of text: a terminal obeys them, whoever sent them. */
const CONTROLS = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** `text` on one line, with nothing in it that a terminal would obey. Tabs stay. */
export function printable(text: string): string {
  return text.replace(CONTROLS, escape);
}

/** A message for a terminal: it may have several lines, of which those after the first are indented. */
export function printableMessage(text: string): string {
  return text
    .split(/\r?\n/)
    .map(line => printable(line))
    .join('\n  ');
}

function escape(character: string): string {
  const code = character.charCodeAt(0);
  if (character === '\n') return String.raw`\n`;
  if (character === '\r') return String.raw`\r`;
  return code < 0x100
    ? String.raw`\x${code.toString(16).padStart(2, '0')}`
    : String.raw`\u${code.toString(16).padStart(4, '0')}`;
}
