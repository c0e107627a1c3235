import { createReadStream } from 'node:fs';
import { extname } from 'node:path';
import { describeError } from '../core/describe-error.js';
import { UsageError } from './exit-code.js';
import { shortened } from './quantity.js';
import type { Scalar } from './setting-kinds.js';

/** A file of settings is no larger, bytes. */
const MAX_BYTES = 1_048_576;
/** So much of what is wrong is told: more of it follows from the first. */
const MAX_SYNTAX_PROBLEMS = 3;
/** Collections in collections. Settings need two; the parser calls itself for each, and thousands would end the process. */
const MAX_DEPTH = 16;

/** One line of a file of settings: a name, and what stands behind it. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: Scalar | readonly Scalar[];
  /** From 1. */
  readonly line: number;
}

/** What a file of settings says, and what is wrong with it. */
export interface ConfigFile {
  readonly entries: readonly ConfigEntry[];
  /** Each begins with the path and the line. */
  readonly problems: readonly string[];
}

/**
 * Reads a file of settings: JSON or YAML, as its name says.
 * @throws UsageError (as a rejection) when it cannot be read
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const extension = extname(path).toLowerCase();
  if (!['.json', '.yaml', '.yml'].includes(extension))
    throw new UsageError(
      `The configuration file ${path} must end in .json, .yaml or .yml: that says what is in it.`,
    );
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readBytes(path));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const why = error instanceof TypeError ? 'it is not UTF-8' : describeError(error);
    throw new UsageError(`The configuration file ${path} cannot be read (${why}).`);
  }
  return parseConfig(text, path, extension === '.json');
}

/**
 * Settings in JSON or YAML (1.2): one mapping of names to values or lists of values. Anchors, aliases and tags are
 * refused: what looks short stays short. Never throws for what `text` is.
 */
export async function parseConfig(text: string, path: string, isJson: boolean): Promise<ConfigFile> {
  if (isJson) {
    try {
      JSON.parse(text);
    } catch (error) {
      return { entries: [], problems: [`${path} is no JSON: ${firstLine(error)}.`] };
    }
  }
  const { parseDocument, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter } = await import('yaml');
  if (isDeep(new Lexer().lex(text)))
    return {
      entries: [],
      problems: [`${path} holds lists in lists: a setting has one value, or a list of them.`],
    };
  const lineCounter = new LineCounter();
  const lineAt = (offset: number | undefined): number => Math.max(1, lineCounter.linePos(offset ?? 0).line);
  const problems: string[] = [];
  let document: ReturnType<typeof parseDocument>;
  try {
    // Keys are compared below: `uniqueKeys` compares each with each. Errors that are not pretty do not quote the text.
    document = parseDocument(text, {
      lineCounter,
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      logLevel: 'error',
      resolveKnownTags: false,
    });
  } catch (error) {
    return { entries: [], problems: [`${path} is no YAML: ${firstLine(error)}.`] };
  }
  for (const { pos, message } of [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_PROBLEMS))
    problems.push(`${path}:${lineAt(pos[0])}: ${firstLine(message)}.`);
  const { contents } = document;
  // Nothing, or comments only.
  const isNothing = contents === null || (isScalar(contents) && contents.value === null);
  if (problems.length > 0 || isNothing) return { entries: [], problems };
  if (!isMap(contents)) {
    problems.push(`${path} must be one mapping of names to values, such as "port: 8080".`);
    return { entries: [], problems };
  }

  const scalarOf = (node: unknown): Scalar | undefined => {
    if (!isScalar(node) || node.anchor !== undefined || node.tag !== undefined) return undefined;
    const { value } = node;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? value
      : undefined;
  };
  const entries: ConfigEntry[] = [];
  const lines = new Map<string, number>();
  for (const { key: keyNode, value: node } of contents.items) {
    const line = lineAt(isScalar(keyNode) ? keyNode.range?.[0] : undefined);
    const where = `${path}:${line}`;
    const key = scalarOf(keyNode);
    if (typeof key !== 'string') {
      problems.push(`${where}: a name must be plain text.`);
      continue;
    }
    const name = shortened(key);
    const before = lines.get(key);
    lines.set(key, line);
    const value =
      isSeq(node) && node.anchor === undefined && node.tag === undefined
        ? node.items.map(scalarOf)
        : scalarOf(node);
    if (before !== undefined) problems.push(`${where}: ${name} is there already, in line ${before}.`);
    else if (isAlias(node)) problems.push(`${where}: ${name} is an alias: write what it stands for.`);
    else if (value === undefined) problems.push(`${where}: ${name} must have one value, or a list of them.`);
    else if (!Array.isArray(value)) entries.push({ key, value: value, line });
    else if (value.includes(undefined)) problems.push(`${where}: ${name} must be a list of plain values.`);
    else entries.push({ key, value: value as readonly Scalar[], line });
  }
  return { entries, problems };
}

/** Whether the parser would have to go too deep: brackets, indicators on one line, or lines further and further in. */
function isDeep(lexemes: Iterable<string>): boolean {
  let brackets = 0;
  let indicators = 0;
  let isLineStart = true;
  let isScalar = false;
  const indents: number[] = [];
  for (const lexeme of lexemes) {
    // What follows is text, whatever it looks like.
    const isText = isScalar;
    isScalar = lexeme === SCALAR;
    if (isText) continue;
    if (lexeme === '[' || lexeme === '{') brackets++;
    else if (lexeme === ']' || lexeme === '}') brackets = Math.max(0, brackets - 1);
    else if (lexeme === '-' || lexeme === '?' || lexeme === ':') indicators++;
    else if (isLineStart && lexeme.startsWith(' ')) {
      while ((indents.at(-1) ?? -1) >= lexeme.length) indents.pop();
      indents.push(lexeme.length);
    } else if (isLineStart && brackets === 0 && !/^[#\r\n]/.test(lexeme)) indents.length = 0;
    isLineStart = lexeme.endsWith('\n');
    // Between brackets these nest nothing.
    if (isLineStart || brackets > 0) indicators = 0;
    if (brackets > MAX_DEPTH || indicators > MAX_DEPTH || indents.length > MAX_DEPTH) return true;
  }
  return false;
}

/** What the lexer gives before a plain scalar. */
const SCALAR = '\u001f';

async function readBytes(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // A file that says nothing of its size, such as a pipe, is bounded, too.
  for await (const chunk of createReadStream(path, { end: MAX_BYTES }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (length > MAX_BYTES)
    throw new UsageError(`The configuration file ${path} is larger than 1 MiB: it holds something else.`);
  return Buffer.concat(chunks);
}

/** What a parser says, without its final stop. It may quote what is in the file: no more than one line of it. */
function firstLine(error: unknown): string {
  const message =
    typeof error === 'string' ? error : error instanceof Error ? error.message : 'it cannot be read';
  return shortenedLine(message.split('\n')[0] ?? '');
}

function shortenedLine(line: string): string {
  const text = line.length > 200 ? `${line.slice(0, 199)}…` : line;
  return text.replace(/\.$/, '');
}
