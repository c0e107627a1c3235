// The conversation: the lines of this visit, the newest at the end.
import { avatar, element, fingerprintOf, heard } from './elements.js';
import { Unread } from './unread.js';

/** Lines that are kept. */
const MAX_LINES = 500;
/** So near to the end counts as at the end, pixels. */
const NEAR = 40;
/** Messages of one person within so many milliseconds stand under one name. */
const TOGETHER = 300_000;

export class LogView {
  #scroller;
  #lines;
  #newest;
  #unread;
  #newMark;
  #last;
  #dropped = new Map();

  /** @param elements `scroller`, `lines` (a list in it) and `newest` (a button); `onUnread(count)` */
  constructor({ scroller, lines, newest, onUnread }) {
    this.#scroller = scroller;
    this.#lines = lines;
    this.#newest = newest;
    this.#unread = new Unread(count => {
      onUnread(count);
      this.#showNewest();
    });
    const look = () => this.#look();
    scroller.addEventListener('scroll', look);
    document.addEventListener('visibilitychange', look);
    newest.addEventListener('click', () => {
      this.toEnd();
      scroller.focus();
    });
    // What is shown above may become taller when it is loaded, and the whole when the window changes.
    new ResizeObserver(() => {
      if (this.#follows) this.toEnd();
    }).observe(lines);
  }

  /** Whether the newest line is in sight, or was when the last came. */
  #follows = true;

  /** Something that happened. `kind`: a class for it. */
  note(text, kind = '') {
    this.#last = undefined;
    this.#append(element('li', `note ${kind}`.trim(), text));
  }

  /**
   * Something that `person` has sent. `onDropped` is called when the line is not kept any more.
   * @param content an element
   */
  message(person, content, { nobodyHere = false, onDropped } = {}) {
    // What one says oneself is read, and shows that all before it is.
    if (person.isSelf) this.#forgetNewMark();
    const isUnread = !person.isSelf && !this.#isWatched;
    if (isUnread && this.#unread.count === 0) this.#markNew();

    const now = new Date();
    const line = element('li', `message ${person.isSelf ? 'mine' : 'theirs'}`);
    line.dataset.member = person.id;
    line.append(this.#head(person, now), content);
    if (nobodyHere) line.append(element('p', 'help', 'Nobody else was here: nobody has got this.'));
    if (onDropped) this.#dropped.set(line, onDropped);
    this.#last = { member: person.id, name: person.name, at: now.getTime() };
    if (isUnread) {
      line.classList.add('unread');
      line.prepend(this.#unreadWord());
      this.#unread.add(line);
    }
    this.#append(line);
    if (person.isSelf) this.toEnd();
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#look();
  }

  /** A new visit. */
  clear() {
    for (const forget of this.#dropped.values()) forget();
    this.#dropped.clear();
    this.#lines.replaceChildren();
    this.#newMark = undefined;
    this.#last = undefined;
    this.#follows = true;
    this.#unread.clear();
    this.#showNewest();
  }

  #head(person, now) {
    const { member, name, at } = this.#last ?? {};
    const isRepeated = member === person.id && name === person.name && now.getTime() - at < TOGETHER;
    const called = element('bdi', 'name', person.isSelf ? 'You' : person.name || 'No name');
    if (isRepeated) return heard(`${called.textContent}: `);
    const time = element('time', '', now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    time.dateTime = now.toISOString();
    const shown = fingerprintOf(person.publicKey);
    // Sixteen digits before each message are a burden to listen to: only where the name is not enough.
    if (!person.ambiguous && person.name !== '') shown.setAttribute('aria-hidden', 'true');
    const head = element('p', 'who', avatar(person.publicKey), called, ' ', shown);
    if (person.ambiguous && !person.isSelf)
      head.append(element('span', 'warning', 'not the only one of this name'));
    head.append(' ', time);
    return head;
  }

  #append(line) {
    const follows = this.#follows;
    this.#lines.append(line);
    while (this.#lines.children.length > MAX_LINES) this.#drop(this.#lines.firstElementChild);
    if (follows) this.toEnd();
    else this.#showNewest();
  }

  #drop(line) {
    line.remove();
    this.#unread.drop(line);
    this.#dropped.get(line)?.();
    this.#dropped.delete(line);
  }

  get #isWatched() {
    return document.visibilityState === 'visible' && this.#follows;
  }

  /** The reader has scrolled, come or gone. */
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#follows = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#isWatched) {
      for (const line of this.#unread.clear()) {
        line.classList.remove('unread');
        line.querySelector('.unread-word')?.remove();
      }
    }
    this.#showNewest();
  }

  #showNewest() {
    const { count } = this.#unread;
    this.#newest.hidden = this.#follows;
    this.#newest.textContent =
      count === 0 ? 'To the newest ↓' : `${count} new ${count === 1 ? 'message' : 'messages'} ↓`;
  }

  #unreadWord() {
    const word = heard('Unread: ');
    word.classList.add('unread-word');
    return word;
  }

  /** A line above the first that is new. It stays until the next time, so that one finds it after looking. */
  #markNew() {
    this.#forgetNewMark();
    this.#newMark = element('li', 'new-mark', 'New');
    this.#last = undefined;
    this.#lines.append(this.#newMark);
  }

  #forgetNewMark() {
    this.#newMark?.remove();
    this.#newMark = undefined;
  }
}
