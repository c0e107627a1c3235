// What the chat shows. Nothing here knows of sockets.
const $ = id => document.getElementById(id);

/** Messages and state of each conversation, by public key. */
const conversations = new Map();
let shown;

/** A colour for a public key, so that eyes can tell keys apart. */
export function hue(publicKey) {
  return (parseInt(publicKey.slice(0, 6), 16) * 47) % 360;
}

export function shortName(publicKey) {
  return `${publicKey.slice(0, 6)}…${publicKey.slice(-4)}`;
}

export function avatar(element, publicKey) {
  element.style.setProperty('--hue', hue(publicKey));
  element.title = publicKey;
}

export function showAddress(publicKey, link) {
  $('my-address').textContent = publicKey;
  avatar($('my-avatar'), publicKey);
  $('link').value = link;
  $('open').href = link;
  $('invite').hidden = false;
  document.title = `${shortName(publicKey)} · secure-websocket demo`;
}

export function showFailure(text) {
  const item = document.createElement('li');
  item.className = 'failure';
  item.textContent = text;
  clearEmpty();
  $('messages').append(item);
}

/** A peer has come, or gone. */
export function showPeer(publicKey, connected) {
  const conversation = conversations.get(publicKey) ?? { messages: [] };
  const isNews = conversation.connected !== connected;
  conversation.connected = connected;
  conversations.set(publicKey, conversation);
  if (isNews) note(conversation, connected ? 'Connected, end to end encrypted.' : 'Disconnected.');
  if (shown === undefined || connected) shown = publicKey;
  render();
}

export function showMessage(publicKey, text, side) {
  const conversation = conversations.get(publicKey);
  conversation.messages.push({ text, side });
  if (shown !== publicKey) conversation.unread = true;
  render();
}

/** `callback(publicKey, text)` is called with what the user says, and to whom. */
export function onSend(callback) {
  $('composer').addEventListener('submit', event => {
    event.preventDefault();
    const text = $('text').value;
    if (text === '' || !conversations.get(shown)?.connected) return;
    $('text').value = '';
    callback(shown, text);
  });
}

function note(conversation, text) {
  conversation.messages.push({ text, side: 'note' });
}

function clearEmpty() {
  for (const empty of $('messages').querySelectorAll('.empty')) empty.remove();
}

function render() {
  const conversation = conversations.get(shown);
  conversation.unread = false;
  $('invite').classList.toggle('done', conversations.size > 0);

  $('peers').replaceChildren(
    ...[...conversations].map(([publicKey, { connected, unread }]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.role = 'tab';
      button.ariaSelected = String(publicKey === shown);
      button.classList.toggle('gone', !connected);
      button.classList.toggle('unread', unread === true);
      const dot = document.createElement('span');
      dot.className = 'avatar small';
      avatar(dot, publicKey);
      button.append(dot, shortName(publicKey));
      button.addEventListener('click', () => {
        shown = publicKey;
        render();
      });
      return button;
    }),
  );

  $('messages').replaceChildren(
    ...conversation.messages.map(({ text, side }) => {
      const item = document.createElement('li');
      item.className = side;
      item.textContent = text;
      return item;
    }),
  );
  $('messages').lastElementChild?.scrollIntoView({ block: 'nearest' });

  const [input, button] = $('composer').elements;
  const wasDisabled = input.disabled;
  input.disabled = button.disabled = !conversation.connected;
  input.placeholder = conversation.connected ? `Message to ${shortName(shown)}` : 'Not connected';
  if (wasDisabled && conversation.connected) input.focus();
}

$('copy').addEventListener('click', () => {
  // Selected, so that it can be copied by hand where the clipboard is not allowed.
  $('link').select();
  void navigator.clipboard?.writeText($('link').value).then(() => {
    $('copy').textContent = 'Copied';
    setTimeout(() => {
      $('copy').textContent = 'Copy';
    }, 1500);
  });
});
