import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CONNECT_TIMEOUT, MIN_FRAGMENT, RECEIVE_WINDOW } from '../../src/core/constants.js';
import { Identity } from '../../src/core/identity.js';
import { type Item, Opcode, type RecordHeader } from '../../src/core/record.js';
import { Relay } from '../../src/relay/relay.js';
import { ClientSecureWebSocket } from '../../src/socket/client-secure-web-socket.js';
import { anyServer } from '../support/attacked.js';
import { closePayload, item, ModifiedClient } from '../support/modified-client.js';
import { failedWith, SocketLog } from '../support/socket-log.js';

let relay: Relay;
const cleanUp: (() => void)[] = [];

beforeEach(async () => {
  relay = new Relay({ port: 0, host: '127.0.0.1', identity: Identity.generate() });
  await relay.listen();
});

afterEach(async () => {
  vi.useRealTimers();
  for (const step of cleanUp.splice(0)) step();
  await relay.close();
});

const { TEXT, BINARY, CONTINUATION, CLOSE, PING, CREDIT, RESET, OPEN, OPEN_ACCEPT, OPEN_REFUSE } = Opcode;

/** The service's end of what the client opened. */
interface Asked {
  readonly socket: ClientSecureWebSocket;
  readonly log: SocketLog;
  readonly service: ModifiedClient;
  /** Sends a record of the channel that the client asks for. */
  readonly says: (items: readonly Item[], changes?: Partial<RecordHeader>) => void;
}

/** A client that waits for an answer to its OPEN. */
async function asked(protocols: string[] = []): Promise<Asked> {
  const listener = await ModifiedClient.listen(relay.url);
  const identity = Identity.generate();
  const url = `${relay.url}/${listener.publicKey}`;
  const socket = new ClientSecureWebSocket(url, protocols, { identity, trustStore: anyServer });
  const log = SocketLog.ofClient(socket);
  const service = await listener.next();
  cleanUp.push(() => {
    socket.close();
    service.ws.terminate();
  });
  const { header, items } = await service.records.next();
  expect(items.map(({ opcode }) => opcode)).toEqual([OPEN]);
  const { channelId } = header;
  const says = (what: readonly Item[], changes: Partial<RecordHeader> = {}): void => {
    service.record(what, { channelId, opener: false, acknowledgement: 1, ...changes });
  };
  return { socket, log, service, says };
}

const accept = (protocol = '', window: unknown = RECEIVE_WINDOW): Item =>
  item(OPEN_ACCEPT, JSON.stringify({ protocol, window }));

async function opened(): Promise<Asked> {
  const it = await asked();
  it.says([accept()]);
  await it.log.opened;
  return it;
}

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);

/** What a service can say instead of OPEN_ACCEPT. */
const ANSWERS: [string, readonly Item[], string][] = [
  ['no JSON', [item(OPEN_ACCEPT, '{')], 'RECORD_MALFORMED'],
  ['a subprotocol that is none', [accept('a b')], 'RECORD_MALFORMED'],
  ['no window', [item(OPEN_ACCEPT, '{"protocol":""}')], 'RECORD_MALFORMED'],
  ['a window of less than nothing', [accept('', -1)], 'RECORD_MALFORMED'],
  ['a refusal that is none', [item(OPEN_REFUSE, '{}')], 'RECORD_MALFORMED'],
  ['far too much', [item(OPEN_ACCEPT, JSON.stringify({ x: 'x'.repeat(20_000) }))], 'RECORD_MALFORMED'],
  ['a message', [item(TEXT, 'hello')], 'PROTOCOL_VIOLATION'],
  ['a close', [item(CLOSE, closePayload(1000))], 'PROTOCOL_VIOLATION'],
  ['a ping', [item(PING)], 'PROTOCOL_VIOLATION'],
  ['an OPEN of its own', [item(OPEN, '{"target":"/","protocols":[],"window":0}')], 'PROTOCOL_VIOLATION'],
  ['two acceptances', [accept(), accept()], 'PROTOCOL_VIOLATION'],
  [
    'an acceptance and a refusal',
    [accept(), item(OPEN_REFUSE, '{"status":1,"reason":""}')],
    'PROTOCOL_VIOLATION',
  ],
];

describe('a client whose OPEN a service answers', () => {
  it.each(ANSWERS)('with %s, fails', async (_name, items, code) => {
    const { log, service, says } = await asked();
    says(items);
    expect((await log.closed).filter(entry => entry !== 'open')).toEqual(failedWith(code));
    expect(await service.next(RESET)).toBe(code);
  });

  it('with a subprotocol that it did not offer, or none of those, fails', async () => {
    for (const [offered, chosen] of [
      [[], 'a'],
      [['a', 'b'], 'c'],
      [['a', 'b'], ''],
    ] as [string[], string][]) {
      const { log, says } = await asked(offered);
      says([accept(chosen)]);
      expect(await log.closed).toEqual(failedWith('PROTOCOL_NOT_OFFERED'));
    }
  });

  it('with a refusal, says why, and nothing that a terminal would obey', async () => {
    const { log, says } = await asked();
    says([
      item(OPEN_REFUSE, JSON.stringify({ status: 403, reason: `no\u001b[2J\u0007${'x'.repeat(5_000)}` })),
    ]);
    expect(await log.closed).toEqual(failedWith('CHANNEL_REFUSED'));
    const { message } = log.error as Error;
    expect(message).toContain('403');
    expect(message.length).toBeLessThan(400);
    expect(message).not.toMatch(/\p{Cc}/u);
  });

  it('not at all, gives up in time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { log } = await asked();
    vi.advanceTimersByTime(CONNECT_TIMEOUT);
    expect(await log.closed).toEqual(failedWith('SESSION_TIMEOUT'));
  });

  it('with an acceptance of what nobody asked for, and then its own, is open', async () => {
    const { log, says } = await asked();
    says([accept()], { channelId: 4_711 });
    says([item(TEXT, 'into nothing')], { channelId: 4_712 });
    says([accept()]);
    says([item(TEXT, 'hello')]);
    expect(await log.messages.next()).toBe('hello');
    expect(log.entries).toEqual(['open', 'message hello']);
  });
});

const MISDEEDS: [string, readonly Item[], Partial<RecordHeader>, string][] = [
  ['leaves a record out', [item(TEXT, 'x')], { sequence: 9 }, 'RECORD_GAP'],
  ['acknowledges what was never sent', [item(TEXT, 'x')], { acknowledgement: 9 }, 'PROTOCOL_VIOLATION'],
  ['sends data without a number', [item(TEXT, 'x')], { sequenced: false, sequence: 1 }, 'PROTOCOL_VIOLATION'],
  ['continues nothing', [item(CONTINUATION, 'x')], {}, 'PROTOCOL_VIOLATION'],
  ['sends tiny fragments', [item(BINARY, bytes(MIN_FRAGMENT - 1), false)], {}, 'PROTOCOL_VIOLATION'],
  ['grants no number of bytes', [item(CREDIT, bytes(3))], {}, 'PROTOCOL_VIOLATION'],
  ['sends a ping that is too long', [item(PING, bytes(126))], {}, 'PROTOCOL_VIOLATION'],
  ['closes with 1006', [item(CLOSE, closePayload(1006))], {}, 'PROTOCOL_VIOLATION'],
  ['closes with half a code', [item(CLOSE, bytes(1))], {}, 'PROTOCOL_VIOLATION'],
  ['sends an item of no kind', [{ ...item(TEXT), opcode: 0x0f as Opcode }], {}, 'RECORD_MALFORMED'],
  [
    'sends text that is not UTF-8',
    [item(TEXT, Uint8Array.of(0xff)), item(TEXT, 'behind it')],
    {},
    'INVALID_UTF8',
  ],
];

describe('a client whose service', () => {
  it.each(MISDEEDS)('%s, fails', async (_name, items, changes, code) => {
    const { log, says } = await opened();
    says(items, changes);
    expect(await log.closed).toEqual(['open', ...failedWith(code)]);
  });

  it('resets the channel, fails, and shows nothing that a terminal would obey', async () => {
    for (const reason of ['', 'ANY_CODE', '\u001b[2J', Uint8Array.of(0xff), bytes(60_000)]) {
      const { log, says } = await opened();
      says([item(RESET, reason)], { sequenced: false, sequence: 1 });
      expect(await log.closed).toEqual(['open', ...failedWith('CHANNEL_RESET')]);
      expect((log.error as Error).message).toMatch(/^[ -~]{1,200}$/);
    }
  });

  it('opens channels to it, refuses: it does not listen', async () => {
    const { service, log, says } = await opened();
    service.ask(9);
    expect(JSON.parse(await service.next(OPEN_REFUSE))).toMatchObject({ status: 404 });
    says([item(TEXT, 'hello')]);
    expect(await log.messages.next()).toBe('hello');
  });

  it('says more after CLOSE, has had its last word', async () => {
    const { log, service, says } = await opened();
    says([item(TEXT, 'before'), item(CLOSE, closePayload(4000, 'bye'))]);
    says([item(TEXT, 'after')]);
    expect(await service.next(CLOSE)).toBe(Buffer.from(closePayload(4000, 'bye')).toString());
    expect(await log.closed).toEqual(['open', 'message before', 'close 4000 clean']);
  });
});
