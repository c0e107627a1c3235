// The side pane: what the relay sees, told by the relay itself. Names are not in it: the relay does not know them.
import { $, avatar, element } from './elements.js';
import { fingerprint } from './names.js';

const MAX_ROWS = 200;
/** The first byte of a sealed body tells its kind, to the relay as well (docs/protocol.md, "Sealed bodies"). */
const ENVELOPES = { '01': 'handshake', '02': 'handshake', '04': 'keys' };
/** The first byte of a message to a space (docs/protocol.md, "Spaces"). */
const MESSAGES = { '01': 'a wrapped key for each', '02': 'sender key' };

/** Header and length of the ciphertext, bytes. */
const MESSAGE_HEADER = 101;

const number = value => value.toLocaleString('en');
const many = (count, one) => `${number(count)} ${one}${count === 1 ? '' : 's'}`;

const DESCRIPTIONS = {
  registered: ({ key }) => [party(key), 'registers: has proven that it has this key'],
  gone: ({ key }) => [party(key), 'disconnects'],
  entered: ({ key, space, members }) => [
    party(key),
    `enters “${space}”`,
    detail(`now ${many(members, 'member')}`),
  ],
  left: ({ key, space, members, reason }) => [
    party(key),
    `leaves “${space}”`,
    detail(`${reason}, now ${many(members, 'member')}`),
  ],
  multicast: ({ key, space, recipients, size, body }) => [
    party(key),
    '→',
    `${many(recipients, 'other')} in “${space}”`,
    detail(`message, ${number(size)} bytes, ${MESSAGES[body.slice(0, 2)] ?? 'unknown'}`),
  ],
  envelope: ({ from, to, size, body }) => [
    party(from),
    '→',
    party(to),
    detail(`${ENVELOPES[body.slice(0, 2)] ?? 'unknown'}, ${number(size)} bytes`),
  ],
};

export function showRelayView() {
  let frames = 0;
  let bytes = 0;
  let follows = true;
  let last = '';
  let stream;
  const rows = $('relay-rows');

  const show = ({ data, lastEventId }) => {
    last = lastEventId;
    const seen = JSON.parse(data);
    if (!Object.hasOwn(DESCRIPTIONS, seen.type)) return;
    if (seen.size !== undefined) {
      frames += 1;
      bytes += seen.size;
      $('relay-frames').textContent = number(frames);
      $('relay-bytes').textContent = number(bytes);
    }
    rows.querySelector('.empty')?.remove();
    rows.append(row(seen));
    while (rows.children.length > MAX_ROWS) rows.firstElementChild.remove();
    if (follows) rows.scrollTop = rows.scrollHeight;
  };
  // A browser has six connections for all tabs of one origin, and each stream is one: only what is looked at has it.
  const watch = () => {
    stream?.close();
    stream = undefined;
    if (document.visibilityState === 'hidden') return;
    const opened = new EventSource(`/relay-view?${new URLSearchParams({ after: last })}`);
    stream = opened;
    opened.addEventListener('message', show);
    opened.addEventListener('error', () => {
      // Closed for good: the relay is not one that shows it. Otherwise the browser tries again.
      const empty = rows.querySelector('.empty');
      if (opened.readyState !== EventSource.CLOSED || empty === null) return;
      empty.textContent = 'This relay is run by somebody else, and shows nobody what it sees.';
    });
  };
  watch();
  document.addEventListener('visibilitychange', watch);
  // It is filled from the beginning, and seen later.
  new ResizeObserver(() => {
    if (follows) rows.scrollTop = rows.scrollHeight;
  }).observe(rows);
  rows.addEventListener('scroll', () => {
    follows = rows.scrollHeight - rows.scrollTop - rows.clientHeight < 40;
  });
  stream.addEventListener('error', () => {
    // Closed for good: the relay is not one that shows it. Otherwise the browser tries again.
    const empty = rows.querySelector('.empty');
    if (stream.readyState !== EventSource.CLOSED || empty === null) return;
    empty.textContent = 'This relay is run by somebody else, and shows nobody what it sees.';
  });
  $('relay-toggle').addEventListener('click', () => {
    const isOpen = $('relay-body').hidden;
    $('relay-body').hidden = !isOpen;
    $('room').classList.toggle('relay-closed', !isOpen);
    $('relay-toggle').setAttribute('aria-expanded', String(isOpen));
    $('relay-toggle').textContent = isOpen ? 'Hide' : 'Show';
  });
}

function row(seen) {
  const item = element(
    'li',
    '',
    element('p', 'what', ...DESCRIPTIONS[seen.type](seen).flatMap(part => [part, ' '])),
  );
  item.dataset.type = seen.type;
  if (seen.body) {
    const more = seen.more > 0 ? ` … ${number(seen.more)} more` : '';
    // What the relay reads, and what it does not.
    const read = seen.type === 'multicast' ? 2 * MESSAGE_HEADER : 0;
    item.append(
      element('code', '', detail(hex(seen.body.slice(0, read))), hex(seen.body.slice(read)).trimEnd() + more),
    );
  }
  return item;
}

function hex(digits) {
  return digits.replace(/../g, '$& ');
}

function party(publicKey) {
  const shown = element('span', '', avatar(publicKey), ' ', fingerprint(publicKey));
  shown.title = publicKey;
  return shown;
}

function detail(text) {
  return element('span', 'detail', text);
}
