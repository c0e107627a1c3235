import { CommandError, ExitCode } from './exit-code.js';
import { CloseCode, type Exchange, type LocalEnd } from './exchange.js';
import type { Peer, PeerEnd } from './peer.js';
import type { Terminal } from './terminal.js';

/** RFC 6455 section 7.1.5. */
const NO_STATUS = 1005;

/**
 * Checks that a connection ended as it should: with 1000, or without a code, and after all of the input was sent.
 * @throws why it did not (as a rejection)
 */
export async function checkEnd(exchange: Exchange, peer: Peer, end: PeerEnd): Promise<void> {
  if (end.error !== undefined) throw end.error;
  if (end.code !== CloseCode.NORMAL && end.code !== NO_STATUS) {
    const reason = end.reason === '' ? '' : ` (${end.reason})`;
    throw new CommandError(`The other side closed the connection with code ${end.code}${reason}.`, {
      exitCode: end.code === CloseCode.POLICY_VIOLATION ? ExitCode.REFUSED : ExitCode.FAILED,
    });
  }
  if (peer.bufferedAmount > 0 || (await exchange.hasUnsentInput())) {
    throw new CommandError('The other side closed the connection before all of the input was sent.', {
      hint: 'If its own input ended before, give it --wait.',
    });
  }
}

/** How much of what was sent the other side may not have got: "3 lines", or "" for none. */
export function amountMissing({ unacknowledged = [] }: PeerEnd, binary: boolean): string {
  const amount = binary
    ? unacknowledged.reduce((sum, { data }) => sum + data.length, 0)
    : unacknowledged.length;
  if (amount === 0) return '';
  const unit = binary ? 'byte' : 'message';
  return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}

/** Says how much of what was sent the other side has not acknowledged, if there is something. */
export function tellMissing(terminal: Terminal, end: PeerEnd, binary: boolean): void {
  const missing = amountMissing(end, binary);
  if (missing !== '') terminal.status(`Not acknowledged by the other side: ${missing}.`);
}

/**
 * Takes leave of all peers because of something on this side. Resolves to the exit code.
 * @throws what is wrong with input or output
 */
export async function leave(exchange: Exchange, end: LocalEnd): Promise<number> {
  const reasons = { signal: 'interrupted', output: 'nobody reads here any more', input: 'the input failed' };
  await exchange.dismiss(CloseCode.GOING_AWAY, reasons[end.by]);
  if (end.by === 'signal') return ExitCode[end.signal];
  if (end.by === 'input') throw end.error;
  if (end.error === undefined) return ExitCode.OK;
  throw new CommandError(`The output cannot be written (${end.error.message}).`);
}
