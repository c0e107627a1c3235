import { EventEmitter } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { DEFAULT_MAX_FRAME } from '../../../src/core/constants.js';
import { Endpoint } from '../../../src/core/endpoint.js';
import { encodeEnvelope, encodeNotice, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import { Opcode, RecordWriter } from '../../../src/core/record.js';
import { RegistrationClient } from '../../../src/core/registration.js';
import { acceptDirect } from '../../../src/link/accept.js';
import { Link } from '../../../src/link/link.js';
import type { RawSocket } from '../../../src/websocket/raw-socket.js';
import { alice, crypto, relay } from '../../support/registration.js';
import { transportKeys } from '../../support/transport-keys.js';
import { transportMessage } from '../../support/transport-message.js';

/** A socket that has room or not as a test says. */
class HeldSocket implements RawSocket {
  readonly sent: Uint8Array[] = [];
  bufferedAmount = 0;
  reads = true;
  constructor(readonly tellsDrained = true) {}
  send(data: string | Uint8Array): void {
    if (typeof data !== 'string') this.sent.push(data);
  }
  close(): void {}
  terminate(): void {}
  pause(): void {
    this.reads = false;
  }
  resume(): void {
    this.reads = true;
  }
}

const PEER = peerAddress(alice.publicKeyBytes, 1);
const MIB = 1_048_576;

/** A link that has a session with a peer, who seals records without keeping to any rule. */
function linked(socket: HeldSocket): { link: Link; says: (channelId: number) => void } {
  const endpoint = new Endpoint({
    crypto,
    keyPair: relay.keyPair,
    connectionId: 9,
    maxFrame: DEFAULT_MAX_FRAME,
    wallClock: () => Date.now(),
  });
  endpoint.adopt(PEER, transportKeys(false));
  const link = new Link({
    endpoint,
    socket,
    maxFrame: DEFAULT_MAX_FRAME,
    publicKey: relay.publicKey,
    serverPublicKey: relay.publicKey,
    connectionId: 9,
  });
  const peer = transportKeys(true);
  const says = (channelId: number): void => {
    const writer = new RecordWriter(100);
    writer.item(Opcode.TEXT, true, Uint8Array.of(1));
    const header = { channelId, sequenced: true, opener: true, sequence: 3, acknowledgement: 0 };
    link.binary(encodeEnvelope(PEER, transportMessage(peer, writer.finish(header))));
  };
  return { link, says };
}

describe('a link whose other end does not read', () => {
  it('does not gather answers without end', () => {
    const socket = new HeldSocket();
    const { link, says } = linked(socket);
    says(1);
    expect(socket.sent).toHaveLength(1);
    // No room for anything more.
    socket.bufferedAmount = 2 * MIB;
    for (let i = 0; i < 5_000; i++) says(i + 2);
    expect(socket.sent).toHaveLength(1);
    socket.bufferedAmount = 0;
    link.drained();
    expect(socket.sent.length).toBeGreaterThan(1);
    expect(socket.sent.length).toBeLessThan(2_000);
  });

  it('reads nothing more when far more waits than data alone could be, until that has gone', () => {
    const socket = new HeldSocket();
    const { link } = linked(socket);
    const frame = encodeNotice(NoticeReason.PEER_GONE, peerAddress(relay.publicKeyBytes, 1));
    const most = 4 * MIB + DEFAULT_MAX_FRAME;
    socket.bufferedAmount = most;
    link.binary(frame.slice());
    expect(socket.reads).toBe(true);
    socket.bufferedAmount = most + 1;
    link.binary(frame.slice());
    expect(socket.reads).toBe(false);
    socket.bufferedAmount = MIB + 1;
    link.drained();
    expect(socket.reads).toBe(false);
    socket.bufferedAmount = MIB;
    link.drained();
    expect(socket.reads).toBe(true);
  });

  it('goes on reading where nobody would tell it that there is room again', () => {
    const socket = new HeldSocket(false);
    const { link } = linked(socket);
    socket.bufferedAmount = 100 * MIB;
    link.binary(encodeNotice(NoticeReason.PEER_GONE, peerAddress(relay.publicKeyBytes, 1)));
    expect(socket.reads).toBe(true);
  });
});

/** Keeps apart what would leave in one write. */
class CorkedSocket extends HeldSocket {
  readonly writes: number[] = [];
  corks = 0;
  override send(data: string | Uint8Array): void {
    super.send(data);
    this.writes[this.writes.length - 1] = (this.writes.at(-1) ?? 0) + data.length;
  }
  cork(): void {
    this.corks++;
    this.writes.push(0);
  }
  uncork(): void {
    this.corks--;
  }
}

it('what a link sends in one turn leaves in few writes, and none of them waits to become large', () => {
  const socket = new CorkedSocket();
  const { link, says } = linked(socket);
  socket.bufferedAmount = 2 * MIB;
  for (let i = 0; i < 2_000; i++) says(i + 1);
  socket.writes.length = socket.sent.length = 0;
  socket.bufferedAmount = 0;
  link.drained();
  const bytes = socket.sent.reduce((sum, { length }) => sum + length, 0);
  const longest = Math.max(...socket.sent.map(({ length }) => length));
  expect(socket.sent.length).toBeGreaterThan(10);
  expect(socket.writes.filter(Boolean).length).toBeLessThanOrEqual(1 + bytes / 65_536);
  expect(Math.max(...socket.writes)).toBeLessThan(65_536 + longest);
  expect(socket.corks).toBe(0);
});

/** As much of a WebSocket of `ws` as a registration needs. */
class HeldWebSocket extends EventEmitter {
  readonly sent: (string | Uint8Array)[] = [];
  readonly readyState = 1;
  binaryType = 'nodebuffer';
  bufferedAmount = 0;
  send(data: string | Uint8Array): void {
    this.sent.push(data);
  }
  close(): void {}
  terminate(): void {}
}

describe('a service that is dialled itself', () => {
  it('tells of addresses that are not there only while that is read', async () => {
    const ws = new HeldWebSocket();
    const location = 'wss://service.example';
    const options = { identity: relay, addresses: [location] };
    const accepted = acceptDirect(ws as unknown as WebSocket, options);
    const client = new RegistrationClient({ identity: alice, now: Date.now() }, location);
    client.challenge(ws.sent[0] as string, Date.now());
    ws.emit('message', Buffer.from(client.response(Date.now())), false);
    client.success(ws.sent[1] as string, performance.now());
    // The service goes on when its promises have settled.
    await Promise.resolve();
    const frame = encodeEnvelope(PEER, Uint8Array.of(1));
    const asks = (): void => {
      for (let i = 0; i < 10; i++) ws.emit('message', Buffer.from(frame), true);
    };
    asks();
    await vi.waitFor(() => {
      expect(ws.sent).toHaveLength(2 + 10);
    });
    expect(ws.sent.at(-1)).toEqual(encodeNotice(NoticeReason.NOT_HERE, PEER));
    ws.bufferedAmount = 100_000;
    asks();
    expect(ws.sent).toHaveLength(2 + 10);
    ws.bufferedAmount = 1_000;
    asks();
    expect(ws.sent).toHaveLength(2 + 20);
    ws.emit('close', 1006, Buffer.alloc(0));
    await expect(accepted).rejects.toMatchObject({ code: 'LINK_LOST' });
  });
});
