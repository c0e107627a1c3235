/**
 * What a page needs before it dials. In the build for browsers this is a file of its own, as are the other parts of
 * index.ts: what is not imported here is not loaded with the page. Pages without a bundler import the built file by its
 * URL.
 */
export { ClientSecureWebSocket } from './socket/client-secure-web-socket.js';
export { formatAddress, parseAddress } from './core/address.js';
export { SecureWebSocketError } from './core/errors.js';
export { FirstUseTrustStore } from './link/trust.js';
