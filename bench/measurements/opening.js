// @ts-check
/** What the slowest of all may take to make a key, connect and register, milliseconds. */
export const OPENING = 200;
