/** Where the channels between members of a space are opened. */
export const SPACE_TARGET = '/.secure-websocket/space/';
