/**
 * All that dialling needs and that a page need not have before it dials: links, sessions, channels. In the build for
 * browsers it is a file of its own (`#engine`, see engine-on-demand.ts), and what only spaces need is another
 * (space-port.ts); what else a page loads must import nothing of them but types.
 */
export { closeTimeout } from '../core/endpoint.js';
export { peerAddress } from '../core/frame.js';
export { attemptOptions } from './dial-options.js';
export { DialledLink } from './dialled-link.js';
export { dialAhead } from './head-start.js';
