// The chat example's room, with several people in one process.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  encodeFile,
  encodeName,
  encodePart,
  MAX_FILE,
  PART,
} from '../../../examples/chat/page/chat-message.js';
import { Room } from '../../../examples/chat/page/room.js';
import type { SpaceEvents } from '../../../examples/chat/page/space.js';
import { FakeSpace } from '../../support/fake-space.js';

interface Person {
  readonly name: string;
  readonly fingerprint: string;
  readonly ambiguous: boolean;
  readonly away: boolean;
}

/** What somebody is shown, in words. */
class Shown {
  readonly lines: string[] = [];
  readonly states: string[] = [];
  readonly files = new Map<string, { parts?: Uint8Array[]; failed?: string; cancel?: () => void }>();
  people: Person[] = [];

  showState(state: string, reason: string): void {
    this.states.push(reason === '' ? state : `${state}: ${reason}`);
  }
  showPeople(people: Person[]): void {
    this.people = people.map(person => ({ ...person }));
  }
  showText({ name }: Person, text: string, { nobodyHere }: { nobodyHere?: boolean }): void {
    this.lines.push(`${name}: ${text}${nobodyHere ? ' (nobody here)' : ''}`);
  }
  showNote(text: string): void {
    this.lines.push(text.replace(/ \([0-9a-f ]{19}\)/, ''));
  }
  showProblem(text: string): void {
    this.lines.push(`! ${text.replace(/ \([0-9a-f ]{19}\)/, '')}`);
  }
  showFile({ name }: Person, key: string, file: { name: string; cancel?: () => void }): void {
    this.lines.push(`${name} sends ${file.name}`);
    this.files.set(key, file.cancel ? { cancel: file.cancel } : {});
  }
  showFileProgress(): void {}
  showFileDone(key: string, parts: Uint8Array[]): void {
    this.files.set(key, { parts });
  }
  showFileFailed(key: string, failed: string): void {
    this.files.set(key, { failed });
  }
  showKeys(): void {}
  get names(): string[] {
    return this.people.map(({ name }) => name);
  }
  get file(): { parts?: Uint8Array[]; failed?: string; cancel?: () => void } | undefined {
    return [...this.files.values()].pop();
  }
}

/** Somebody who enters. */
function enter(
  space: FakeSpace,
  name: string,
  publicKey?: string,
): { room: Room; shown: Shown; events: SpaceEvents } {
  const shown = new Shown();
  const room = new Room(name, shown);
  let events: SpaceEvents | undefined;
  room.enter(
    (_where: object, given: SpaceEvents) => {
      events = given;
      return space.open(given, publicKey);
    },
    { space: 'lobby', url: '' },
  );
  return { room, shown, events: events! };
}

/** All that waits for a moment. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(500);
}

const ofBytes = (size: number, name = 'file.bin'): File =>
  new File([Uint8Array.from({ length: size }, (_, at) => at % 251)], name);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('people', () => {
  it('tells who joins by name, and newcomers who is there', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const bob = enter(space, 'Bob');
    await settle();
    expect(ada.shown.lines).toEqual(['“Bob” joined.']);
    expect(bob.shown.lines).toEqual([]);
    expect(ada.shown.names).toEqual(['Ada', 'Bob']);
    expect(bob.shown.names).toEqual(['Ada', 'Bob']);
    bob.room.leave();
    expect(ada.shown.lines).toEqual(['“Bob” joined.', '“Bob” left. The keys are wiped and changed.']);
    expect(ada.shown.names).toEqual(['Ada']);
    expect(bob.shown.states).toEqual(['connecting', 'open', 'ended']);
  });

  it('does not wait for a name forever', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const silent = space.open({});
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ada.shown.lines).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ada.shown.lines).toEqual(['Somebody without a name joined.']);
    expect(silent.member.id).toHaveLength(32);
  });

  it('warns of two keys under one name, and not of two tabs of one key', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada', 'a'.repeat(64));
    await settle();
    enter(space, 'Ada', 'a'.repeat(64));
    await settle();
    expect(ada.shown.people.some(({ ambiguous }) => ambiguous)).toBe(false);
    enter(space, ' ádA.', 'b'.repeat(64));
    await settle();
    expect(ada.shown.people.map(({ ambiguous }) => ambiguous)).toEqual([true, true, true]);
    expect(ada.shown.people.map(({ fingerprint }) => fingerprint)).toEqual([
      'aaaa aaaa aaaa aaaa',
      'aaaa aaaa aaaa aaaa',
      'bbbb bbbb bbbb bbbb',
    ]);
  });

  it('says when somebody takes another name', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const other = space.open({});
    other.send(encodeName('Bob'));
    other.send(encodeName('Ada'));
    await settle();
    expect(ada.shown.lines).toEqual(['“Bob” joined.', '“Bob” is now called “Ada”.']);
  });

  it('puts the members right after the relay was away', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const bob = enter(space, 'Bob');
    await settle();
    ada.events.away();
    ada.room.say('are you there?');
    ada.events.changed({ id: '2'.padStart(32, '0'), publicKey: '', isSelf: false, away: true });
    expect(ada.shown.people.map(({ away }) => away)).toEqual([false, true]);
    ada.events.back(false, [{ id: '1'.padStart(32, '0'), publicKey: '', isSelf: true, away: false }]);
    expect(ada.shown.states.slice(1)).toEqual(['open', 'away', 'open']);
    expect(ada.shown.lines.slice(1)).toEqual([
      'Ada: are you there?',
      '“Bob” left (connection lost). The keys are wiped and changed.',
    ]);
    expect(bob.shown.lines).toEqual(['Ada: are you there?']);
  });

  it('says its name again to those who took it for gone', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const heard: unknown[] = [];
    const other = space.open({ message: (_sender, data) => heard.push(data) });
    await settle();
    heard.length = 0;
    const members = [
      { ...other.member },
      { id: '1'.padStart(32, '0'), publicKey: '', isSelf: true, away: false },
    ];
    ada.events.away();
    ada.events.back(true, members);
    expect(heard).toEqual([]);
    ada.events.away();
    ada.events.back(false, members);
    expect(heard).toEqual([encodeName('Ada')]);
  });
});

describe('messages', () => {
  it('reach everybody, and say when nobody is there', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    ada.room.say('anybody?');
    const [bob, eve] = [enter(space, 'Bob'), enter(space, 'Eve')];
    await settle();
    ada.room.say('hello');
    bob.room.say('hi');
    expect(ada.shown.lines.filter(line => line.startsWith('Ada') || line.startsWith('Bob'))).toEqual([
      'Ada: anybody? (nobody here)',
      'Ada: hello',
      'Bob: hi',
    ]);
    expect(eve.shown.lines).toEqual(['Ada: hello', 'Bob: hi']);
  });

  it('are not taken for what they are not', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const other = space.open({});
    other.send(encodeName('Mallory'));
    await settle();
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"type":"text"}',
      '{"type":"text","text":7}',
      '{"type":"constructor"}',
    ]) {
      other.send(text);
    }
    other.send(JSON.stringify({ type: 'name', name: '\u202e\u200b' }));
    other.send(JSON.stringify({ type: 'file', id: 'x', name: 'a', size: 1 }));
    other.send(JSON.stringify({ type: 'file', id: 'a'.repeat(32), name: 'a', size: -1 }));
    other.send(new Uint8Array(3));
    other.send(new Uint8Array(21));
    expect(ada.shown.lines).toEqual(['“Mallory” joined.']);
  });

  it('cannot be sent when the room is over', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const other = space.open({});
    other.send(encodeName('Bob'));
    other.send(encodeFile({ id: 'a'.repeat(32), name: 'half', size: 7 }));
    ada.shown.lines.length = 0;
    ada.events.ended('The relay was closed.');
    expect(ada.shown.file).toEqual({ failed: 'not all of it has arrived' });
    ada.room.say('hello?');
    expect(ada.shown.states.at(-1)).toBe('ended: The relay was closed.');
    expect(ada.shown.lines).toEqual([]);
    expect(ada.shown.people).toEqual([]);
  });
});

describe('files', () => {
  it.each([0, 1, PART, PART + 1, 3 * PART])('of %i bytes arrive', async size => {
    const space = new FakeSpace();
    const [ada, bob] = [enter(space, 'Ada'), enter(space, 'Bob')];
    await settle();
    const file = ofBytes(size);
    await ada.room.sendFiles([file]);
    const { parts } = bob.shown.file!;
    expect(Buffer.concat(parts!)).toEqual(Buffer.from(await file.arrayBuffer()));
    expect(ada.shown.file).toHaveProperty('parts');
  });

  it('that are too large are refused, with the limit', async () => {
    const space = new FakeSpace();
    const [ada, bob] = [enter(space, 'Ada'), enter(space, 'Bob')];
    await settle();
    await ada.room.sendFiles([ofBytes(MAX_FILE + 1, 'film.mp4')]);
    expect(ada.shown.lines.at(-1)).toBe(
      '! “film.mp4” was not sent: it has 10.0 MiB. At most 10.0 MiB can be sent here.',
    );
    expect(bob.shown.lines).toEqual([]);
  });

  it('can be given up, and go one after the other', async () => {
    const space = new FakeSpace();
    const [ada, bob] = [enter(space, 'Ada'), enter(space, 'Bob')];
    await settle();
    const sent = ada.room.sendFiles([ofBytes(5 * PART, 'first'), ofBytes(3, 'second')]);
    [...ada.shown.files.values()][0]!.cancel!();
    await sent;
    expect([...ada.shown.files.values()]).toEqual([{ failed: 'not sent' }, { parts: [expect.anything()] }]);
    expect(bob.shown.lines.at(-1)).toBe('Ada sends second');
    expect(bob.shown.file).toHaveProperty('parts');
  });

  it('that cannot be read are given up, at both ends', async () => {
    const space = new FakeSpace();
    const [ada, bob] = [enter(space, 'Ada'), enter(space, 'Bob')];
    await settle();
    const folder = {
      name: 'folder',
      size: 4096,
      slice: () => ({ arrayBuffer: () => Promise.reject(new Error('folder')) }),
    };
    await ada.room.sendFiles([folder]);
    expect(ada.shown.file).toEqual({ failed: 'not sent' });
    expect(bob.shown.file).toEqual({ failed: 'given up by its sender' });
  });

  it('stay incomplete when their sender leaves, and when a part is missing or too much', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const other = space.open({});
    const [first, second] = ['1'.repeat(32), '2'.repeat(32)];
    other.send(encodeName('Mallory'));
    other.send(encodeFile({ id: first, name: 'first', size: 3 * PART }));
    other.send(encodePart(first, 0, new Uint8Array(PART)));
    other.send(encodePart(first, 2, new Uint8Array(PART)));
    expect(ada.shown.file).toEqual({ failed: 'a part of it is missing' });
    other.send(encodeFile({ id: second, name: 'second', size: 2 * PART }));
    other.send(encodePart(second, 0, new Uint8Array(1)));
    expect(ada.shown.file).toEqual({ failed: 'a part of it is missing' });
    other.send(encodeFile({ id: second, name: 'third', size: 2 * PART }));
    other.send(encodePart(second, 0, new Uint8Array(PART)));
    other.close();
    expect(ada.shown.file).toEqual({ failed: 'not all of it has arrived' });
  });

  it('of one member are few at a time, and small', async () => {
    const space = new FakeSpace();
    const ada = enter(space, 'Ada');
    await settle();
    const other = space.open({});
    other.send(encodeName('Mallory'));
    other.send(encodeFile({ id: 'f'.repeat(32), name: 'huge', size: MAX_FILE + 1 }));
    for (let number = 0; number < 10; number++) {
      other.send(encodeFile({ id: String(number).repeat(32), name: `n${number}`, size: MAX_FILE }));
    }
    expect(ada.shown.files.size).toBe(4);
    expect(ada.shown.lines).not.toContain('Mallory sends huge');
    expect(ada.shown.lines.filter(line => line.startsWith('!'))).toHaveLength(7);
    other.close();
    expect([...ada.shown.files.values()]).toEqual(Array(4).fill({ failed: 'not all of it has arrived' }));
  });
});
