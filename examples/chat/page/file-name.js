const MAX_LENGTH = 100;
/** Controls and what hides or turns around the characters beside it: `invoice\u202Efdp.exe` is shown as `invoiceexe.pdf`. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
/** What means something to a file system or a shell somewhere. */
const MEANINGFUL = /[/\\:*?"<>|]/g;
/** Names that are devices in Windows, with any ending. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;

/**
 * A name that a received file may be shown and saved under: no path, no hidden file, nothing invisible, at most 100
 * characters; the ending stays. 'file' when nothing is left.
 *
 * @param {string} name
 * @returns {string}
 */
export function safeFileName(name) {
  const last = name.split(/[/\\]/).pop() ?? '';
  const visible = last
    .replace(/\s+/gu, ' ')
    .replace(INVISIBLE, '')
    .normalize('NFC')
    .replace(MEANINGFUL, '_')
    .replace(/^[. ]+|[. ]+$/g, '');
  const safe = shorten(visible).replace(/[. ]+$/, '');
  if (safe === '') return 'file';
  return DEVICE.test(safe) ? `_${safe}` : safe;
}

function shorten(name) {
  const characters = [...name];
  if (characters.length <= MAX_LENGTH) return name;
  const ending = /\.[^.]{1,10}$/.exec(name)?.[0] ?? '';
  return characters.slice(0, MAX_LENGTH - [...ending].length).join('') + ending;
}

/** A number of bytes for people. */
export function readableSize(bytes) {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
