/** Who one is, and whom one lets in. A page that does not name an identity loads this when it dials (see client.ts). */
export { Identity } from './core/identity.js';
export { inviteToSpace } from './socket/invite-to-space.js';
