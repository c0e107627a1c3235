// What a room shows. It is told in words of the room and knows of no socket.
import { $, element } from './elements.js';
import { FileViews } from './file-view.js';
import { LogView } from './log-view.js';
import { showPeople } from './people-view.js';
import { titleOf } from './unread.js';

const STATES = {
  connecting: 'Connecting…',
  waiting: 'The relay cannot be reached. Trying again.',
  open: 'Connected, end to end encrypted.',
  away: 'Connection lost. Trying again; what you write will be sent.',
  ended: 'Not connected.',
};

export class View {
  #space;
  #isIn = false;
  #files = new FileViews();
  #entered;
  #ended;
  #log = new LogView({
    scroller: $('log'),
    lines: $('lines'),
    newest: $('newest'),
    onUnread: count => this.#showTitle(count),
  });

  /** `onIn()` is called when we are in the room, `onEnded(reason)` when it is over. */
  constructor({ onIn, onEnded }) {
    this.#entered = onIn;
    this.#ended = onEnded;
  }

  /** The room of this name is entered. */
  begin(space) {
    this.#space = space;
    showPeople([]);
    this.#showKeys('');
    $('title').textContent = space;
    this.#showTitle(0);
  }

  showState(state, reason) {
    const isIn = state === 'open' || state === 'away';
    $('state').className = state;
    $('state').textContent = STATES[state];
    for (const id of ['send', 'attach']) $(id).disabled = !isIn;
    if (isIn && !this.#isIn) {
      this.#entered();
      this.#welcome();
    }
    this.#isIn = isIn;
    if (state === 'ended') this.#ended(reason);
  }

  /** The conversation is not kept: it was that of one visit. */
  forget() {
    this.#log.clear();
    $('title').textContent = 'Chat';
    document.title = 'Chat · secure-websocket';
  }

  showPeople(people) {
    showPeople(people);
  }

  showText(person, text, options) {
    const bubble = element('p', 'bubble', text);
    bubble.dir = 'auto';
    this.#log.message(person, bubble, options);
  }

  showFile(person, key, { nobodyHere, ...file }) {
    const shown = this.#files.begin(key, file);
    this.#log.message(person, shown, { nobodyHere, onDropped: () => this.#files.forget(shown) });
  }

  showFileProgress(key, bytes) {
    this.#files.progress(key, bytes);
  }

  showFileDone(key, parts) {
    this.#files.done(key, parts);
  }

  showFileFailed(key, why) {
    this.#files.failed(key, why);
  }

  showNote(text, kind) {
    this.#log.note(text, kind);
  }

  showProblem(text) {
    this.#log.note(text, 'bad');
  }

  showKeys(count, { fingerprint }) {
    const members = count === 1 ? 'one member' : `${count} members`;
    this.#showKeys(`Keys wiped of ${members} who left; last: ${fingerprint}.`);
  }

  #showKeys(text) {
    $('keys').textContent = text;
  }

  #welcome() {
    this.#log.note(
      'You are in. What was said before cannot be shown: it was encrypted to those who were here, and nobody keeps it. ' +
        'In the same way, what is said here is gone when you leave.',
    );
  }

  #showTitle(unread) {
    document.title = titleOf(this.#space, unread);
  }
}
