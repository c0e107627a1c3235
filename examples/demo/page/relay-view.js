// The right-hand pane: every envelope that passes the relay, as the relay sees it.
import { avatar, shortName } from './view.js';

const MAX_SHOWN = 200;
/** The first byte of a sealed body tells its kind, to the relay as well (docs/protocol.md, "Sealed bodies"). */
const KINDS = { '01': 'handshake', '02': 'handshake', '04': 'message' };

const list = document.getElementById('envelopes');
const count = document.getElementById('count');
const bytes = document.getElementById('bytes');
let envelopes = 0;
let total = 0;

new EventSource('/relay-view').addEventListener('message', event => {
  const { from, to, size, body, more } = JSON.parse(event.data);
  envelopes += 1;
  total += size;
  count.textContent = envelopes.toLocaleString('en');
  bytes.textContent = total.toLocaleString('en');
  list.querySelector('.empty')?.remove();
  list.append(row(from, to, size, body, more));
  while (list.children.length > MAX_SHOWN) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
});

function row(from, to, size, body, more) {
  const item = document.createElement('li');
  const head = document.createElement('p');
  head.className = 'route';
  head.append(party(from), span('arrow', '→'), party(to));
  head.append(
    span('kind', KINDS[body.slice(0, 2)] ?? 'unknown'),
    span('size', `${size.toLocaleString('en')} bytes`),
  );
  const hex = document.createElement('code');
  hex.textContent =
    body.replace(/../g, '$& ').trimEnd() + (more > 0 ? ` … ${more.toLocaleString('en')} more` : '');
  item.append(head, hex);
  return item;
}

function party(publicKey) {
  const element = span('party', '');
  const dot = span('avatar small', '');
  avatar(dot, publicKey);
  element.append(dot, shortName(publicKey));
  return element;
}

function span(className, text) {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  return element;
}
