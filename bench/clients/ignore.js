// @ts-check
/** For a client that is sent nothing. */
export function ignore() {
  throw new Error('a message arrived where none was sent');
}
