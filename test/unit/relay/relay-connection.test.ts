import { Writable, type Duplex } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { RelayConnection, relayKind } from '../../../src/relay/relay-connection.js';
import { Router, type RouterPort } from '../../../src/relay/router.js';
import { encodeEnvelope, encodeListen, peerAddress } from '../../../src/core/frame.js';
import { BufferPool } from '../../../src/core/buffer-pool.js';
import { FrameReader } from '../../../src/websocket/frame-reader.js';
import { FRAME_HEADROOM } from '../../../src/websocket/frame.js';
import { WriteBatch } from '../../../src/relay/write-batch.js';

/** A network that keeps what each call of the operating system would get. */
class FakeNetwork extends Writable {
  readonly writes: Buffer[][] = [];
  /** While true, the kernel takes nothing more. */
  stuck = false;
  #done: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  drain(): void {
    this.stuck = false;
    this.#done?.();
  }

  /** What the messages that were written say, all together. */
  get bytes(): Buffer {
    const messages: Uint8Array[] = [];
    const listener = {
      onMessage: (data: Uint8Array) => messages.push(data),
      onPing: () => undefined,
      onPong: () => undefined,
      onClose: () => undefined,
    };
    const memory = new BufferPool(0);
    const reader = new FrameReader(
      { masked: false, borrowed: true, maxPayload: 1_000_000, memory },
      listener,
    );
    reader.read(Buffer.concat(this.writes.flat()));
    return Buffer.concat(messages);
  }

  #take(chunks: Buffer[], done: () => void): void {
    this.writes.push(chunks);
    if (this.stuck) this.#done = done;
    else done();
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const batch = new WriteBatch();
const owner = { batch, kind: relayKind(1_000_000), closed: () => undefined };
const noPort = { drained: () => undefined } as RouterPort;
const client = (connectionId: number) => ({ publicKey: '', connectionId, remoteAddress: undefined });

let network: FakeNetwork;
let connection: RelayConnection;
beforeEach(() => {
  ({ network, connection } = connected());
});

function connected(): { network: FakeNetwork; connection: RelayConnection } {
  const network = new FakeNetwork();
  const connection = new RelayConnection(owner);
  connection.socket.attach(network as unknown as Duplex);
  connection.connect(client(1), noPort);
  return { network, connection };
}

describe('what is sent to one connection in one turn', () => {
  it('leaves in one write, whole and in order, and not before the turn ends', async () => {
    const frames = Array.from({ length: 50 }, (_, i) => new Uint8Array(100).fill(i));
    for (const frame of frames) connection.send(frame);
    await Promise.resolve();
    expect(network.writes).toHaveLength(0);
    // Each has a header of two bytes.
    expect(connection.bufferedBytes).toBe(50 * 102);
    await turn();
    expect(network.writes).toHaveLength(1);
    expect(network.bytes.equals(Buffer.concat(frames))).toBe(true);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('is not held back beyond a bound', async () => {
    for (let i = 0; i < 1_000; i++) {
      connection.send(new Uint8Array(1_000));
      expect(connection.bufferedBytes).toBeLessThanOrEqual(66_000);
    }
    expect(network.writes.length).toBeGreaterThan(10);
    expect(network.writes.length).toBeLessThan(20);
    await turn();
    expect(network.bytes).toHaveLength(1_000_000);
  });

  it('goes at once when it is large, and takes along what was before it', async () => {
    connection.send(new Uint8Array(70_000).fill(1));
    expect(network.writes).toHaveLength(1);
    connection.send(new Uint8Array(10).fill(2));
    expect(network.writes).toHaveLength(1);
    connection.send(new Uint8Array(70_000).fill(3));
    expect(network.writes).toHaveLength(2);
    connection.send(new Uint8Array(10).fill(4));
    await turn();
    expect(network.writes).toHaveLength(3);
    expect([network.bytes[69_999], network.bytes[70_000], network.bytes[70_010]]).toEqual([1, 2, 3]);
    expect(network.bytes).toHaveLength(140_020);
  });

  it('goes for each connection, and in the next turn again', async () => {
    const other = connected();
    for (let round = 1; round <= 3; round++) {
      for (const each of [connection, other.connection]) {
        each.send(Uint8Array.of(1));
        each.send(Uint8Array.of(2));
      }
      await turn();
      expect([network.writes.length, other.network.writes.length]).toEqual([round, round]);
    }
  });

  it('goes when it is told to', () => {
    connection.send(Uint8Array.of(1));
    connection.flush();
    connection.flush();
    expect(network.writes).toHaveLength(1);
    connection.send(Uint8Array.of(2));
    expect(network.writes).toHaveLength(1);
  });
});

describe('a router behind such connections', () => {
  const MAX = 32_768;

  function route(): {
    send: (body: Uint8Array) => void;
    router: Router;
    network: FakeNetwork;
    told: () => number;
  } {
    const router = new Router({ maxQueueBytes: MAX, maxFrame: MAX, randomUint32: () => 5 });
    const receiver = connected();
    const sender = connected();
    const receiving = router.add(key(1), 1, receiver.connection);
    receiver.connection.connect(client(1), receiving);
    receiver.connection.binary(encodeListen(true));
    const sending = router.add(key(2), 2, sender.connection);
    return {
      router,
      network: receiver.network,
      send: body => {
        // Frames come from a socket: there is room before them.
        const frame = encodeEnvelope(peerAddress(key(1), 0), body);
        const bytes = new Uint8Array(FRAME_HEADROOM + frame.length);
        bytes.set(frame, FRAME_HEADROOM);
        sending.receive(bytes.subarray(FRAME_HEADROOM));
      },
      told: () => router.statistics.notices,
    };
  }

  it('refuses nothing that waits for the end of the turn only', async () => {
    const { send, network, told, router } = route();
    // Far more than a queue may hold, bytes and frames, in one turn.
    for (let i = 0; i < 500; i++) send(new Uint8Array(200).fill(i));
    await turn();
    expect(told()).toBe(0);
    expect(router.statistics.envelopes).toBe(500);
    expect(network.bytes).toHaveLength(500 * 237);
    for (let i = 0; i < 500; i++) expect(network.bytes[i * 237 + 37]).toBe(i & 255);
  });

  it('holds no more for one that does not read than before', async () => {
    const { send, network, told, router } = route();
    network.stuck = true;
    for (let i = 0; i < 2_000; i++) {
      send(new Uint8Array(200));
      if (i % 10 === 0) await turn();
      expect(network.writableLength).toBeLessThanOrEqual(MAX + 237);
    }
    expect(told()).toBeGreaterThan(1_000);
    // With what frames cost beside their bytes.
    expect(router.statistics.queuedBytes).toBeLessThanOrEqual(2 * MAX);
    network.drain();
    await turn();
    expect(network.bytes.length % 237).toBe(0);
  });
});

describe('when a batch ends', () => {
  /** Whether what is sent now has left before the turn of the event loop is over. */
  async function leavesAtOnce(): Promise<boolean> {
    const { network, connection } = connected();
    connection.send(new Uint8Array(10));
    connection.send(new Uint8Array(10));
    await new Promise<void>(resolve => {
      process.nextTick(resolve);
    });
    const { length } = network.writes;
    await turn();
    expect(network.writes).toHaveLength(1);
    return length === 1;
  }

  it('is when what came together has been read, or, with more than one to read from, the end of the turn', async () => {
    expect(await leavesAtOnce()).toBe(true);
    batch.read();
    expect(await leavesAtOnce()).toBe(true);
    // Two in one turn: the next one is batched as a whole.
    batch.read();
    batch.read();
    expect(await leavesAtOnce()).toBe(true);
    batch.read();
    batch.read();
    expect(await leavesAtOnce()).toBe(false);
    batch.read();
    expect(await leavesAtOnce()).toBe(false);
    expect(await leavesAtOnce()).toBe(true);
  });
});

describe('a frame of two parts', () => {
  it.each([0, 100, 120, 600, 60_000, 200_000])('with a tail of %i bytes arrives as one', async length => {
    const other = connected();
    const head = Uint8Array.of(1, 2, 3);
    const tail = new Uint8Array(length).fill(7);
    for (const each of [connection, other.connection]) each.sendShared(head, tail);
    // It may be used again at once.
    const sent = head.slice();
    head.fill(9);
    await turn();
    for (const each of [network, other.network]) {
      expect(each.writes).toHaveLength(1);
      expect(each.bytes.equals(Buffer.concat([sent, tail]))).toBe(true);
      // There is one of it in memory, unless it is small.
      expect(each.writes.flat().some(chunk => chunk.buffer === tail.buffer)).toBe(length >= 600);
    }
    expect(tail.every(byte => byte === 7)).toBe(true);
  });

  it('keeps its place among others', async () => {
    connection.send(Uint8Array.of(1));
    connection.sendShared(Uint8Array.of(2), new Uint8Array(70_000).fill(3));
    connection.sendShared(Uint8Array.of(4), new Uint8Array(1_000).fill(5));
    connection.send(Uint8Array.of(6));
    await turn();
    const { bytes } = network;
    expect(bytes).toHaveLength(1 + 70_001 + 1_001 + 1);
    expect([bytes[0], bytes[1], bytes[2], bytes[70_002], bytes[70_003], bytes.at(-1)]).toEqual([
      1, 2, 3, 4, 5, 6,
    ]);
  });
});
