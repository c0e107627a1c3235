import type { RelayOptions } from '../relay/relay.js';
import type { Kind } from './setting-kinds.js';

/** Begins the names of environment variables. */
export const VARIABLE_PREFIX = 'SECURE_WEBSOCKET_';

/** Under which headings settings are listed. */
export const GROUPS = {
  network: 'Network',
  tls: 'TLS',
  identity: 'Identity',
  admission: 'Admission: who is let in',
  reach: 'Reach: who may reach whom',
  spaces: 'Spaces: encrypted rooms',
  limits: 'Limits',
  observability: 'Observability',
  restart: 'Restart',
} as const;
export type Group = keyof typeof GROUPS;

/** Options that hold what is no data: they exist in code only. */
type CodeOnly = 'identity' | 'keyStore' | 'server' | 'clientAddress' | 'onEnvelope' | 'onSpace';

type PathAt<Name extends string, Value> = Value extends string | number | boolean | readonly string[]
  ? Name
  : Value extends (...args: never[]) => unknown
    ? never
    : Value extends object
      ? `${Name}.${PathIn<Value>}`
      : never;
type PathIn<Options> = {
  [Name in keyof Options & string]-?: PathAt<Name, NonNullable<Options[Name]>>;
}[keyof Options & string];

/** Every option of a relay that is data: `maxFrame`, `admission.jwt.issuer`. */
export type OptionPath = PathIn<Omit<RelayOptions, CodeOnly>>;

/**
 * One thing that can be set: on the command line as `--name`, in the environment as `SECURE_WEBSOCKET_NAME`, in a file
 * as `name`.
 */
export interface Setting {
  /** In kebab-case. */
  readonly name: string;
  readonly group: Group;
  readonly kind: Kind;
  /** Several values: the flag is repeated; in the environment commas are between them; in a file it is an array. */
  readonly isList?: boolean;
  /** One letter. */
  readonly short?: string;
  /** What it is when it is not given, for people. */
  readonly fallback: string;
  /** One sentence or two. */
  readonly help: string;
  /** The option of `Relay` that it becomes. */
  readonly option?: OptionPath;
  /** The option becomes what is in the file: a secret. */
  readonly isSecretFile?: boolean;
  /** It says nothing unless one of these is given, too. */
  readonly needs?: readonly string[];
}

/** `max-frame` → `SECURE_WEBSOCKET_MAX_FRAME`. */
export function variableOf(name: string): string {
  return VARIABLE_PREFIX + name.toUpperCase().replaceAll('-', '_');
}
