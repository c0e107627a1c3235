import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { describeError } from '../core/describe-error.js';
import { SecureWebSocketError } from '../core/errors.js';
import { verifyAuditLog } from '../relay/operations/audit-verify.js';
import { defineCommand } from './command.js';
import { CommandError, ExitCode, UsageError } from './exit-code.js';
import { nearest } from './nearest.js';

export const audit = defineCommand({
  name: 'audit',
  summary: 'Verify the audit log of a relay.',
  usage: 'verify [options] FILE...',
  description: [
    'Finds out whether a log that "secure-websocket relay --audit-log" has written is whole: no line was changed, ' +
      'removed, added or moved. Of files that were rotated give all, the oldest first: they are one log.',
    'Lines that were removed from the end can be noticed only by who knows how it ended: keep the head that is ' +
      'printed, on another machine, and give it with --head the next time. A log that has grown since still has it.',
  ],
  options: {
    head: { type: 'string', value: 'HASH', help: 'A head that was printed before: it must be in the log.' },
    from: {
      type: 'string',
      value: 'HASH',
      help: 'The head of the files before these, where they are gone. Default: these are the first.',
    },
  },
  examples: [
    ['one file', 'secure-websocket audit verify /var/log/relay/audit.jsonl'],
    ['files that were rotated', 'secure-websocket audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl'],
  ],
  async run({ values, positionals, terminal }) {
    const [action, ...files] = positionals;
    if (action !== 'verify') throw unknownAction(action);
    if (files.length === 0) throw new UsageError('The FILE is missing.');
    for (const name of ['head', 'from'] as const) {
      const hash = values[name];
      if (hash !== undefined && !/^[0-9a-f]{64}$/i.test(hash))
        throw new UsageError(`--${name} must be 64 hex digits, not "${hash}".`);
    }
    // Whether a log is whole is another question than whether it is there.
    for (const file of files) {
      await access(file, constants.R_OK).catch((error: unknown) => {
        throw new UsageError(`${file} cannot be read (${describeError(error)}).`);
      });
    }

    const { lines, head, torn } = await verified(files, values.head, values.from);
    // Nothing in a chain says how it ends: a file that was emptied would not be missed.
    const empty = lines === 0 ? files : await emptyOf(files);
    if (empty.length > 0) {
      throw new CommandError(`${empty.join(', ')} ${empty.length === 1 ? 'is' : 'are'} empty.`, {
        exitCode: ExitCode.FAILED,
        hint: 'A log begins with a record "opened", which is written when the relay starts: it was removed, or no relay writes here.',
      });
    }
    terminal.print(`The log is whole: ${lines} ${lines === 1 ? 'record' : 'records'}.`);
    if (torn > 0) {
      const what = torn === 1 ? 'one line' : `${torn} lines`;
      terminal.print(`A crash has left ${what} unfinished; the records after it say so.`);
    }
    terminal.print(`Head  ${head}`);
    return ExitCode.OK;
  },
});

async function emptyOf(files: readonly string[]): Promise<string[]> {
  const sizes = await Promise.all(files.map(file => stat(file)));
  // Of a pipe nobody knows how much was in it.
  return files.filter((_, index) => sizes[index]?.isFile() === true && sizes[index].size === 0);
}

async function verified(
  files: readonly string[],
  head: string | undefined,
  from: string | undefined,
): ReturnType<typeof verifyAuditLog> {
  try {
    return await verifyAuditLog(files, head, from);
  } catch (error) {
    if (!(error instanceof SecureWebSocketError)) throw error;
    throw new CommandError(error.message, { exitCode: ExitCode.FAILED });
  }
}

function unknownAction(action: string | undefined): UsageError {
  if (action === undefined) return new UsageError('Say what to do: audit verify FILE...');
  const meant = nearest(action, ['verify']) === undefined ? '' : ' Did you mean verify?';
  return new UsageError(`There is no "audit ${action}".${meant}`);
}
