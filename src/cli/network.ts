import { networkInterfaces } from 'node:os';
import { readFile } from 'node:fs/promises';
import { describeError } from '../core/describe-error.js';
import { CommandError, ExitCode } from './exit-code.js';
import { type OptionSpecs, type OptionValues, toPublicKey } from './options.js';

/** The port of a relay and of a direct listener, unless something else is said. */
export const DEFAULT_PORT = 8080;

/** Options of everything that dials. */
export const DIAL_OPTIONS = {
  'server-key': {
    type: 'string',
    value: 'HEX',
    help: 'The public key that the server or relay must have. Any other ends the attempt.',
  },
  ca: {
    type: 'string',
    value: 'FILE',
    help: 'Certificates (PEM) to trust for wss://, instead of those that Node knows.',
  },
  'token-file': {
    type: 'string',
    value: 'FILE',
    help: 'A file with the token that the server or relay wants to see. It is read whenever one is needed.',
  },
} as const satisfies OptionSpecs;

/** What a link to a server or relay is made with, besides an identity. */
export interface DialSettings {
  /** Public key that the other side must have, in hex. */
  readonly serverKey: string | undefined;
  readonly tls: { readonly ca: string } | undefined;
  readonly token: (() => Promise<string>) | undefined;
}

/** @throws UsageError, CommandError (as a rejection) when a file cannot be read */
export async function dialSettings(values: OptionValues<typeof DIAL_OPTIONS>): Promise<DialSettings> {
  const pin = values['server-key'];
  const serverKey = pin === undefined ? undefined : toPublicKey(pin, '--server-key');
  return { serverKey, tls: await tlsOptions(values.ca), token: await tokenIn(values['token-file']) };
}

/** Options for `tls.connect`. @throws CommandError (as a rejection) when the file cannot be read */
async function tlsOptions(ca: string | undefined): Promise<{ ca: string } | undefined> {
  if (ca === undefined) return undefined;
  try {
    return { ca: await readFile(ca, 'utf8') };
  } catch (error) {
    throw new CommandError(`The certificates cannot be read (${describeError(error)}).`, {
      exitCode: ExitCode.USAGE,
    });
  }
}

/**
 * Where the token in `file` can be had: read again each time, as whoever renews tokens writes a new one.
 * @throws CommandError (as a rejection, of what is returned as well) when it cannot be read
 */
async function tokenIn(file: string | undefined): Promise<(() => Promise<string>) | undefined> {
  if (file === undefined) return undefined;
  const read = async (): Promise<string> => {
    try {
      return (await readFile(file, 'utf8')).trim();
    } catch (error) {
      throw new CommandError(`The token cannot be read (${describeError(error)}).`, {
        exitCode: ExitCode.USAGE,
      });
    }
  };
  await read();
  return read;
}

/** Why a port could not be listened at, for people. `option` begins the names of the options that say where. */
export function listenFailure(error: unknown, where: string, option = '--'): CommandError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return new CommandError(`Another program listens at ${where} already.`, {
      hint: `Choose another with ${option}port; 0 takes any that is free.`,
    });
  }
  if (code === 'EACCES') {
    return new CommandError(`This user may not listen at ${where}.`, {
      hint: `Choose a port above 1023 with ${option}port.`,
    });
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new CommandError(`This machine has no address ${where}.`, {
      hint: `Check ${option}host: it must be an address of this machine.`,
    });
  }
  return new CommandError(`Cannot listen at ${where} (${describeError(error)}).`);
}

/** The URLs of a server at all addresses of this machine, besides the one given: where others can dial it. */
export function otherUrls(url: string, host: string | undefined): string[] {
  if (host !== undefined && host !== '0.0.0.0' && host !== '::') return [];
  const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return addresses
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => url.replace('//localhost', `//${address}`));
}

/** An argument as a POSIX shell takes it. */
export function shellQuote(argument: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`;
}
