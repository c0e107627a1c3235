/** Where identities are kept. A page that does not name a store loads its own when it dials (see client.ts). */
export { IndexedDbKeyStore } from './link/indexed-db-key-store.js';
export { MemoryKeyStore } from './link/memory-key-store.js';
