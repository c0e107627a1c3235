import { MAX_FILE, PART } from './chat-message.js';

/** Files that one member may be sending at the same time. */
const MAX_PER_MEMBER = 4;
/** Bytes of files that have not arrived in full, of all members together: 64 MiB. */
const MAX_PENDING = 67_108_864;

/**
 * Files that are arriving. A member may announce anything and send anything: memory is taken for what has arrived only,
 * and parts have one size, so that there are few of them.
 */
export class IncomingFiles {
  /** By member and id of the file. */
  #files = new Map();
  #pending = 0;

  /** A file was announced. Returns why it is not taken, as text, or undefined. */
  begin(member, { id, size }) {
    if (size > MAX_FILE) return 'it is larger than is taken here';
    if (this.#files.has(key(member, id))) return 'it was announced twice';
    if (this.#of(member).length >= MAX_PER_MEMBER) return 'too many come from there at the same time';
    if (this.#pending + size > MAX_PENDING) return 'too many are arriving at the same time';
    this.#files.set(key(member, id), { member, id, size, parts: [], received: 0 });
    this.#pending += size;
    return undefined;
  }

  /**
   * A part has arrived. Undefined when it belongs to nothing: of a file that began before we came, was refused or given
   * up. Else how many bytes are here, and, once all are, `parts`; `broken` when it was not the part that had to come.
   */
  add(member, { id, number, bytes }) {
    const file = this.#files.get(key(member, id));
    if (file === undefined) return undefined;
    const expected = Math.min(PART, file.size - file.received);
    if (number !== file.parts.length || bytes.length !== expected) {
      this.end(member, id);
      return { received: file.received, broken: true };
    }
    file.parts.push(bytes);
    file.received += bytes.length;
    if (file.received < file.size) return { received: file.received };
    this.end(member, id);
    return { received: file.received, parts: file.parts };
  }

  /** Nothing more of this file will come. False when there was no such file. */
  end(member, id) {
    const file = this.#files.get(key(member, id));
    if (file === undefined) return false;
    this.#files.delete(key(member, id));
    this.#pending -= file.size;
    return true;
  }

  /** Nothing more of this member will come: the ids of the files that remain incomplete. */
  endAll(member) {
    const ids = this.#of(member).map(({ id }) => id);
    for (const id of ids) this.end(member, id);
    return ids;
  }

  #of(member) {
    return [...this.#files.values()].filter(file => file.member === member);
  }
}

function key(member, id) {
  return `${member} ${id}`;
}
