import { afterEach, describe, expect, it } from 'vitest';
import { writeUint64 } from '../../src/core/bytes.js';
import {
  DEFAULT_MAX_FRAME,
  ITEM_OVERHEAD,
  MAX_CHANNELS_PER_PEER,
  MAX_OPEN_PAYLOAD,
  MAX_RECORD_ITEMS,
  MAX_UNACKNOWLEDGED_BYTES,
  MIN_FRAGMENT,
  RECEIVE_WINDOW,
} from '../../src/core/constants.js';
import { type Item, Opcode, RECORD_HEADER_LENGTH, type RecordHeader } from '../../src/core/record.js';
import type { LoggedServer } from '../support/attacked.js';
import { closePayload, item, type ModifiedClient } from '../support/modified-client.js';
import { failedWith } from '../support/socket-log.js';
import { directVictim, relayedVictim, type Victim, type VictimOptions } from '../support/victims.js';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

type Start = (options?: VictimOptions) => Promise<Victim>;
const VICTIMS: [string, Start][] = [
  ['a service that is dialled itself', directVictim],
  ['a service behind a relay', relayedVictim],
];

async function victimOf(start: Start, options?: VictimOptions): Promise<Victim> {
  const victim = await start(options);
  cleanUp.push(() => victim.close());
  return victim;
}

/** Waits for what takes its time on a busy machine. */
const eventually = <Value>(look: () => Value): ReturnType<typeof expect.poll<Value>> =>
  expect.poll(look, { timeout: 15_000, interval: 10 });

/** A hostile client that has a channel, and the service's end of it. */
async function opened(victim: Victim): Promise<{ client: ModifiedClient; service: LoggedServer }> {
  const client = await victim.modified();
  await client.open();
  return { client, service: await victim.connections.next() };
}

/** A record outside of the sequence: the next one that the client will send has the number 1. */
const APART: Partial<RecordHeader> = { sequenced: false, sequence: 1 };

const { PROBE, PROBE_ANSWER, GAP } = Opcode;
const { TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, CREDIT, RESET, OPEN, OPEN_ACCEPT, OPEN_REFUSE } =
  Opcode;

const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);

function uint64(value: number): Uint8Array {
  const field = new Uint8Array(8);
  writeUint64(field, 0, value);
  return field;
}

type Misdeed = [string, (client: ModifiedClient) => void, string];

const does =
  (items: readonly Item[], changes?: Partial<RecordHeader>) =>
  (client: ModifiedClient): void => {
    client.record(items, changes);
  };

/** What ends the channel, with the error that the service is told of. The client is told of it by RESET. */
const MISDEEDS: Misdeed[] = [
  ['opens it twice', does([item(OPEN, '{"target":"/","protocols":[],"window":0}')]), 'PROTOCOL_VIOLATION'],
  ['accepts what it opened', does([item(OPEN_ACCEPT, '{"protocol":"","window":0}')]), 'PROTOCOL_VIOLATION'],
  ['refuses what it opened', does([item(OPEN_REFUSE, '{"status":1,"reason":""}')]), 'PROTOCOL_VIOLATION'],
  ['acknowledges what was never sent', does([item(TEXT, 'x')], { acknowledgement: 9 }), 'PROTOCOL_VIOLATION'],
  [
    'sends data without a number',
    does([item(TEXT, 'x')], { sequenced: false, sequence: 1 }),
    'PROTOCOL_VIOLATION',
  ],
  ['asks in seven bytes', does([item(PROBE, bytes(7))], APART), 'PROTOCOL_VIOLATION'],
  ['asks in a record with a number', does([item(PROBE, bytes(8))]), 'PROTOCOL_VIOLATION'],
  ['mixes reports and data', does([item(TEXT, 'x'), item(GAP)]), 'PROTOCOL_VIOLATION'],
  ['closes outside of the sequence', does([item(CLOSE)], APART), 'PROTOCOL_VIOLATION'],
  ['continues nothing', does([item(CONTINUATION, 'x')]), 'PROTOCOL_VIOLATION'],
  [
    'begins a message inside another',
    does([item(TEXT, bytes(MIN_FRAGMENT), false), item(TEXT, 'x')]),
    'PROTOCOL_VIOLATION',
  ],
  ['sends a tiny fragment', does([item(BINARY, bytes(MIN_FRAGMENT - 1), false)]), 'PROTOCOL_VIOLATION'],
  [
    'sends tiny fragments later',
    does([item(BINARY, bytes(MIN_FRAGMENT), false), item(CONTINUATION, bytes(1), false)]),
    'PROTOCOL_VIOLATION',
  ],
  [
    'sends empty fragments',
    does([item(BINARY, '', false), item(CONTINUATION, '', false)]),
    'PROTOCOL_VIOLATION',
  ],
  ['fragments a ping', does([item(PING, 'x', false)]), 'PROTOCOL_VIOLATION'],
  ['sends a ping that is too long', does([item(PING, bytes(126))]), 'PROTOCOL_VIOLATION'],
  ['sends a pong that is too long', does([item(PONG, bytes(126))]), 'PROTOCOL_VIOLATION'],
  ['grants credit in seven bytes', does([item(CREDIT, bytes(7))]), 'PROTOCOL_VIOLATION'],
  [
    'grants more credit than there are numbers',
    does([item(CREDIT, bytes(8).fill(255))]),
    'PROTOCOL_VIOLATION',
  ],
  [
    'sends more items than a record may have',
    does(Array.from({ length: MAX_RECORD_ITEMS + 1 }, () => item(PONG))),
    'RECORD_MALFORMED',
  ],
  ['sends an item of no kind', does([{ ...item(TEXT), opcode: 0x0f as Opcode }]), 'RECORD_MALFORMED'],
  ['closes with one byte', does([item(CLOSE, bytes(1))]), 'PROTOCOL_VIOLATION'],
  ['closes with 1005', does([item(CLOSE, closePayload(1005))]), 'PROTOCOL_VIOLATION'],
  ['closes with 1006', does([item(CLOSE, closePayload(1006))]), 'PROTOCOL_VIOLATION'],
  ['closes with 999', does([item(CLOSE, closePayload(999))]), 'PROTOCOL_VIOLATION'],
  ['closes with 5000', does([item(CLOSE, closePayload(5000))]), 'PROTOCOL_VIOLATION'],
  [
    'closes with a reason that is too long',
    does([item(CLOSE, closePayload(1000, bytes(124)))]),
    'PROTOCOL_VIOLATION',
  ],
  [
    'closes with a reason that is no text',
    does([item(CLOSE, closePayload(1000, Uint8Array.of(0xff)))]),
    'PROTOCOL_VIOLATION',
  ],
  ['closes in fragments', does([item(CLOSE, closePayload(1000), false)]), 'PROTOCOL_VIOLATION'],
];

describe.each(VICTIMS)('%s serves others while a client', (_, start) => {
  it('breaks a rule, whichever it is', { timeout: 20_000 }, async () => {
    const victim = await victimOf(start);
    for (const [name, act, code] of MISDEEDS) {
      const { client, service } = await opened(victim);
      act(client);
      expect([name, ...(await service.log.closed)]).toEqual([name, 'open', ...failedWith(code)]);
      expect([name, await client.next(RESET)]).toEqual([name, code]);
      client.ws.terminate();
    }
    await victim.serves();
    await eventually(() => victim.service.clients.size).toBe(1);
  });

  it('sends records whose header is none', async () => {
    const victim = await victimOf(start);
    for (const plaintext of [
      bytes(1),
      bytes(RECORD_HEADER_LENGTH - 1),
      new Uint8Array(RECORD_HEADER_LENGTH).fill(0xff),
      Uint8Array.of(0, 0, 0, 1, 0x04, ...new Uint8Array(16)),
    ]) {
      const { client, service } = await opened(victim);
      client.seal(plaintext);
      expect(await service.log.closed).toEqual(['open', ...failedWith('RECORD_MALFORMED')]);
    }
    await victim.serves();
  });

  it('sends more than it has credit for, to somebody who does not read', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    service.socket.pause();
    const cost = 65_536 + ITEM_OVERHEAD;
    const within = Math.floor(RECEIVE_WINDOW / cost);
    for (let i = 0; i < within; i++) client.record([item(BINARY, bytes(65_536))]);
    await victim.serves();
    expect(service.log.entries).toEqual(['open']);
    client.record([item(BINARY, bytes(65_536))]);
    expect(await client.next(RESET)).toBe('FLOW_CONTROL');
    await victim.serves();
    // What it had credit for is still there to be read.
    expect(service.log.entries).toEqual(['open']);
    service.socket.resume();
    const entries = await service.log.closed;
    expect(entries.slice(1, -2)).toEqual(Array(within).fill(`message ${'07'.repeat(65_536)}`));
    expect(entries.slice(-2)).toEqual(failedWith('FLOW_CONTROL'));
  });

  it('sends more empty messages than it has credit for, to somebody who does not read', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    service.socket.pause();
    const empty = Array.from({ length: MAX_RECORD_ITEMS }, () => item(BINARY));
    for (let i = 0; i <= RECEIVE_WINDOW / ITEM_OVERHEAD / MAX_RECORD_ITEMS; i++) client.record(empty);
    expect(await client.next(RESET)).toBe('FLOW_CONTROL');
    expect(service.log.entries).toEqual(['open']);
    // Nobody ever reads them.
    service.socket.terminate();
    expect(await service.log.closed).toEqual(['open', ...failedWith('FLOW_CONTROL')]);
    await victim.serves();
  });

  it('sends a message that never ends', async () => {
    const victim = await victimOf(start, { maxPayload: 1_000_000 });
    const { client, service } = await opened(victim);
    client.record([item(TEXT, bytes(200_000), false)]);
    for (let i = 0; i < 5; i++) client.record([item(CONTINUATION, bytes(200_000), false)]);
    expect(await service.log.closed).toEqual(['open', ...failedWith('MESSAGE_TOO_LARGE')]);
    expect(await client.next(CLOSE)).toBe(Buffer.from(closePayload(1009)).toString());
    await victim.serves();
  });

  it('sends text that is not UTF-8', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    client.record([item(TEXT, 'fine'), item(TEXT, Uint8Array.of(0xc3, 0x28)), item(TEXT, 'not delivered')]);
    expect(await client.next(CLOSE)).toBe(Buffer.from(closePayload(1007)).toString());
    client.record([item(CLOSE, closePayload(1007))]);
    expect(await service.log.closed).toEqual(['open', 'message fine', ...failedWith('INVALID_UTF8')]);
    await victim.serves();
  });

  it('sends pings without end: they are answered, not one by one', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    let pings = 0;
    service.socket.on('ping', () => (pings += 1));
    const many = Array.from({ length: MAX_RECORD_ITEMS - 1 }, () => item(PING, 'x'));
    for (let i = 0; i < 10; i++) client.record([...many, item(PING, `last ${i}`)]);
    let answers = 1;
    while ((await client.next(PONG)) !== 'last 9') answers += 1;
    expect(pings).toBe(10 * MAX_RECORD_ITEMS);
    expect(answers).toBeLessThanOrEqual(10);
    await victim.serves();
    expect(service.log.entries).toEqual(['open']);
  });

  it('asks without end whether all has arrived: it is answered, not each time', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    const questions = Array.from({ length: MAX_RECORD_ITEMS }, () => item(PROBE, bytes(8)));
    for (let i = 0; i < 10; i++) client.record([...questions.slice(1), item(PROBE, `number ${i}`)], APART);
    let answers = 1;
    while ((await client.next(PROBE_ANSWER)) !== 'number 9') answers += 1;
    expect(answers).toBeLessThanOrEqual(10);
    await victim.serves();
    expect(service.log.entries).toEqual(['open']);
  });

  it('leaves records out: it is asked for them, and nothing is shown out of turn', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    // Numbers that rise are one flight: one report is enough.
    for (let sequence = 3; sequence < 1_000; sequence++) client.record([item(TEXT, 'x')], { sequence });
    client.record([item(PROBE, 'question')], APART);
    await client.next(GAP);
    await client.next(PROBE_ANSWER);
    expect(client.records.pending).toEqual([]);
    await victim.serves();
    expect(service.log.entries).toEqual(['open']);
    for (const text of ['first', 'second', 'third']) client.record([item(TEXT, text)]);
    expect(await service.log.messages.take(3)).toEqual(['first', 'second', 'third']);
  });

  it('repeats what was taken, with another content: nothing changes', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    client.record([item(TEXT, 'said')]);
    for (const items of [
      [item(TEXT, 'said otherwise')],
      [item(CLOSE, closePayload(4000))],
      [item(OPEN, '{}')],
    ])
      client.record(items, { sequence: 1 });
    client.record([item(TEXT, 'behind it')]);
    expect(await service.log.messages.take(2)).toEqual(['said', 'behind it']);
    expect(service.log.entries).toEqual(['open', 'message said', 'message behind it']);
  });

  it('grants all the credit there is, and acknowledges nothing: no more is kept for it than there is room for', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    client.acknowledges = false;
    client.record([item(CREDIT, uint64(2 ** 40))], { acknowledgement: 1 });
    const length = 65_536;
    const count = 200;
    for (let i = 0; i < count; i++) service.socket.send(bytes(length));
    let came = 0;
    let last = 0;
    const receive = async (enough: () => boolean): Promise<void> => {
      while (!enough()) {
        const { header, items } = await client.records.next();
        for (const { opcode, payload } of items)
          if (opcode === BINARY || opcode === CONTINUATION) came += payload.length;
        if (header.sequenced) last = Math.max(last, header.sequence);
      }
    };
    await receive(() => came > MAX_UNACKNOWLEDGED_BYTES - DEFAULT_MAX_FRAME);
    await victim.serves();
    while (client.records.pending.length > 0) await receive(() => client.records.pending.length === 0);
    expect(came).toBeLessThan(MAX_UNACKNOWLEDGED_BYTES + DEFAULT_MAX_FRAME);
    expect(service.socket.bufferedAmount).toBe(count * length - came);
    expect(service.log.entries).toEqual(['open']);
    // It was only late.
    while (came < count * length) {
      client.record([], { ...APART, acknowledgement: last + 1 });
      const before = last;
      await receive(() => last > before);
    }
    expect(came).toBe(count * length);
  });

  it('vanishes, and what it said before is read later, or never', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    for (const reads of [true, false]) {
      const { client, service } = await opened(victim);
      service.socket.pause();
      client.record([item(TEXT, 'last words')]);
      client.record([item(PROBE, 'question')], APART);
      await client.next(PROBE_ANSWER);
      client.ws.terminate();
      await eventually(() => victim.sockets.size).toBe(before);
      await victim.serves();
      expect(service.log.entries).toEqual(['open']);
      if (reads) service.socket.resume();
      else service.socket.terminate();
      const heard = reads ? ['message last words'] : [];
      expect(await service.log.closed).toEqual(['open', ...heard, 'close 1006']);
    }
    await victim.serves();
  });

  it('takes credit back, or grants what it granted: nothing changes', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    for (const limit of [0, 1, RECEIVE_WINDOW]) client.record([item(CREDIT, uint64(limit))]);
    client.record([item(TEXT, 'still here')]);
    expect(await service.log.messages.next()).toBe('still here');
    service.socket.send('so am I');
    expect(await client.next(TEXT)).toBe('so am I');
  });

  it('closes, and says more', async () => {
    const victim = await victimOf(start);
    const { client, service } = await opened(victim);
    service.socket.pause();
    // What came before it is still to be read, so the channel is still there.
    client.record([item(TEXT, 'before')]);
    client.record([item(CLOSE, closePayload(4000, 'bye'))]);
    expect(await client.next(CLOSE)).toBe(Buffer.from(closePayload(4000, 'bye')).toString());
    client.record([item(TEXT, 'after')]);
    expect(await client.next(RESET)).toBe('PROTOCOL_VIOLATION');
    service.socket.resume();
    expect(await service.log.closed).toEqual(['open', 'message before', 'close 4000 clean']);
    await victim.serves();
  });

  it('closes in any way that is allowed', async () => {
    const victim = await victimOf(start);
    for (const code of [1000, 1001, 1011, 3000, 4999, undefined]) {
      const { client, service } = await opened(victim);
      const payload = code === undefined ? new Uint8Array(0) : closePayload(code, 'why');
      client.record([item(CLOSE, payload)]);
      expect(await client.next(CLOSE)).toBe(Buffer.from(payload).toString());
      expect(await service.log.closed).toEqual(['open', `close ${code ?? 1005} clean`]);
      client.ws.terminate();
    }
    await victim.serves();
  });

  it('resets its channel, with or without a reason that can be shown', async () => {
    const victim = await victimOf(start);
    for (const reason of ['', 'PROTOCOL_VIOLATION', '\u001b[2J', Uint8Array.of(0xff), bytes(60_000)]) {
      const { client, service } = await opened(victim);
      client.record([item(RESET, reason)], { sequenced: false, sequence: 1 });
      expect(await service.log.closed).toEqual(['open', 'close 1006']);
      expect(service.socket.failure?.code).toBe('CHANNEL_RESET');
      expect(service.socket.failure?.message).toMatch(/^[ -~]{1,200}$/);
    }
    await victim.serves();
  });

  it('vanishes, with a channel, or while it asks for one', async () => {
    const victim = await victimOf(start);
    const before = victim.sockets.size;
    for (let i = 0; i < 5; i++) {
      const { client, service } = await opened(victim);
      client.record([item(TEXT, bytes(MIN_FRAGMENT), false)]);
      client.ws.terminate();
      expect((await service.log.closed).at(-1)).toBe('close 1006');
      const asking = await victim.modified();
      asking.ask();
      asking.ws.terminate();
    }
    await eventually(() => victim.sockets.size).toBe(before);
    await eventually(() => victim.service.clients.size).toBe(1);
    await victim.serves();
  });

  it('asks for a channel as nobody should', async () => {
    const victim = await victimOf(start);
    const open = (parameters: object): Item =>
      item(OPEN, JSON.stringify({ target: '/', protocols: [], window: 0, ...parameters }));
    const asks: [string, Item[], string][] = [
      ['no JSON', [item(OPEN, '{')], 'RECORD_MALFORMED'],
      ['a list', [item(OPEN, '[]')], 'RECORD_MALFORMED'],
      ['null', [item(OPEN, 'null')], 'RECORD_MALFORMED'],
      ['deep JSON', [item(OPEN, '['.repeat(10_000))], 'RECORD_MALFORMED'],
      ['bytes', [item(OPEN, Uint8Array.of(0xff, 0xfe))], 'RECORD_MALFORMED'],
      ['no target', [open({ target: undefined })], 'RECORD_MALFORMED'],
      ['a target elsewhere', [open({ target: 'http://evil.example/' })], 'RECORD_MALFORMED'],
      ['protocols that are none', [open({ protocols: ['a b'] })], 'RECORD_MALFORMED'],
      ['a protocol that is no list', [open({ protocols: 'a' })], 'RECORD_MALFORMED'],
      ['an origin that is no text', [open({ origin: {} })], 'RECORD_MALFORMED'],
      ['a window that is less than nothing', [open({ window: -1 })], 'RECORD_MALFORMED'],
      ['a window beyond all numbers', [open({ window: 1e300 })], 'RECORD_MALFORMED'],
      ['far too much', [open({ target: `/${'x'.repeat(MAX_OPEN_PAYLOAD)}` })], 'RECORD_MALFORMED'],
      ['data behind it', [open({}), item(TEXT, 'x')], 'PROTOCOL_VIOLATION'],
      ['nothing', [item(TEXT, 'x')], 'CHANNEL_RESET'],
    ];
    for (const [name, items, code] of asks) {
      const client = await victim.modified();
      client.record(items);
      expect([name, await client.next(RESET)]).toEqual([name, code]);
      // It may try again.
      client.ask(2);
      await client.next(OPEN_ACCEPT);
      client.ws.terminate();
    }
    expect(await victim.connections.take(asks.length)).toHaveLength(asks.length);
    expect(victim.connections.pending).toEqual([]);
    await victim.serves();
  });

  it('asks for far too many channels', { timeout: 20_000 }, async () => {
    const victim = await victimOf(start);
    const client = await victim.modified();
    const asked = MAX_CHANNELS_PER_PEER + 100;
    for (let i = 1; i <= asked; i++) client.ask(i);
    const answers = await client.records.take(asked);
    const accepted = answers.filter(({ items }) => items[0]?.opcode === OPEN_ACCEPT).length;
    expect(accepted).toBe(victim.relay ? MAX_CHANNELS_PER_PEER : 1);
    expect(answers.filter(({ items }) => items[0]?.opcode === OPEN_REFUSE)).toHaveLength(asked - accepted);
    expect(victim.service.clients.size).toBe(accepted + 1);
    await victim.serves();
    client.ws.terminate();
    await eventually(() => victim.service.clients.size).toBe(1);
    await victim.serves();
  });
});
