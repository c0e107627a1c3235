// A file in the conversation: how far it has come, and then a link to it, with a preview if it is an image.
import { element } from './elements.js';
import { readableSize, safeFileName } from './file-name.js';
import { imageKind } from './image-kind.js';

/** Bytes of files that are kept to be saved, of all lines together: 64 MiB. The oldest go first. */
const MAX_KEPT = 67_108_864;

export class FileViews {
  /** Those that are under way, by key. */
  #moving = new Map();
  /** Those that are here, the oldest first. */
  #kept = new Set();
  #bytes = 0;

  /** A file that is announced: returns what stands for it in the conversation. `cancel`: it is one of ours. */
  begin(key, { name, size, cancel }) {
    const shownName = safeFileName(name);
    const label = element('p', '', element('bdi', 'name', shownName), `, ${readableSize(size)}`);
    const progress = document.createElement('progress');
    progress.max = Math.max(1, size);
    progress.value = 0;
    progress.setAttribute('aria-label', `${cancel ? 'Sending' : 'Receiving'} ${shownName}`);
    const shown = element('div', 'bubble file', label, progress);
    if (cancel) {
      const button = element('button', '', 'Cancel');
      button.type = 'button';
      button.setAttribute('aria-label', `Cancel sending ${shownName}`);
      button.addEventListener('click', cancel);
      shown.append(element('p', '', button));
    }
    this.#moving.set(key, { name: shownName, size, label, progress, shown });
    return shown;
  }

  progress(key, bytes) {
    const file = this.#moving.get(key);
    if (file) file.progress.value = bytes;
  }

  /** All of it is here. `parts`: Uint8Arrays. */
  done(key, parts) {
    const file = this.#end(key);
    if (file === undefined) return;
    const bytes = new Uint8Array(file.size);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const type = imageKind(bytes);
    // Never the type that the sender says: a browser might open it in a window of this page's origin.
    file.url = URL.createObjectURL(new Blob([bytes], { type: type ?? 'application/octet-stream' }));
    if (type !== undefined) {
      const image = document.createElement('img');
      image.alt = file.name;
      image.decoding = 'async';
      image.addEventListener('error', () => image.remove());
      image.src = file.url;
      file.shown.append(image);
    }
    const link = element('a', 'button', 'Save');
    link.href = file.url;
    link.download = file.name;
    link.setAttribute('aria-label', `Save ${file.name}`);
    file.link = element('p', '', link);
    file.shown.append(file.link);
    this.#kept.add(file);
    this.#bytes += file.size;
    for (const old of this.#kept) {
      if (this.#bytes <= MAX_KEPT) break;
      this.#release(old);
      old.shown.querySelector('img')?.remove();
      old.link.replaceChildren('Not kept any more: newer files have taken its place.');
    }
  }

  failed(key, why) {
    this.#end(key)?.label.append(` – ${why}.`);
  }

  /** The line of this file is gone. */
  forget(shown) {
    for (const [key, file] of this.#moving) if (file.shown === shown) this.#moving.delete(key);
    for (const file of this.#kept) if (file.shown === shown) this.#release(file);
  }

  #end(key) {
    const file = this.#moving.get(key);
    this.#moving.delete(key);
    file?.shown.replaceChildren(file.label);
    return file;
  }

  #release(file) {
    this.#kept.delete(file);
    this.#bytes -= file.size;
    URL.revokeObjectURL(file.url);
  }
}
