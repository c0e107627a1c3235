// The chat room: who is here, what they are called, what was said, which files are on their way. Neither knows of the
// page (`view` is told what there is to show) nor of how the space is reached (`openSpace`).
import {
  decodeMessage,
  decodePart,
  encodeCancel,
  encodeFile,
  encodeName,
  encodePart,
  encodeText,
  MAX_FILE,
  newFileId,
  PART,
} from './chat-message.js';
import { readableSize } from './file-name.js';
import { IncomingFiles } from './incoming-files.js';
import { ambiguousNames, fingerprint, likeness } from './names.js';

/** Who joins says a name at once. So long is waited for it before the join is shown without one, milliseconds. */
const NAME_TIME = 3_000;
/** Several who join within so many milliseconds are told our name together. */
const GREETING_DELAY = 100;
/** Members that have left are remembered for what they said; so many. */
const MAX_REMEMBERED = 1_000;

export class Room {
  #name;
  #view;
  #space;
  #self;
  /** By member id: those who are here, and those who were. `name` is '' until it was said. */
  #people = new Map();
  #present = new Set();
  /** Joins that are not shown yet: member id to timer. */
  #joining = new Map();
  #greeting;
  #incoming = new IncomingFiles();
  /** Ids of files of ours that are given up. */
  #cancelled = new Set();
  #sending = Promise.resolve();
  #state = 'connecting';
  #hasLeft = false;
  #wiped = 0;

  /** @param view see `view.js`: what it is told, `room.test.ts` shows */
  constructor(name, view) {
    this.#name = name;
    this.#view = view;
  }

  /** @param {(where: object, events: import('./space.js').SpaceEvents) => import('./space.js').Space} openSpace */
  enter(openSpace, where) {
    this.#setState('connecting');
    this.#space = openSpace({ ...where, name: this.#name }, this.#events());
  }

  get isAlone() {
    return this.#present.size <= 1;
  }

  /** Ourselves, as the others see us; undefined until we are in. */
  get self() {
    return this.#self && this.#people.get(this.#self);
  }

  say(text) {
    if (this.#give(encodeText(text))) this.#view.showText(this.self, text, { nobodyHere: this.isAlone });
  }

  /** Files go one after the other, so that what is written meanwhile is not stuck behind all of them. */
  sendFiles(files) {
    for (const file of files) {
      if (file.size > MAX_FILE) {
        const size = `${readableSize(file.size)}. At most ${readableSize(MAX_FILE)} can be sent here.`;
        this.#view.showProblem(`“${file.name}” was not sent: it has ${size}`);
        continue;
      }
      const id = newFileId();
      this.#view.showFile(this.self, this.#fileKey(this.#self, id), {
        name: file.name,
        size: file.size,
        cancel: () => this.#cancelled.add(id),
        nobodyHere: this.isAlone,
      });
      this.#sending = this.#sending.then(() => this.#send(id, file));
    }
    return this.#sending;
  }

  leave() {
    this.#hasLeft = true;
    this.#space?.close();
  }

  // --- what comes from the space ---------------------------------------------------------------------------------

  #events() {
    return {
      opened: (self, members) => {
        this.#self = self.id;
        this.#setMembers(members);
        this.self.name = this.#name;
        this.#setState('open');
        this.#space.send(encodeName(this.#name));
        this.#showPeople();
      },
      joined: member => {
        this.#know(member);
        this.#present.add(member.id);
        this.#announceLater(member.id);
        this.#greet();
        this.#showPeople();
      },
      left: (member, reason) => {
        this.#part(member.id, reason);
        this.#showPeople();
      },
      message: (sender, data) => {
        const person = this.#know(sender);
        if (typeof data === 'string') this.#receive(person, decodeMessage(data));
        else this.#receivePart(person, decodePart(data));
      },
      changed: member => {
        this.#know(member).away = member.away;
        this.#showPeople();
      },
      wiped: member => {
        this.#wiped += 1;
        this.#view.showKeys(this.#wiped, this.#people.get(member.id) ?? member);
      },
      lost: (member, count) => {
        const person = this.#know(member);
        this.#view.showProblem(
          `${count} ${count === 1 ? 'message' : 'messages'} of ${called(person)} did not arrive.`,
        );
      },
      away: () => {
        this.#setState(this.#self === undefined ? 'waiting' : 'away');
      },
      back: (resumed, members) => {
        this.#setState('open');
        // Those who took us for gone do not know what we are called.
        if (!resumed) this.#space.send(encodeName(this.#name));
        this.#setMembers(members);
        this.#showPeople();
      },
      ended: reason => {
        for (const id of this.#present) this.#abandonFiles(id);
        for (const timer of this.#joining.values()) clearTimeout(timer);
        this.#joining.clear();
        clearTimeout(this.#greeting);
        this.#present.clear();
        this.#showPeople();
        this.#setState('ended', this.#hasLeft ? '' : reason || 'The connection has ended.');
      },
    };
  }

  #receive(person, message) {
    switch (message?.type) {
      case 'name': {
        const { name: before } = person;
        if (message.name === before) break;
        person.name = message.name;
        if (!this.#announce(person.id) && before !== '') {
          this.#view.showNote(`“${before}” (${person.fingerprint}) is now called “${message.name}”.`);
        }
        this.#showPeople();
        break;
      }
      case 'text':
        this.#announce(person.id);
        this.#view.showText(person, message.text, {});
        break;
      case 'file': {
        this.#announce(person.id);
        const refused = this.#incoming.begin(person.id, message);
        const key = this.#fileKey(person.id, message.id);
        if (refused !== undefined) {
          this.#view.showProblem(`A file of ${called(person)} was not taken: ${refused}.`);
          break;
        }
        this.#view.showFile(person, key, { name: message.name, size: message.size });
        if (message.size === 0) {
          this.#incoming.end(person.id, message.id);
          this.#view.showFileDone(key, []);
        }
        break;
      }
      case 'cancel':
        if (this.#incoming.end(person.id, message.id)) {
          this.#view.showFileFailed(this.#fileKey(person.id, message.id), 'given up by its sender');
        }
        break;
      default:
        // Of a later version of this page, or nonsense.
        break;
    }
  }

  #receivePart(person, part) {
    if (part === undefined) return;
    const outcome = this.#incoming.add(person.id, part);
    if (outcome === undefined) return;
    const key = this.#fileKey(person.id, part.id);
    if (outcome.broken) this.#view.showFileFailed(key, 'a part of it is missing');
    else if (outcome.parts) this.#view.showFileDone(key, outcome.parts);
    else this.#view.showFileProgress(key, outcome.received);
  }

  // --- people ----------------------------------------------------------------------------------------------------

  /** What is known of a member, which may be all new. */
  #know({ id, publicKey, isSelf = false, away = false }) {
    let person = this.#people.get(id);
    if (person === undefined) {
      person = {
        id,
        publicKey,
        isSelf,
        name: '',
        fingerprint: fingerprint(publicKey),
        away,
        ambiguous: false,
      };
      this.#people.set(id, person);
      this.#forget();
    }
    return person;
  }

  /** Puts right who is here, and tells of those whose coming or going was not noticed. */
  #setMembers(members) {
    const here = new Set(members.map(({ id }) => id));
    for (const member of members) {
      this.#know(member).away = member.away;
      this.#present.add(member.id);
    }
    for (const id of this.#present) if (!here.has(id)) this.#part(id, 'gone');
  }

  #part(id, reason) {
    if (!this.#present.delete(id)) return;
    const person = this.#people.get(id);
    this.#abandonFiles(id);
    this.#announce(id);
    const how = { gone: ' (connection lost)', removed: ' (removed by the relay)' }[reason] ?? '';
    this.#view.showNote(`${called(person)} left${how}. The keys are wiped and changed.`, 'left');
  }

  #forget() {
    for (const id of this.#people.keys()) {
      if (this.#people.size <= MAX_REMEMBERED + this.#present.size) return;
      if (!this.#present.has(id)) this.#people.delete(id);
    }
  }

  #announceLater(id) {
    if (this.#joining.has(id)) return;
    this.#joining.set(
      id,
      setTimeout(() => this.#announce(id), NAME_TIME),
    );
  }

  /** Shows that somebody joined, once. False when that was done before, or there was nothing to tell. */
  #announce(id) {
    const timer = this.#joining.get(id);
    if (timer === undefined) return false;
    clearTimeout(timer);
    this.#joining.delete(id);
    this.#view.showNote(`${called(this.#people.get(id))} joined.`, 'joined');
    return true;
  }

  /** Whoever joins after us was not there when we said our name. */
  #greet() {
    this.#greeting ??= setTimeout(() => {
      this.#greeting = undefined;
      this.#give(encodeName(this.#name));
    }, GREETING_DELAY);
  }

  #showPeople() {
    const people = [...this.#present].map(id => this.#people.get(id));
    const ambiguous = ambiguousNames(people);
    for (const person of people) person.ambiguous = ambiguous.has(likeness(person.name));
    this.#view.showPeople(people);
  }

  // --- files -----------------------------------------------------------------------------------------------------

  async #send(id, file) {
    const key = this.#fileKey(this.#self, id);
    const parts = [];
    let sent = 0;
    try {
      if (!this.#cancelled.has(id)) this.#space.send(encodeFile({ id, name: file.name, size: file.size }));
      while (sent < file.size && this.#isIn && !this.#cancelled.has(id)) {
        const bytes = new Uint8Array(await file.slice(sent, sent + PART).arrayBuffer());
        this.#space.send(encodePart(id, parts.length, bytes));
        parts.push(bytes);
        sent += bytes.length;
        await this.#space.drained();
        this.#view.showFileProgress(key, sent);
      }
    } catch {
      // A folder that was dropped, or a file that has gone meanwhile. The space tells for itself when it ends.
      this.#cancelled.add(id);
    }
    if (sent === file.size && !this.#cancelled.has(id)) {
      this.#view.showFileDone(key, parts);
      return;
    }
    this.#give(encodeCancel(id));
    this.#view.showFileFailed(key, this.#isIn ? 'not sent' : 'not sent: you are not in the room any more');
    this.#cancelled.delete(id);
  }

  #abandonFiles(member) {
    for (const id of this.#incoming.endAll(member)) {
      this.#view.showFileFailed(this.#fileKey(member, id), 'not all of it has arrived');
    }
  }

  /** Two members may choose the same id. */
  #fileKey(member, id) {
    return `${member} ${id}`;
  }

  // --- state -----------------------------------------------------------------------------------------------------

  get #isIn() {
    return this.#state === 'open' || this.#state === 'away';
  }

  /** Sends, when there is somewhere to send to. */
  #give(data) {
    if (!this.#isIn) return false;
    try {
      this.#space.send(data);
      return true;
    } catch (error) {
      this.#view.showProblem(`That was not sent. ${error.message}`);
      return false;
    }
  }

  #setState(state, reason = '') {
    this.#state = state;
    this.#view.showState(state, reason);
  }
}

/** How somebody is called in a sentence. */
function called({ name, fingerprint }) {
  return name === '' ? `Somebody without a name (${fingerprint})` : `“${name}” (${fingerprint})`;
}
