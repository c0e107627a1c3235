import { createHash } from 'node:crypto';

/** Bytes of a line, its end not included. What is longer is none. */
export const MAX_AUDIT_LINE = 8_192;

/** What the first record of a chain names as the one before. */
export const NO_HEAD = '0'.repeat(64);

/** The longest text in a record, characters. */
const MAX_TEXT = 300;

const HEX = /^[0-9a-f]{64}$/;
/** How every record ends, and no part of one. */
const ENDING = /,"hash":"([0-9a-f]{64})"\}$/;

export type AuditEvent =
  | 'opened'
  | 'closed'
  | 'lost'
  | 'suppressed'
  | 'registered'
  | 'disconnected'
  | 'refused'
  | 'limited'
  | 'space_refused'
  | 'reloaded'
  | 'administered'
  | 'state';

/** Where a record stands in its chain. */
export interface AuditRecord {
  readonly sequence: number;
  readonly event: string;
  readonly previous: string;
  readonly hash: string;
  /** Only in `opened`: what was found behind the last whole line when the log was opened. */
  readonly torn: TornEnd | undefined;
}

/** The beginning of a line that was being written when the process or the machine ended. */
export interface TornEnd {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * One line: `fields` between where it stands and how it is chained. Only ASCII, so that what a stranger has called
 * themselves does nothing to a terminal, and a line is a line for every program.
 */
export function auditLine(
  place: {
    readonly sequence: number;
    readonly time: string;
    readonly event: AuditEvent;
    readonly previous: string;
  },
  fields: object,
): { line: string; hash: string } {
  const { sequence, time, event, previous } = place;
  const body = ascii(JSON.stringify({ sequence, time, event, ...fields, previous }));
  const hash = sha256(body);
  return { line: `${body.slice(0, -1)},"hash":"${hash}"}`, hash };
}

/** What a line says, when its hash is the right one for all the rest of it; else undefined. */
export function readAuditLine(line: string): AuditRecord | undefined {
  if (line.length > MAX_AUDIT_LINE) return undefined;
  const ending = ENDING.exec(line);
  if (ending === null) return undefined;
  const hash = ending[1] as string;
  const body = `${line.slice(0, ending.index)}}`;
  if (sha256(body) !== hash) return undefined;
  const fields = parseObject(body);
  if (fields === undefined) return undefined;
  const { sequence, event, previous, torn } = fields;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) return undefined;
  if (typeof event !== 'string' || typeof previous !== 'string' || !HEX.test(previous)) return undefined;
  return { sequence, event, previous, hash, torn: tornEnd(torn) };
}

/** Whether `line` is whole. Only of one that is not can a crash be the cause; a whole one that is wrong was changed. */
export function looksWhole(line: string): boolean {
  return ENDING.test(line);
}

/** What a torn end is named as. */
export function describeTorn(text: Uint8Array): TornEnd {
  return { bytes: text.length, sha256: sha256(text) };
}

/** Text for a record: not too long, whoever gave it. */
export function auditText(text: string, max = MAX_TEXT): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function tornEnd(value: unknown): TornEnd | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { bytes, sha256 } = value as Partial<Record<keyof TornEnd, unknown>>;
  return typeof bytes === 'number' && typeof sha256 === 'string' ? { bytes, sha256 } : undefined;
}
