import { type ErrorCode, SecureWebSocketError } from '../core/errors.js';

/** What the process ends with. Part of the interface: scripts depend on it. */
export const ExitCode = {
  OK: 0,
  /** The connection failed or was lost, or the peer closed it with a code that is not 1000. */
  FAILED: 1,
  USAGE: 2,
  /** Somebody is not who they should be, or refused us. */
  REFUSED: 3,
  /** A key file is missing, unsafe, broken or in the way. */
  KEY_FILE: 4,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** The command line is wrong, or what else was set. */
export class UsageError extends Error {
  /** Each of what is wrong, one sentence or two. */
  readonly problems: readonly string[];
  /** What is to be said behind them. */
  note: string | undefined;

  constructor(...problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'UsageError';
    this.problems = problems;
  }
}

/** Something ended the command, and this is what to say about it. */
export class CommandError extends Error {
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(message: string, options: { exitCode?: number; hint?: string | undefined } = {}) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = options.exitCode ?? ExitCode.FAILED;
    this.hint = options.hint;
  }
}

const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_KEY_MISMATCH',
  'SERVER_KEY_CHANGED',
  'ADDRESS_NOT_CLAIMED',
  'DIALLED_ELSEWHERE',
  'REGISTRATION_REFUSED',
  'DEVICE_INFORMATION_INVALID',
  'DEVICE_INFORMATION_EXPIRED',
  'DECRYPT_FAILED',
  'ZERO_SHARED_SECRET',
  'SOURCE_MISMATCH',
  'CHANNEL_REFUSED',
  'PEER_REFUSED',
  'PEER_NOT_ALLOWED',
  'KEY_NOT_ALLOWED',
  'KEY_DENIED',
  'TOKEN_REQUIRED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_NOT_YOURS',
  'ADMISSION_REFUSED',
  'PROTOCOL_NOT_OFFERED',
]);

const USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_ARGUMENT',
  'INVALID_ADDRESS_LENGTH',
  'INVALID_ADDRESS_CHARACTER',
  'NON_CANONICAL_ADDRESS',
  'LOW_ORDER_ADDRESS',
]);

/** The exit code for whatever ended a command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return ExitCode.USAGE;
  if (error instanceof CommandError) return error.exitCode;
  if (!(error instanceof SecureWebSocketError)) return ExitCode.FAILED;
  const { code } = error;
  if (REFUSED.has(code)) return ExitCode.REFUSED;
  if (USAGE.has(code)) return ExitCode.USAGE;
  return code.startsWith('KEY_STORE_') || code === 'INVALID_SEED' ? ExitCode.KEY_FILE : ExitCode.FAILED;
}

/** What the user can do about it, where that is known. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  PEER_NOT_HERE:
    'Start "secure-websocket listen --relay …" on the other side, or compare the address with the one it prints.',
  PEER_GONE: 'The other side ended, or lost its connection to the relay.',
  LINK_FAILED: 'Check the host, the port and ws:// or wss://, and whether the server is running.',
  LINK_LOST: 'The server or relay went away, or the network did.',
  REGISTRATION_TIMEOUT: 'Something answers there, but it may be no secure-websocket server.',
  REGISTRATION_MALFORMED: 'Something answers there, but it seems to be no secure-websocket server.',
  SERVER_KEY_MISMATCH:
    'Ask whoever runs the server for its key by another way. If it did not change, somebody stands in the middle.',
  DIALLED_ELSEWHERE: 'The server does not know itself under this address: give it --public-url.',
  CHANNEL_REFUSED: 'The other side is there, but does not want this connection.',
  CHANNEL_LOST: 'The other side was started anew, or has waited too long: connect again.',
  PROTOCOL_NOT_OFFERED: 'Give the subprotocols that the other side speaks with --protocol.',
  KEY_NOT_ALLOWED:
    'Ask whoever runs the relay to add this key to its list: "secure-websocket keygen --show" prints it.',
  PEER_NOT_ALLOWED: 'Ask whoever runs the relay: its rules do not let this key reach that one.',
  KEY_STORE_EXISTS: 'Give --force to replace it.',
};

/** One piece of advice for an error, or undefined. */
export function hintFor(error: unknown): string | undefined {
  if (error instanceof CommandError) return error.hint;
  return error instanceof SecureWebSocketError ? HINTS[error.code] : undefined;
}
