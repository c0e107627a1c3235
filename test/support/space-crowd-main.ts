// Many members of one space, in a process of their own: see space-crowd.ts.
import { Identity } from '../../src/core/identity.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { CrowdAsk } from './space-crowd.js';

/** So many enter at a time. */
const CONCURRENCY = 4;

/** Somebody who waits for something that the members have or have not. */
interface Waiting {
  readonly isSo: () => boolean;
  readonly resolve: () => void;
}

class CrowdMember {
  /** How many messages it has had of each member, by its id. Each message says its number. */
  readonly heard = new Map<string, number>();
  hasLeft = false;

  constructor(
    readonly socket: ClientSecureWebSocket,
    changed: () => void,
    wrong: (what: string) => void,
  ) {
    socket.addEventListener('message', ({ data, member }) => {
      const next = this.heard.get(member) ?? 0;
      if (data !== String(next)) wrong(`a member heard "${String(data)}" instead of "${String(next)}"`);
      if (this.hasLeft) wrong('a member heard something after it had left');
      this.heard.set(member, next + 1);
      changed();
    });
    for (const type of ['memberjoin', 'memberleave'] as const) socket.addEventListener(type, changed);
    socket.addEventListener('messageslost', ({ count, reason }) => {
      wrong(`a member lost ${String(count)} messages (${reason})`);
    });
    socket.addEventListener('error', ({ error }) => {
      wrong(`a member failed: ${error.message}`);
    });
    socket.addEventListener('close', ({ wasClean }) => {
      if (!this.hasLeft || !wasClean) wrong('a member was put out');
      changed();
    });
  }

  /** Whether it has heard so many of each of these, but of itself. */
  hasHeard(speakers: ReadonlyMap<string, number>): boolean {
    for (const [id, count] of speakers) {
      if (id !== this.socket.memberId && (this.heard.get(id) ?? 0) < count) return false;
    }
    return true;
  }
}

const members: CrowdMember[] = [];
/** The first thing that was not as it should be. */
let mistake: string | undefined;
let waiting: Waiting[] = [];
let isLooking = false;

/** What is waited for is looked at once in a turn, however much has changed. */
function changed(): void {
  if (isLooking || waiting.length === 0) return;
  isLooking = true;
  setImmediate(() => {
    isLooking = false;
    waiting = waiting.filter(({ isSo, resolve }) => {
      if (mistake === undefined && !isSo()) return true;
      resolve();
      return false;
    });
  });
}

function wrong(what: string): void {
  mistake ??= what;
  changed();
}

async function until(isSo: (member: CrowdMember) => boolean): Promise<void> {
  const isAllSo = (): boolean => members.every(member => member.hasLeft || isSo(member));
  await new Promise<void>(resolve => {
    waiting.push({ isSo: isAllSo, resolve });
    changed();
  });
  if (mistake !== undefined) throw new Error(mistake);
}

async function enterOne(url: string): Promise<void> {
  const identity = Identity.generate();
  const socket = new ClientSecureWebSocket(url, [], {
    identity,
    trustStore: { check: () => true },
    // A relay that is busy with the others may let one wait for too long.
    reconnect: { minDelay: 0, maxDelay: 1_000 },
  });
  const member = new CrowdMember(socket, changed, wrong);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => {
      resolve();
    });
    socket.addEventListener('error', ({ error }) => {
      reject(error);
    });
  });
  members.push(member);
}

async function enter(url: string, count: number): Promise<void> {
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) await enterOne(url);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

async function leave(count: number): Promise<void> {
  const leaving = members.filter(({ hasLeft }) => !hasLeft).slice(0, count);
  await Promise.all(
    leaving.map(async member => {
      const closed = new Promise(resolve => {
        member.socket.addEventListener('close', resolve);
      });
      member.hasLeft = true;
      member.socket.close();
      await closed;
    }),
  );
  if (mistake !== undefined) throw new Error(mistake);
}

/** The last of the members: it leaves last. */
function speaker(): CrowdMember {
  const last = members.at(-1);
  if (!last) throw new Error('There are no members.');
  return last;
}

const answers: { readonly [Name in keyof CrowdAsk]: (details: CrowdAsk[Name][0]) => unknown } = {
  enter: async ({ url, count }) => {
    await enter(url, count);
    return speaker().socket.memberId;
  },
  seeing: ({ count }) => until(({ socket }) => socket.members.length === count),
  say: ({ from, count }) => {
    for (let number = from; number < from + count; number++) speaker().socket.send(String(number));
  },
  hearing: ({ speakers }) => until(member => member.hasHeard(speakers)),
  leave: ({ count }) => leave(count),
};

process.on('message', ({ id, ask, details }: { id: number; ask: keyof CrowdAsk; details: never }) => {
  void Promise.resolve()
    .then(() => answers[ask](details))
    .then(
      result => process.send?.({ id, result }),
      (error: unknown) =>
        process.send?.({ id, error: error instanceof Error ? error.message : String(error) }),
    );
});
process.on('disconnect', () => {
  process.exit();
});
