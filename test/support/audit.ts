import { readFile } from 'node:fs/promises';
import type { AuditSink } from '../../src/relay/relay-options.js';

export type AuditFields = Record<string, unknown>;

/** What a line of an audit log says. */
export function parse(line: string): AuditFields {
  return JSON.parse(line) as AuditFields;
}

export async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).trimEnd().split('\n');
}

export async function* stream(lines: readonly string[]): AsyncIterable<string> {
  yield* lines;
}

/** A sink in memory, that fails or waits when it is told to. */
export class MemorySink implements AuditSink {
  readonly lines: string[] = [];
  fails: Error | undefined;
  /** How often it was asked to write. */
  tries = 0;
  gate: Promise<void> | undefined;
  isClosed = false;

  async write(line: string): Promise<void> {
    this.tries += 1;
    await this.gate;
    if (this.fails) throw this.fails;
    this.lines.push(line);
  }

  close(): void {
    this.isClosed = true;
  }
}
