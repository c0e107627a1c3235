import { once } from 'node:events';
import type { Relay } from '../../src/relay/relay.js';
import type { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import type { ClientSecureWebSocketOptions } from '../../src/socket/client-secure-web-socket-options.js';
import { EventQueue } from './event-queue.js';
import type { relayScene } from './relay-scene.js';

/** Where a space is. */
export function spaceUrl(relay: Relay | string, name = 'room'): string {
  return `${typeof relay === 'string' ? relay : relay.url}/space/${encodeURIComponent(name)}`;
}

/** One member of a space, and what has happened to it. */
export class Participant {
  readonly messages = new EventQueue<{ from: string; member: string; data: unknown }>();
  readonly events = new EventQueue<{ type: string; id: string; detail: unknown }>();

  constructor(readonly socket: ClientSecureWebSocket) {
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ from, member, data }) => {
      this.messages.push({ from, member, data: data as unknown });
    });
    for (const type of ['memberjoin', 'memberchange'] as const) {
      socket.addEventListener(type, ({ member }) => {
        this.events.push({ type, id: member.id, detail: member.away });
      });
    }
    for (const type of ['memberleave', 'keyswiped'] as const) {
      socket.addEventListener(type as 'memberleave', ({ member, reason }) => {
        this.events.push({ type, id: member.id, detail: reason });
      });
    }
    socket.addEventListener('messageslost', ({ member, count }) => {
      this.events.push({ type: 'messageslost', id: member.id, detail: count });
    });
  }

  get id(): string {
    return this.socket.memberId;
  }

  get ids(): string[] {
    return this.socket.members.map(({ id }) => id).sort();
  }

  /** The next event of this type; those before it are let go. */
  async next(type: string): Promise<{ id: string; detail: unknown }> {
    for (;;) {
      const event = await this.events.next();
      if (event.type === type) return { id: event.id, detail: event.detail };
    }
  }

  /** The next messages, as they were sent. */
  async take(count: number): Promise<unknown[]> {
    return (await this.messages.take(count)).map(({ data }) => data);
  }

  /** Resolves when all of these are among its members. */
  async sees(others: readonly Participant[]): Promise<void> {
    while (!others.every(({ id }) => this.ids.includes(id))) {
      await new Promise<void>(resolve => {
        this.socket.addEventListener(
          'memberjoin',
          () => {
            resolve();
          },
          { once: true },
        );
      });
    }
  }

  async leave(): Promise<void> {
    const closed = once(this.socket as unknown as EventTarget, 'close');
    this.socket.close();
    await closed;
  }
}

/** Enters a space, and waits until it is open. */
export async function enter(
  scene: ReturnType<typeof relayScene>,
  relay: Relay | string,
  options: ClientSecureWebSocketOptions = {},
  name = 'room',
): Promise<Participant> {
  const participant = new Participant(await scene.client(spaceUrl(relay, name), options));
  await new Promise<void>((resolve, reject) => {
    participant.socket.addEventListener('open', () => {
      resolve();
    });
    participant.socket.addEventListener('error', ({ error }) => {
      reject(error);
    });
  });
  return participant;
}

/** Resolves when all of these know of each other: who speaks before, speaks to those whom it knows. */
export async function together(...participants: readonly Participant[]): Promise<void> {
  for (const each of participants) await each.sees(participants);
}
