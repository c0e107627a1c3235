import { createReadStream } from 'node:fs';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import {
  type AuditRecord,
  describeTorn,
  looksWhole,
  MAX_AUDIT_LINE,
  NO_HEAD,
  readAuditLine,
} from './audit-record.js';

/** What a log was found to hold. */
export interface VerifiedAuditLog {
  /** Records. */
  readonly lines: number;
  /** The hash of the last one: note it elsewhere, and a removed end can be noticed. 64 zeros for a log without any. */
  readonly head: string;
  /** How many times a crash left the beginning of a line, which the next record names. */
  readonly torn: number;
}

/** As much as there can be of torn lines in a row, bytes: more than is ever read back. */
const MAX_TORN = 16 * MAX_AUDIT_LINE;

/**
 * Checks that an audit log is whole: no line was changed, removed, added or moved since it was written. One that was
 * removed from the end leaves no trace in the rest: that is noticed only with `expectedHead`.
 *
 * Each line is JSON and ends with `,"hash":"<64 hex digits>"}`, which is the SHA-256 of the same line with `}` in that
 * place, byte for byte. Its `previous` is the `hash` of the line before (64 zeros in the first), its `sequence` one more
 * (0 in the first). A line that is not whole, left by a crash, is followed by an `opened` record with the number of its
 * bytes and their SHA-256 (`torn`; of several such lines together, with the line breaks between them).
 *
 * @param source the lines, without their ends; or the paths of files, oldest first, which are read as one log
 * @param expectedHead a head that was noted: it must be in the log, at its end or, if it has grown since, before
 * @param from the head before the first line, for a log whose older files are gone
 * @throws SecureWebSocketError `INVALID_ARGUMENT` (as a rejection) that names the first line that is wrong
 */
export async function verifyAuditLog(
  source: AsyncIterable<string> | readonly string[],
  expectedHead?: string,
  from?: string,
): Promise<VerifiedAuditLog> {
  const chain = new Chain(from === undefined ? undefined : checkHead(from));
  const expected = expectedHead === undefined ? undefined : checkHead(expectedHead);
  let isThere = expected === undefined || expected === chain.head;
  for await (const { line, place } of 'length' in source ? linesOfFiles(source) : numbered(source)) {
    chain.add(line, place);
    isThere ||= chain.head === expected;
  }
  chain.end();
  if (!isThere) {
    throw invalid(
      `The record with the expected head is not in the log, whose last is number ${chain.sequence - 1}: its end was removed.`,
    );
  }
  return { lines: chain.lines, head: chain.head, torn: chain.torn };
}

/** What is known after some lines of a log. */
class Chain {
  head: string;
  /** Of the next record. */
  sequence = 0;
  lines = 0;
  torn = 0;
  readonly #isLater: boolean;
  /** Lines that are no records, until one says what they are. */
  #pending: PlacedLine[] = [];
  #pendingBytes = 0;

  constructor(from: string | undefined) {
    this.head = from ?? NO_HEAD;
    this.#isLater = from !== undefined && from !== NO_HEAD;
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when the line cannot follow those before it */
  add(line: string, place: string): void {
    if (line.length > MAX_AUDIT_LINE) throw invalid(`${place} is longer than ${MAX_AUDIT_LINE} bytes.`);
    const record = readAuditLine(line);
    if (record !== undefined) this.#addRecord(record, place);
    else if (looksWhole(line))
      throw invalid(`${place} was changed: it does not have the hash that it names.`);
    else this.#addPending(line, place);
  }

  /** @throws SecureWebSocketError `INVALID_ARGUMENT` when the last line is not whole */
  end(): void {
    const [first] = this.#pending;
    if (first !== undefined)
      throw invalid(`${first.place} is not whole, and nothing follows that explains it.`);
  }

  #addRecord(record: AuditRecord, place: string): void {
    this.#settlePending(record, place);
    const isFirst = this.lines === 0;
    const expected = isFirst && this.#isLater ? record.sequence : this.sequence;
    if (record.sequence !== expected) {
      const why = isFirst
        ? 'the log does not begin here'
        : `number ${expected} should be there, so that lines were removed, added or moved`;
      throw invalid(`${place} is record number ${record.sequence}: ${why}.`);
    }
    if (record.previous !== this.head) {
      throw invalid(`${place} does not follow the line before it: lines were removed, added or moved.`);
    }
    this.head = record.hash;
    this.sequence = expected + 1;
    this.lines += 1;
  }

  #addPending(line: string, place: string): void {
    this.#pending.push({ line, place });
    this.#pendingBytes += line.length + 1;
    if (this.#pendingBytes > MAX_TORN)
      throw invalid(`${(this.#pending[0] as PlacedLine).place} is no record.`);
  }

  #settlePending({ event, torn }: AuditRecord, place: string): void {
    const [first] = this.#pending;
    if (first === undefined) {
      if (torn === undefined) return;
      throw invalid(`${place} names the beginning of a line before it, which was removed.`);
    }
    const found = describeTorn(Buffer.from(this.#pending.map(({ line }) => line).join('\n'), 'latin1'));
    if (event !== 'opened' || torn?.bytes !== found.bytes || torn.sha256 !== found.sha256) {
      throw invalid(`${first.place} is no whole record: it was changed or added.`);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    this.torn += 1;
  }
}

interface PlacedLine {
  readonly line: string;
  /** For people. */
  readonly place: string;
}

async function* numbered(lines: AsyncIterable<string>): AsyncIterable<PlacedLine> {
  let number = 0;
  for await (const line of lines) yield { line, place: `Line ${++number}` };
}

async function* linesOfFiles(files: readonly string[]): AsyncIterable<PlacedLine> {
  for (const file of files) {
    let number = 0;
    for await (const line of linesOf(file)) yield { line, place: `${file}, line ${++number},` };
  }
}

/** The lines of a file, of which none is kept that is far too long. */
async function* linesOf(file: string): AsyncIterable<string> {
  let rest = '';
  try {
    // Each byte is a character, so that two files with different bytes are never the same text.
    for await (const chunk of createReadStream(file, { encoding: 'latin1' }) as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() as string;
      yield* lines;
      if (rest.length > MAX_AUDIT_LINE) break;
    }
  } catch (error) {
    if (error instanceof SecureWebSocketError) throw error;
    throw new SecureWebSocketError('INVALID_ARGUMENT', `${file} cannot be read: ${describeError(error)}.`, {
      cause: error,
    });
  }
  if (rest !== '') yield rest;
}

function checkHead(head: string): string {
  const lower = head.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(lower)) return lower;
  throw invalid(`A head is 64 hex digits, not ${JSON.stringify(head.slice(0, 80))}.`);
}

function invalid(message: string): SecureWebSocketError {
  return new SecureWebSocketError('INVALID_ARGUMENT', message);
}
