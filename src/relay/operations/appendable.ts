import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';

/**
 * Whether a log could be written to a file: it is there and may be written, or may be made. Changes nothing.
 * @throws SecureWebSocketError `INVALID_ARGUMENT` (as a rejection) saying why not; `what`: 'audit log'
 */
export async function checkAppendable(what: string, file: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  if (there?.isDirectory() === true) throw refused(what, file, 'is a folder');
  try {
    if (there) await access(file, constants.W_OK);
    else await access(path.dirname(file), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw refused(what, file, `cannot be written: ${describeError(error)}`);
  }
}

function refused(what: string, file: string, why: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', `The ${what} ${file} ${why}.`);
}
