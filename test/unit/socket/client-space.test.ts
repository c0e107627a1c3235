import { describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import type { ServerEvent, SpaceMember, SpaceView } from '../../../src/link/channel-port.js';
import { ClientSecureWebSocket } from '../../../src/socket/client-secure-web-socket.js';
import { next } from '../../support/conformance/conformance-case.js';
import { type Dialled, lastDialled } from '../../support/scripted-dial.js';
import { information, open, settle } from '../../support/scripted-socket.js';

vi.mock('../../../src/link/dial.js', () => import('../../support/scripted-dial.js'));

const SELF = member('0a', true);
const OTHER = member('0b', false);

function member(id: string, isSelf: boolean): SpaceMember {
  return {
    id: id.repeat(16),
    publicKey: id.repeat(32),
    isSelf,
    admitted: true,
    away: false,
    joined: 1,
  };
}

/** A socket in a space that a test plays the others of. */
async function enter() {
  const socket = new ClientSecureWebSocket('wss://relay.example/space/room');
  const { channel } = lastDialled() as Dialled & { channel: { space?: SpaceView } };
  const refresh = vi.fn(() => Promise.resolve());
  channel.space = { name: 'room', memberId: SELF.id, members: [SELF, OTHER], refresh };
  expect([socket.space, socket.memberId, socket.members]).toEqual(['', '', []]);
  channel.listener.opened?.({ ...information, peerPublicKey: '', handshakeHash: new Uint8Array(0) });
  await next(socket, 'open');
  return { socket, channel, refresh };
}

describe('a socket in a space', () => {
  it('says where it is, and who is there', async () => {
    const { socket, channel } = await enter();
    expect(socket.space).toBe('room');
    expect(socket.memberId).toBe(SELF.id);
    expect(socket.members).toEqual([SELF, OTHER]);
    expect(socket.peerPublicKey).toBe('');
    expect(socket.handshakeHash).toBeUndefined();
    channel.end();
    await next(socket, 'close');
    expect(socket.members).toEqual([]);
    expect([socket.space, socket.memberId]).toEqual(['room', SELF.id]);
  });

  it('says of each message who has sent it', async () => {
    const { socket, channel } = await enter();
    channel.listener.message(utf8('hello'), true, OTHER.publicKey, OTHER.id);
    const event = (await next(socket, 'message')) as unknown as Record<string, unknown>;
    expect([event['data'], event['from'], event['member']]).toEqual(['hello', OTHER.publicKey, OTHER.id]);
    expect(Object.keys(event)).toEqual(expect.arrayContaining(['from', 'member']));
  });

  it('tells what happens in it, in order with messages, by listeners and by handlers', async () => {
    const { socket, channel } = await enter();
    const told: unknown[] = [];
    socket.onmemberjoin = event => told.push([event.type, event.member]);
    socket.onmemberchange = event => told.push([event.type, event.member.away]);
    socket.onmemberleave = event => told.push([event.type, event.member, event.reason]);
    socket.onkeyswiped = event => told.push([event.type, event.member, event.reason]);
    socket.onmessageslost = event => told.push([event.type, event.member, event.count, event.reason]);
    socket.onmessage = event => told.push([event.type, event.data]);
    const all = ['memberjoin', 'memberchange', 'memberleave', 'keyswiped', 'messageslost'];
    const byListener: string[] = [];
    for (const type of all) socket.addEventListener(type, event => byListener.push(event.type));
    const { listener } = channel;
    listener.space?.({ type: 'joined', member: OTHER });
    listener.message(utf8('between'), true, OTHER.publicKey, OTHER.id);
    listener.space?.({ type: 'changed', member: { ...OTHER, away: true } });
    listener.space?.({ type: 'lost', member: OTHER, count: 3, reason: 'repair' });
    listener.space?.({ type: 'left', member: OTHER, reason: 'gone' });
    listener.space?.({ type: 'wiped', member: OTHER, reason: 'absent' });
    await settle();
    await settle();
    expect(told).toEqual([
      ['memberjoin', OTHER],
      ['message', 'between'],
      ['memberchange', true],
      ['messageslost', OTHER, 3, 'repair'],
      ['memberleave', OTHER, 'gone'],
      ['keyswiped', OTHER, 'absent'],
    ]);
    expect(byListener).toEqual(['memberjoin', 'memberchange', 'messageslost', 'memberleave', 'keyswiped']);
    socket.close();
    listener.space?.({ type: 'joined', member: OTHER });
    await settle();
    expect(told).toHaveLength(6);
  });

  it('asks who is there only while it is open', async () => {
    const { socket, refresh, channel } = await enter();
    await expect(socket.refreshMembers()).resolves.toEqual([SELF, OTHER]);
    const error = new SecureWebSocketError('LINK_LOST', 'Lost.');
    refresh.mockRejectedValueOnce(error);
    await expect(socket.refreshMembers()).rejects.toBe(error);
    channel.end();
    await next(socket, 'close');
    await expect(socket.refreshMembers()).rejects.toMatchObject({ name: 'InvalidStateError' });
    expect(refresh).toHaveBeenCalledTimes(2);
  });

  it('is told of events of a service as text, or as binary of its type', async () => {
    const { socket, channel } = await enter();
    socket.binaryType = 'arraybuffer';
    const taken = vi.fn();
    const event = (data: Uint8Array, isText: boolean): ServerEvent => ({
      space: 'room',
      data,
      isText,
      taken,
    });
    const told: unknown[] = [];
    socket.onserverevent = ({ data, space }) => told.push([data, space]);
    channel.listener.serverEvent?.(event(utf8('hello'), true));
    channel.listener.serverEvent?.(event(Uint8Array.of(7), false));
    await settle();
    expect(told).toEqual([
      ['hello', 'room'],
      [Uint8Array.of(7).buffer, 'room'],
    ]);
    expect(taken).toHaveBeenCalledTimes(2);
  });
});

describe('a socket that is in no space', () => {
  it('says so', async () => {
    const { socket, channel } = await open();
    expect([socket.space, socket.memberId, socket.members]).toEqual(['', '', []]);
    await expect(socket.refreshMembers()).rejects.toMatchObject({ name: 'InvalidStateError' });
    channel.text('hello');
    expect(await next(socket, 'message')).toMatchObject({ data: 'hello' });
    channel.text('again');
    const { from, member } = (await next(socket, 'message')) as unknown as Record<string, unknown>;
    expect([from, member]).toEqual(['', '']);
  });
});

describe('the URL of a space', () => {
  it.each([
    'wss://relay.example/space/a%00b',
    'wss://relay.example/space/a%2Fb',
    'wss://relay.example/space/%ff',
    `wss://relay.example/space/${'x'.repeat(129)}`,
    'wss://relay.example/space/room?x=1',
    // Not the normal form C.
    'wss://relay.example/space/e%CC%81',
  ])('cannot be %s', url => {
    expect(() => new ClientSecureWebSocket(url)).toThrow(
      expect.objectContaining({ name: 'SyntaxError' }) as Error,
    );
    // Whoever means a server says so.
    expect(() => new ClientSecureWebSocket(url, [], { direct: true })).not.toThrow();
  });
});
