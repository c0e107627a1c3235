import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as awarenessProtocol from 'y-protocols/awareness';
import * as syncProtocol from 'y-protocols/sync';
import * as Y from 'yjs';
import type { ServerSecureWebSocket } from '../../src/socket/server-secure-web-socket.js';

const MESSAGE_SYNC = 0;
const MESSAGE_AWARENESS = 1;

/** One shared document, and who is looking at it. */
class Room {
  readonly doc = new Y.Doc();
  readonly awareness = new awarenessProtocol.Awareness(this.doc);
  readonly #members = new Map<ServerSecureWebSocket, Set<number>>();

  constructor() {
    this.awareness.setLocalState(null);
    this.doc.on('update', (update: Uint8Array) => {
      this.#broadcast(MESSAGE_SYNC, encoder => {
        syncProtocol.writeUpdate(encoder, update);
      });
    });
    this.awareness.on(
      'update',
      (changes: { added: number[]; updated: number[]; removed: number[] }, origin: unknown) => {
        const own = this.#members.get(origin as ServerSecureWebSocket);
        for (const id of changes.added) own?.add(id);
        for (const id of changes.removed) own?.delete(id);
        const changed = [...changes.added, ...changes.updated, ...changes.removed];
        this.#broadcast(MESSAGE_AWARENESS, encoder => {
          encoding.writeVarUint8Array(
            encoder,
            awarenessProtocol.encodeAwarenessUpdate(this.awareness, changed),
          );
        });
      },
    );
  }

  join(socket: ServerSecureWebSocket): void {
    socket.binaryType = 'arraybuffer';
    this.#members.set(socket, new Set());
    socket.on('message', data => {
      this.#receive(socket, new Uint8Array(data as ArrayBuffer));
    });
    socket.on('close', () => {
      const ids = [...(this.#members.get(socket) ?? [])];
      this.#members.delete(socket);
      awarenessProtocol.removeAwarenessStates(this.awareness, ids, null);
    });
    this.#send(socket, MESSAGE_SYNC, encoder => {
      syncProtocol.writeSyncStep1(encoder, this.doc);
    });
    const present = [...this.awareness.getStates().keys()];
    if (present.length === 0) return;
    this.#send(socket, MESSAGE_AWARENESS, encoder => {
      encoding.writeVarUint8Array(encoder, awarenessProtocol.encodeAwarenessUpdate(this.awareness, present));
    });
  }

  destroy(): void {
    this.awareness.destroy();
    this.doc.destroy();
  }

  #receive(socket: ServerSecureWebSocket, message: Uint8Array): void {
    const decoder = decoding.createDecoder(message);
    const type = decoding.readVarUint(decoder);
    if (type === MESSAGE_AWARENESS) {
      awarenessProtocol.applyAwarenessUpdate(this.awareness, decoding.readVarUint8Array(decoder), socket);
      return;
    }
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, MESSAGE_SYNC);
    syncProtocol.readSyncMessage(decoder, encoder, this.doc, socket);
    // An answer is more than its type.
    if (encoding.length(encoder) > 1) socket.send(encoding.toUint8Array(encoder));
  }

  #broadcast(type: number, write: (encoder: encoding.Encoder) => void): void {
    for (const socket of this.#members.keys()) this.#send(socket, type, write);
  }

  #send(socket: ServerSecureWebSocket, type: number, write: (encoder: encoding.Encoder) => void): void {
    if (socket.readyState !== socket.OPEN) return;
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, type);
    write(encoder);
    socket.send(encoding.toUint8Array(encoder));
  }
}

/** The server's part of the y-websocket protocol: a room for each path. y-websocket itself has none since version 3. */
export class YjsServer {
  readonly #rooms = new Map<string, Room>();

  /** What stands in a `connection` handler. */
  connect(socket: ServerSecureWebSocket, path: string): void {
    const room = this.#rooms.get(path) ?? new Room();
    this.#rooms.set(path, room);
    room.join(socket);
  }

  /** The text that a room keeps. */
  text(path: string): string {
    return this.#rooms.get(path)?.doc.getText().toJSON() ?? '';
  }

  destroy(): void {
    for (const room of this.#rooms.values()) room.destroy();
  }
}
