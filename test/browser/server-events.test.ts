// What the service at a relay tells, with the stack of a browser.
import { afterEach, describe, expect, inject, it } from 'vitest';
import { ClientSecureWebSocket, Identity, type PresenceWatch, watchPresence } from '../../src/index.js';

const { relay, relayKey } = inject('services');

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp.splice(0)) step();
});

/** What is told one by one, and can be waited for. */
class Told<T> {
  readonly #all: T[] = [];
  #come: (() => void) | undefined;

  readonly push = (value: T): void => {
    this.#all.push(value);
    this.#come?.();
  };

  async next(): Promise<T> {
    while (this.#all.length === 0) {
      await new Promise<void>(resolve => {
        this.#come = resolve;
      });
    }
    return this.#all.shift() as T;
  }
}

/** A member of a space at which the service greets: see `GREETED` in test/support/services.ts. */
function enter(identity: Identity, space: string): { socket: ClientSecureWebSocket; told: Told<unknown> } {
  const url = `${relay}/space/${encodeURIComponent(space)}`;
  const socket = new ClientSecureWebSocket(url, [], { identity, serverKey: relayKey });
  cleanUp.push(() => {
    socket.close();
  });
  socket.binaryType = 'arraybuffer';
  const told = new Told<unknown>();
  socket.onserverevent = ({ data, space: where }) => {
    told.push([data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data, where]);
  };
  return { socket, told };
}

describe('events of the service, in a browser', () => {
  it('come to the space that they are for, as text and as bytes, in their order', async () => {
    // Other engines use the same relay at the same time.
    const space = `greeted ${crypto.randomUUID()}`;
    const [first, second] = [await Identity.generate(), await Identity.generate()];
    const { told } = enter(first, space);
    expect(await told.next()).toEqual([`${first.publicKey} has come`, space]);
    expect(await told.next()).toEqual([[1, 2, 3], space]);
    enter(second, space);
    expect(await told.next()).toEqual([`${second.publicKey} has come`, space]);
  });
});

describe('presence, in a browser', () => {
  function watching(...publicKeys: string[]): { watch: PresenceWatch; told: Told<string> } {
    const watch = watchPresence(relay, publicKeys, { serverKey: relayKey });
    cleanUp.push(() => {
      watch.close();
    });
    const told = new Told<string>();
    watch.addEventListener('presence', ({ publicKey, state }) => {
      told.push(`${publicKey} ${state}`);
    });
    return { watch, told };
  }

  it('follows who comes and goes', async () => {
    const [here, elsewhere] = [await Identity.generate(), await Identity.generate()];
    const { watch, told } = watching(here.publicKey);
    expect(await told.next()).toBe(`${here.publicKey} absent`);
    const { socket } = enter(here, `greeted ${crypto.randomUUID()}`);
    expect(await told.next()).toBe(`${here.publicKey} present`);
    expect(watch.present).toEqual(new Set([here.publicKey]));
    const states = await watch.ask([here.publicKey, elsewhere.publicKey]);
    expect([...states.values()]).toEqual(['present', 'absent']);
    socket.close();
    expect(await told.next()).toBe(`${here.publicKey} absent`);
  });
});
