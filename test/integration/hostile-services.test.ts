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

const { TEXT, BINARY, CONTINUATION, CLOSE, PING, CREDIT, OPEN, OPEN_ACCEPT, OPEN_REFUSE } = Opcode;
const { RESET, PROBE, PROBE_ANSWER, GAP, RESUME } = Opcode;

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
    service.record(
      what.map(each => inSession(each, service.sessionName)),
      { channelId, opener: false, ...changes },
    );
  };
  return { socket, log, service, says };
}

/** Stands for the name of the session in which the service was asked. */
const THIS_SESSION = 'the session there is';

/** `session`: how the service names the session in which it was asked. */
const accept = (protocol = '', window: unknown = RECEIVE_WINDOW, session: unknown = THIS_SESSION): Item =>
  item(OPEN_ACCEPT, JSON.stringify({ protocol, window, session }));

function inSession(each: Item, name: string): Item {
  if (each.opcode !== OPEN_ACCEPT) return each;
  return item(OPEN_ACCEPT, Buffer.from(each.payload).toString().replace(THIS_SESSION, name));
}

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
  ['no session', [accept('', RECEIVE_WINDOW, null)], 'RECORD_MALFORMED'],
  ['a session that is not this one', [accept('', RECEIVE_WINDOW, 'A'.repeat(22))], 'PROTOCOL_VIOLATION'],
  [
    'a time that is less than nothing',
    [item(OPEN_ACCEPT, JSON.stringify({ protocol: '', window: 0, session: THIS_SESSION, resume: -1 }))],
    'RECORD_MALFORMED',
  ],
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

/** A record outside of the sequence: the next one that the service will send has the number 1. */
const APART: Partial<RecordHeader> = { sequenced: false, sequence: 1 };

const MISDEEDS: [string, readonly Item[], Partial<RecordHeader>, string][] = [
  ['acknowledges what was never sent', [item(TEXT, 'x')], { acknowledgement: 9 }, 'PROTOCOL_VIOLATION'],
  ['sends data without a number', [item(TEXT, 'x')], { sequenced: false, sequence: 1 }, 'PROTOCOL_VIOLATION'],
  ['continues nothing', [item(CONTINUATION, 'x')], {}, 'PROTOCOL_VIOLATION'],
  ['sends tiny fragments', [item(BINARY, bytes(MIN_FRAGMENT - 1), false)], {}, 'PROTOCOL_VIOLATION'],
  ['grants no number of bytes', [item(CREDIT, bytes(3))], {}, 'PROTOCOL_VIOLATION'],
  ['sends a ping that is too long', [item(PING, bytes(126))], {}, 'PROTOCOL_VIOLATION'],
  ['asks with a number that is none', [item(PROBE, bytes(7))], APART, 'PROTOCOL_VIOLATION'],
  ['asks in a record with a number', [item(PROBE, bytes(8))], {}, 'PROTOCOL_VIOLATION'],
  ['answers a question in a record with data', [item(TEXT, 'x'), item(GAP)], {}, 'PROTOCOL_VIOLATION'],
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

  it('leaves a record out, is asked for it, and what lies beyond is not shown before', async () => {
    const { log, service, says } = await opened();
    says([item(TEXT, 'third')], { sequence: 3 });
    await service.next(GAP);
    says([item(TEXT, 'second')], { sequence: 2 });
    await service.next(GAP);
    for (const [index, text] of ['first', 'second', 'third'].entries())
      says([item(TEXT, text)], { sequence: index + 1 });
    expect(await log.messages.take(3)).toEqual(['first', 'second', 'third']);
    expect(log.entries).toEqual(['open', ...['first', 'second', 'third'].map(text => `message ${text}`)]);
  });

  it('repeats what was taken, with another content, changes nothing', async () => {
    const { log, says } = await opened();
    says([item(TEXT, 'said')]);
    says([item(TEXT, 'said otherwise')], { sequence: 1 });
    says([item(CLOSE, closePayload(4000))], { sequence: 1 });
    says([item(TEXT, 'behind it')]);
    expect(await log.messages.take(2)).toEqual(['said', 'behind it']);
    expect(log.entries).toEqual(['open', 'message said', 'message behind it']);
  });

  it('asks whether all has arrived, is answered with the same bytes', async () => {
    const { service, says } = await opened();
    says([item(PROBE, 'question')], APART);
    expect(await service.next(PROBE_ANSWER)).toBe('question');
  });

  it('reports gaps without end, does not make the client send everything again each time', async () => {
    const { socket, service, says } = await opened();
    service.acknowledges = false;
    socket.send('x'.repeat(50_000));
    await service.next(TEXT);
    for (let i = 0; i < 2_000; i++) says([item(GAP)], { ...APART, acknowledgement: 1 });
    says([item(PROBE, 'the last')], { ...APART, acknowledgement: 1 });
    let texts = 0;
    for (let answered = false; !answered;) {
      const { items } = await service.records.next();
      texts += items.filter(({ opcode }) => opcode === TEXT).length;
      answered = items.some(({ opcode }) => opcode === PROBE_ANSWER);
    }
    // Once in half a round trip, and that takes 20 ms at least.
    expect(texts).toBeGreaterThan(0);
    expect(texts).toBeLessThan(200);
  });

  it('answers questions that nobody asked, and resumes what nobody wants resumed, changes nothing', async () => {
    const { log, says, socket, service } = await opened();
    says([item(PROBE_ANSWER, bytes(8))], { ...APART, acknowledgement: 1 });
    says([item(RESUME, bytes(48))], { ...APART, acknowledgement: 1 });
    says([item(TEXT, 'hello')]);
    expect(await log.messages.next()).toBe('hello');
    socket.send('still here');
    expect(await service.next(TEXT)).toBe('still here');
    expect(log.entries).toEqual(['open', 'message hello']);
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
