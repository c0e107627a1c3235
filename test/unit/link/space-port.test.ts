import { describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../src/core/bytes.js';
import { SecureWebSocketError } from '../../../src/core/errors.js';
import { Identity } from '../../../src/core/identity.js';
import type { Membership, MembershipEvent } from '../../../src/core/space/membership.js';
import type { ChannelListener } from '../../../src/link/channel-port.js';
import type { Link } from '../../../src/link/link.js';
import type { SpaceOwner } from '../../../src/link/link-spaces.js';
import { SpacePort, type SpacePortOptions } from '../../../src/link/space-port.js';

const SERVER = 'c5'.repeat(32);
const OTHER = {
  id: '0e'.repeat(16),
  publicKey: 'b0'.repeat(32),
  isSelf: false,
  admitted: true,
  away: false,
  joined: 1,
};
const lost = new SecureWebSocketError('LINK_LOST', 'The connection was lost.');

/** A link that takes note of what is asked of it. */
function createLink(identity: Identity, serverPublicKey = SERVER) {
  const calls: string[] = [];
  const memberships: Membership[] = [];
  const link = {
    publicKey: identity.publicKey,
    serverPublicKey,
    enter: (membership: Membership, _owner: SpaceOwner) => {
      calls.push('enter');
      memberships.push(membership);
      return {
        changed: () => calls.push('changed'),
        leave: () => calls.push('leave'),
        detach: (leaves: boolean) => calls.push(`detach ${String(leaves)}`),
      };
    },
  };
  return { link: link as unknown as Link, calls, memberships };
}

async function open(options: Partial<SpacePortOptions> = {}) {
  const identity = await Identity.generate();
  const { link, calls, memberships } = createLink(identity);
  const told: unknown[] = [];
  const listener: ChannelListener = {
    opened: ({ publicKey, peerPublicKey }) =>
      told.push(['opened', publicKey === identity.publicKey, peerPublicKey]),
    message: (data, isText, from, member) =>
      told.push([isText ? 'text' : 'binary', data.length, from, member]),
    space: ({ type, member }) => told.push([type, member.id]),
    sent: bytes => told.push(['sent', bytes]),
    closing: () => told.push('closing'),
    suspended: ({ error, isPassing }) => told.push(['suspended', error.code, isPassing]),
    resumed: ({ resumed, unacknowledged }) => told.push(['resumed', resumed, unacknowledged.length]),
    closed: ({ code, reason, wasClean, error, unacknowledged }) =>
      told.push(['closed', code, reason, wasClean, error?.code, unacknowledged.length]),
  };
  const given = { name: 'room', stay: true, maxPayload: 1_000, maxBuffered: 1_000, ...options };
  const port = new SpacePort(link, identity, given, listener);
  return { port, identity, link, calls, memberships, told };
}

async function entered(options: Partial<SpacePortOptions> = {}) {
  const scene = await open(options);
  scene.port.event({ type: 'entered', resumed: false });
  scene.told.length = scene.calls.length = 0;
  return scene;
}

const message = (data: Uint8Array, isText = false): MembershipEvent => ({
  type: 'message',
  data,
  isText,
  from: OTHER.publicKey,
  member: OTHER.id,
});
const text = (characters: string): MembershipEvent => message(utf8(characters), true);
/** What is told in a turn of its own has been told. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

describe('a port in a space', () => {
  it('is open when it has entered', async () => {
    const { port, calls, told } = await open();
    expect(calls).toEqual(['enter']);
    expect(port.space).toMatchObject({ name: 'room', members: [] });
    expect(port.space.memberId).toMatch(/^[0-9a-f]{32}$/);
    port.event({ type: 'entered', resumed: false });
    expect(told).toEqual([['opened', true, '']]);
    expect(port.isResumable).toBe(true);
  });

  it('tells what happens, and who has sent what', async () => {
    const { port, told } = await entered();
    port.event(text('hello'));
    port.event({ type: 'joined', member: OTHER });
    port.event({ type: 'moved', member: OTHER });
    port.event({ type: 'left', member: OTHER, reason: 'left' });
    port.event({ type: 'wiped', member: OTHER, reason: 'left' });
    port.event({ type: 'sent', bytes: 7 });
    expect(told).toEqual([
      ['text', 5, OTHER.publicKey, OTHER.id],
      ['joined', OTHER.id],
      ['changed', OTHER.id],
      ['left', OTHER.id],
      ['wiped', OTHER.id],
      ['sent', 7],
    ]);
  });

  it('lets nobody end it with text that is none', async () => {
    const { port, told } = await entered();
    port.event(message(Uint8Array.of(0xff), true));
    port.event(text('still there'));
    expect(told).toEqual([
      ['lost', OTHER.id],
      ['text', 11, OTHER.publicKey, OTHER.id],
    ]);
  });

  it('keeps what comes while it is paused, in order, and its end behind that', async () => {
    const { port, told } = await entered();
    port.pause();
    port.event(text('one'));
    port.event({ type: 'left', member: OTHER, reason: 'gone' });
    port.event({ type: 'sent', bytes: 1 });
    port.event({ type: 'failed', error: lost });
    await turn();
    expect(told).toEqual([['sent', 1]]);
    port.resume();
    expect(told).toHaveLength(1);
    await turn();
    expect(told.slice(1)).toEqual([
      ['text', 3, OTHER.publicKey, OTHER.id],
      ['left', OTHER.id],
      ['closed', 1006, '', false, 'LINK_LOST', 0],
    ]);
  });

  it('stops where its owner pauses it again', async () => {
    const { port, told } = await entered();
    port.pause();
    for (const name of ['a', 'bb', 'ccc']) port.event(text(name));
    port.resume();
    const push = told.push.bind(told);
    told.push = (...items) => {
      port.pause();
      return push(...items);
    };
    await turn();
    expect(told).toHaveLength(1);
    port.event(text('dddd'));
    expect(told).toHaveLength(1);
    told.push = push;
    port.resume();
    await turn();
    expect(told.map(event => (event as unknown[])[1])).toEqual([1, 2, 3, 4]);
  });

  it('fails when more waits than may, with what came before', async () => {
    const { port, told, calls } = await entered({ maxBuffered: 500 });
    port.pause();
    for (let i = 0; i < 5; i++) port.event(message(new Uint8Array(50)));
    expect(calls).toEqual(['detach true']);
    port.event(text('too late'));
    port.resume();
    await turn();
    expect(told.filter(event => (event as unknown[])[0] === 'binary')).toHaveLength(5);
    expect(told.at(-1)).toEqual(['closed', 1006, '', false, 'BUFFER_FULL', 0]);
  });

  it('takes tiny messages for more than nothing', async () => {
    const { port, calls } = await entered({ maxBuffered: 1_000 });
    port.pause();
    for (let i = 0; i < 100; i++) port.event(message(new Uint8Array(0)));
    expect(calls).toEqual(['detach true']);
  });

  it('leaves when it is closed', async () => {
    const { port, told, calls } = await entered();
    port.close(4000, 'enough');
    port.close(4001, 'twice');
    expect(calls).toEqual(['leave']);
    await turn();
    expect(told).toEqual(['closing']);
    port.event({ type: 'closed' });
    await turn();
    expect(told).toEqual(['closing', ['closed', 4000, 'enough', true, undefined, 0]]);
  });

  it('is not clean when it had to leave before all was sent', async () => {
    const { port, told, memberships } = await entered();
    port.send(utf8('too late'), true);
    vi.spyOn(memberships[0] as Membership, 'unsent').mockReturnValue([
      { data: utf8('too late'), isText: true },
    ]);
    port.close();
    port.event({ type: 'closed' });
    await turn();
    expect(told.at(-1)).toEqual(['closed', 1006, '', false, 'CLOSE_TIMEOUT', 1]);
  });

  it('gives up when it is closed before it was open', async () => {
    const { port, told, calls } = await open();
    port.close();
    expect(calls).toEqual(['enter', 'detach true']);
    await turn();
    expect(told).toEqual([['closed', 1006, '', false, 'ABORTED', 0]]);
  });

  it('ends at once when it is terminated, whatever waits', async () => {
    const { port, told } = await entered();
    port.pause();
    port.event(text('unread'));
    port.terminate();
    port.terminate();
    expect(told).toEqual([]);
    await turn();
    port.resume();
    await turn();
    expect(told).toEqual([['closed', 1006, '', false, 'ABORTED', 0]]);
  });

  it('waits for another link when it may, and enters there as the same member', async () => {
    const { port, identity, told, memberships } = await entered();
    const { memberId } = port.space;
    port.lost(lost);
    expect(told).toEqual([['suspended', 'LINK_LOST', undefined]]);
    const next = createLink(identity);
    port.enter(next.link);
    expect(next.memberships).toEqual(memberships);
    port.event({ type: 'entered', resumed: true });
    expect(told.at(-1)).toEqual(['resumed', true, 0]);
    expect(port.space.memberId).toBe(memberId);
  });

  it('ends with its link otherwise', async () => {
    const { port, told } = await entered({ stay: false });
    port.lost(lost);
    await turn();
    expect(told).toEqual([['closed', 1006, '', false, 'LINK_LOST', 0]]);
  });

  it('goes to no other relay, and nowhere as somebody else', async () => {
    const { port, identity } = await entered();
    port.lost(lost);
    const elsewhere = createLink(identity, 'd6'.repeat(32));
    const other = createLink(await Identity.generate());
    for (const { link } of [elsewhere, other]) {
      expect(() => {
        port.enter(link);
      }).toThrow(expect.objectContaining({ code: 'CHANNEL_LOST' }) as Error);
    }
  });

  it('comes back as another member when the relay had ended the one before', async () => {
    const { port, identity, told, memberships } = await entered();
    const { memberId } = port.space;
    const error = new SecureWebSocketError('SPACE_FULL', 'Full.');
    vi.spyOn(memberships[0] as Membership, 'isOver', 'get').mockReturnValue(true);
    vi.spyOn(memberships[0] as Membership, 'unsent').mockReturnValue([{ data: utf8('x'), isText: true }]);
    port.event({ type: 'refused', error, retry: true });
    expect(told).toEqual([['suspended', 'SPACE_FULL', true]]);
    port.enter(createLink(identity).link);
    port.event({ type: 'entered', resumed: false });
    expect(told.at(-1)).toEqual(['resumed', false, 1]);
    expect(port.space.memberId).not.toBe(memberId);
  });

  it('is over when the relay does not want it', async () => {
    const { port, told } = await open();
    const error = new SecureWebSocketError('SPACE_NOT_ALLOWED', 'No.');
    port.event({ type: 'refused', error, retry: false });
    await turn();
    expect(told).toEqual([['closed', 1006, '', false, 'SPACE_NOT_ALLOWED', 0]]);
  });

  it('asks who is there, and tells nobody before the answer', async () => {
    const { port, calls } = await entered();
    const done = vi.fn();
    const refreshed = port.space.refresh().then(done);
    expect(calls).toEqual(['changed']);
    await turn();
    expect(done).not.toHaveBeenCalled();
    port.event({ type: 'present' });
    await refreshed;
    const failing = port.space.refresh();
    port.terminate();
    await expect(failing).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(port.space.refresh()).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
