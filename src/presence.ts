/** What only those need who watch who is present at a relay (see client.ts). */
export { watchPresence } from './socket/presence-watch.js';
