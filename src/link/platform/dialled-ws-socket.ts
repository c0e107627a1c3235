import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket as WsWebSocket } from 'ws';
import { BufferPool } from '../../core/buffer-pool.js';
import type { RawSocket, RawSocketListener } from '../raw-socket.js';
import { CLIENT_FRAME_HEADROOM, frameInPlace } from './client-frame.js';
import { WsRawSocket } from './ws-socket.js';

const OPEN = 1;
const SMALL = 2_048;
/** Memory of messages, for all sockets. */
const memory = new BufferPool(4_194_304);

/**
 * A WebSocket of `ws` that was just dialled, without extensions, behind the face of a RawSocket. `ws` does everything
 * but write binary messages: what it would copy and mask byte by byte is framed where it stands and goes to the network
 * as it is.
 */
export function wrapDialledWsSocket(ws: WsWebSocket, listener: RawSocketListener): RawSocket {
  return new DialledWsSocket(ws, listener);
}

class DialledWsSocket extends WsRawSocket {
  readonly #ws: WsWebSocket;
  /** What `allocate` gave: only there is room for a header. */
  readonly #allocated = new Set<Uint8Array>();
  #network: Duplex | undefined;

  constructor(ws: WsWebSocket, listener: RawSocketListener) {
    super(ws, listener);
    this.#ws = ws;
    ws.once('upgrade', (response: IncomingMessage) => {
      this.#network = response.socket;
    });
  }

  allocate(length: number): Uint8Array {
    const all = CLIENT_FRAME_HEADROOM + length;
    // A small one is cut from the pool of Node, as it does not stay.
    const bytes = all <= SMALL ? Buffer.allocUnsafe(all) : memory.take(all);
    const message = bytes.subarray(CLIENT_FRAME_HEADROOM, CLIENT_FRAME_HEADROOM + length);
    this.#allocated.add(message);
    return message;
  }

  override send(data: string | Uint8Array): void {
    const network = this.#network;
    if (typeof data === 'string' || !this.#allocated.delete(data) || network === undefined) {
      super.send(data);
    } else if (this.#ws.readyState === OPEN) {
      network.write(frameInPlace(data), error => {
        // The kernel has it.
        if (!error) memory.give(data.buffer);
        // Why it was not written, `ws` tells.
        this.sent(error);
      });
    }
  }
}
