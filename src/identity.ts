/** Who one is. A page that does not name an identity loads this when it dials (see client.ts). */
export { Identity } from './core/identity.js';
