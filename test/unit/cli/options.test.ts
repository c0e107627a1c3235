import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/cli/exit-code.js';
import {
  checkPositionals,
  type OptionSpecs,
  parseOptions,
  scanOptions,
  toInteger,
  toPublicKey,
} from '../../../src/cli/options.js';

const SPECS = {
  identity: { type: 'string', short: 'i', value: 'FILE', help: '' },
  protocol: { type: 'string', value: 'NAME', multiple: true, help: '' },
  binary: { type: 'boolean', short: 'b', help: '' },
  once: { type: 'boolean', help: '' },
} as const satisfies OptionSpecs;

const parse = (...args: string[]) => parseOptions(SPECS, args);
const ADDRESS = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a';

describe('parseOptions', () => {
  it('gives every option a value', () => {
    expect(parse()).toEqual({
      values: { identity: undefined, protocol: [], binary: false, once: false },
      positionals: [],
    });
  });

  it('takes long and short options, values in both ways, and lists', () => {
    expect(parse('-bi', 'a.key', 'url', '--protocol', 'x', '--protocol=y')).toEqual({
      values: { identity: 'a.key', protocol: ['x', 'y'], binary: true, once: false },
      positionals: ['url'],
    });
    expect(parse('--identity=-odd-', '-').values.identity).toBe('-odd-');
    expect(parse('--identity', '-').values.identity).toBe('-');
    expect(parse('--', '--binary')).toMatchObject({ values: { binary: false }, positionals: ['--binary'] });
  });

  it.each([
    [['--ident', 'x'], 'Unknown option --ident. Did you mean --identity?'],
    [['--bynary'], 'Unknown option --bynary. Did you mean --binary?'],
    [['--colour'], 'Unknown option --colour.'],
    [['-x'], 'Unknown option -x.'],
    [['-bx'], 'Unknown option -x.'],
    [['--toString'], 'Unknown option --toString.'],
    [['--identity'], '--identity needs a value: --identity FILE.'],
    [['-i'], '-i needs a value: -i FILE.'],
    [
      ['--identity', '--binary'],
      '--identity needs a value: --identity FILE. To give one that begins with "-", write --identity=…',
    ],
    [['--identity='], 'The value of --identity is empty.'],
    [['--identity', ''], 'The value of --identity is empty.'],
    [['--identity', 'a', '-i', 'b'], '-i is given twice.'],
    [['--binary=yes'], '--binary takes no value.'],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(new UsageError(message));
  });

  it('refuses nothing of what two booleans say twice', () => {
    expect(parse('-b', '--binary').values.binary).toBe(true);
  });
});

describe('scanOptions', () => {
  const specs = {
    ...SPECS,
    shy: { type: 'boolean', negatable: true, help: '' },
  } as const satisfies OptionSpecs;

  it('tells what was given from what was not, and goes on after what is wrong', () => {
    expect(
      scanOptions(specs, [
        '--bad',
        'x',
        '-i',
        'a',
        '--protocol=p',
        '--protocol',
        'q',
        '--once=1',
        '-i=b',
        '-w',
      ]),
    ).toEqual({
      given: new Map<string, unknown>([
        ['identity', ['a']],
        ['protocol', ['p', 'q']],
      ]),
      positionals: ['x'],
      problems: [
        'Unknown option --bad.',
        '--once takes no value.',
        '-i is given twice.',
        'Unknown option -w.',
      ],
    });
  });

  it('takes the opposite of a boolean that has one; the last counts', () => {
    const shy = (...args: string[]) => scanOptions(specs, args).given.get('shy');
    expect([
      shy(),
      shy('--shy'),
      shy('--no-shy'),
      shy('--shy', '--no-shy'),
      shy('--no-shy', '--shy'),
    ]).toEqual([undefined, true, false, false, true]);
    expect(scanOptions(specs, ['--no-once', '--no-sky', '--shy=no', '--no-shy=x']).problems).toEqual([
      'Unknown option --no-once.',
      'Unknown option --no-sky. Did you mean --no-shy?',
      '--shy takes no value. --no-shy switches it off.',
      '--no-shy takes no value.',
    ]);
  });

  it('says what has become of an option that was there once', () => {
    expect(scanOptions(specs, ['--old'], new Map([['old', 'It is --once now.']])).problems).toEqual([
      'It is --once now.',
    ]);
  });

  it('leaves what parses to parseOptions, with all that is wrong in one error', () => {
    expect(() => parse('--bad', '--worse')).toThrow(
      new UsageError('Unknown option --bad.', 'Unknown option --worse.'),
    );
  });
});

describe('checkPositionals', () => {
  it('names what is missing, and what is too much', () => {
    checkPositionals(['a'], ['url'], 1);
    checkPositionals([], ['FILE'], 0);
    expect(() => {
      checkPositionals([], ['url'], 1);
    }).toThrow(new UsageError('The url is missing.'));
    expect(() => {
      checkPositionals(['a', 'b'], ['url'], 1);
    }).toThrow(new UsageError('Unexpected argument "b".'));
  });
});

describe('toInteger', () => {
  it('takes what is in the range', () => {
    expect(toInteger('0', '--port', 0, 65_535)).toBe(0);
    expect(toInteger('65535', '--port', 0, 65_535)).toBe(65_535);
  });

  it.each(['65536', '-1', '1.5', '1e3', '0x10', ' 1', '', 'http', '9'.repeat(400)])('refuses %j', text => {
    expect(() => toInteger(text, '--port', 0, 65_535)).toThrow(
      new UsageError(`--port must be a whole number from 0 to 65535, not "${text}".`),
    );
  });
});

describe('toPublicKey', () => {
  it('takes an address', () => {
    expect(toPublicKey(ADDRESS, '--allow')).toBe(ADDRESS);
  });

  it.each([
    [ADDRESS.slice(1), '--allow: An address is 64 hex characters, got 63 characters.'],
    [
      ADDRESS.toUpperCase(),
      '--allow: The character at position 4 of the address is uppercase; write it in lowercase.',
    ],
    ['0'.repeat(64), '--allow: The address is a point of low order: nothing can be encrypted to it.'],
  ])('says what is wrong with %j', (text, message) => {
    expect(() => toPublicKey(text, '--allow')).toThrow(new UsageError(message));
  });
});
