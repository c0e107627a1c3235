import { IndexedDbKeyStore } from '../../src/link/indexed-db-key-store.js';

interface Order {
  readonly databaseName: string;
  readonly name: string;
  readonly fill: number;
}

/** Plays another tab: answers each order with the seed that its store ends with, or with what went wrong. */
addEventListener('message', ({ data: { databaseName, name, fill } }: MessageEvent<Order>) => {
  new IndexedDbKeyStore({ databaseName, name }).create(new Uint8Array(32).fill(fill)).then(
    seed => postMessage(seed),
    (error: unknown) => postMessage(String(error)),
  );
});
