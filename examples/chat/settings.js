// Settings of the two programs here: options, or the environment; `--help` lists them.
import { parseArgs } from 'node:util';

/**
 * What the options and the environment say, by name.
 *
 * @param program `{ usage, about, settings }`; each setting is `{ name, value, variable, help, fallback?, multiple? }`
 * @returns the values, or undefined when `--help` was asked for and shown
 */
export function readSettings(program, args = process.argv.slice(2), environment = process.env) {
  const options = { help: { type: 'boolean', short: 'h' } };
  for (const { name, multiple = false } of program.settings) options[name] = { type: 'string', multiple };
  let given;
  try {
    given = parseArgs({ args, options }).values;
  } catch (error) {
    fail(`${error.message}\n\n${helpOf(program)}`);
  }
  if (given.help) {
    console.log(helpOf(program));
    return undefined;
  }
  const values = {};
  for (const { name, variable, fallback, multiple } of program.settings) {
    const fromEnvironment = environment[variable] || undefined;
    values[name] = given[name] ?? (multiple ? fromEnvironment?.split(',') : fromEnvironment) ?? fallback;
  }
  return values;
}

/** A TCP port. 0: any that is free. */
export function portOf(name, value) {
  if (/^\d{1,5}$/.test(value) && Number(value) < 65_536) return Number(value);
  return fail(`--${name} is a port, 0 to 65535, not “${value}”.`);
}

/** The URL of a relay, without a slash at its end: ws:// or wss://. */
export function relayUrlOf(name, value) {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url && /^wss?:$/.test(url.protocol) && url.search === '' && url.hash === '')
    return url.href.replace(/\/$/, '');
  return fail(`--${name} is the URL of a relay, as wss://relay.example, not “${value}”.`);
}

/** A public key that may be given. */
export function keyOf(name, value) {
  if (value === undefined || /^[0-9a-f]{64}$/.test(value)) return value;
  return fail(`--${name} is a public key, 64 lowercase hex digits, not “${value}”.`);
}

/** URLs at which browsers find the page, if any are given. */
export function publicUrlsOf(name, values) {
  for (const value of values ?? []) {
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
      fail(`--${name} is where browsers find the page, as https://chat.example, not “${value}”.`);
    }
  }
  return values;
}

/** Says what is wrong, and ends. */
export function fail(message) {
  console.error(message);
  process.exit(2);
}

function helpOf({ usage, about, settings }) {
  const rows = settings.map(({ name, value, variable, help, fallback }) => {
    const end =
      fallback === undefined ? '' : ` Default: ${Array.isArray(fallback) ? fallback.join(',') : fallback}`;
    return `  --${name} ${value}\n      ${help}${end}\n      ${variable}`;
  });
  return `${about}\n\nUsage: ${usage}\n\n${rows.join('\n')}\n  --help, -h\n      Show this text.`;
}
