/**
 * docs/protocol-vectors.json, in two ways: src still makes it byte by byte, and an implementation that was written from
 * docs/protocol.md alone, on other cryptography, finds the same in it.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { blake2b } from '../../support/independent/blake2b.js';
import { Lineage } from '../../support/independent/lineage.js';
import { Noise } from '../../support/independent/noise.js';
import { keysOf, open, seal, sign } from '../../support/independent/primitives.js';
import { checkDevice, Registration } from '../../support/independent/registration.js';
import * as spaces from '../../support/independent/space.js';
import { answer, complete, initiate } from '../../support/independent/session.js';
import {
  envelope,
  item,
  listenFrame,
  OPCODE,
  parseLocation,
  peerAddress,
  readRecord,
  Reader,
  readSealedBody,
  readServerFrame,
  sessionPrologue,
  varint,
  whyNoAddress,
  writeRecord,
  writeSealedBody,
} from '../../support/independent/wire.js';
import type { RecordedSession, RecordedTransport } from '../../support/protocol-exchange.js';
import { generateVectors, type ProtocolVectors } from '../../support/protocol-vectors.js';

const FILE = new URL('../../../docs/protocol-vectors.json', import.meta.url);
const NOTHING = Buffer.alloc(0);

const bytes = (hex: string | undefined): Buffer => Buffer.from(hex ?? 'missing', 'hex');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

const generated = await generateVectors();
if (process.env['UPDATE_VECTORS'] === '1') {
  const options = await resolveConfig(FILE);
  writeFileSync(FILE, await format(JSON.stringify(generated, null, 2), { ...options, parser: 'json' }));
}
const text = readFileSync(FILE, 'utf8');
const vectors = JSON.parse(text) as ProtocolVectors;

it('the vectors are what the code makes; UPDATE_VECTORS=1 writes them', () => {
  expect(vectors).toStrictEqual(JSON.parse(JSON.stringify(generated)));
  expect(text.length).toBeLessThan(100_000);
});

describe('the independent implementation', () => {
  it('has a BLAKE2b that agrees with that of node:crypto, and with its key', () => {
    for (const length of [0, 1, 127, 128, 129, 256, 300]) {
      const input = Buffer.alloc(length, 0xa5);
      expect(hex(blake2b(input, { length: 64 }))).toBe(createHash('blake2b512').update(input).digest('hex'));
    }
    // The first keyed vector of the BLAKE2 authors: key 00 … 3f, no input.
    const key = Buffer.from(Array.from({ length: 64 }, (_, index) => index));
    expect(hex(blake2b(NOTHING, { length: 64, key }))).toBe(
      '10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786' +
        'b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568',
    );
  });

  it.each(['relay', 'alice', 'bob'] as const)('derives the keys of %s', name => {
    const vector = vectors.keys[name];
    const { box, signing } = keysOf(bytes(vector.seed));
    expect({
      seed: vector.seed,
      x25519SecretKey: hex(box.secretKey),
      x25519PublicKey: hex(box.publicKey),
      ed25519Seed: hex(signing.secretKey),
      ed25519PublicKey: hex(signing.publicKey),
    }).toEqual(vector);
  });

  it.each(['relay', 'alice'] as const)('signs and checks the device information of %s', name => {
    const { information, signedBytes, signature } = vectors.deviceInformation[name];
    const label = Buffer.from('secure-websocket/1 device information', 'ascii');
    expect(hex(Buffer.concat([label, Buffer.of(0), Buffer.from(information)]))).toBe(signedBytes);
    const { signing, box } = keysOf(bytes(vectors.keys[name].seed));
    expect(hex(sign(signing.secretKey, bytes(signedBytes)))).toBe(signature);
    const signed = {
      information: Buffer.from(information).toString('base64url'),
      signature: bytes(signature).toString('base64url'),
    };
    expect(checkDevice(signed, box.publicKey, 0, 0)).toEqual(JSON.parse(information));
  });
});

describe('registration', () => {
  const { registration, keys } = vectors;
  const { challenge, challengeResponse, registerSuccess } = registration;

  it('both ends make and read the same Noise messages', () => {
    const prologue = Buffer.from('secure-websocket/1 registration');
    expect(hex(prologue)).toBe(registration.prologue);
    const [server, client] = (['server', 'client'] as const).map(
      side =>
        new Noise({
          pattern: 'IX',
          initiator: side === 'server',
          prologue,
          s: keysOf(bytes(keys[side === 'server' ? 'relay' : 'alice'].seed)).box,
          e: bytes(registration[`${side}EphemeralSecret`]),
        }),
    ) as [Noise, Noise];
    expect(hex(server.write(Buffer.from(challenge.payload)))).toBe(challenge.noise);
    expect(String(client.read(bytes(challenge.noise)))).toBe(challenge.payload);
    expect(hex(client.write(Buffer.from(challengeResponse.payload)))).toBe(challengeResponse.noise);
    expect(String(server.read(bytes(challengeResponse.noise)))).toBe(challengeResponse.payload);
    expect([server.handshakeHash, client.handshakeHash].map(hex)).toEqual(
      Array(2).fill(registration.handshakeHash),
    );
    const transport = client.split();
    expect(hex(transport.receive)).toBe(registration.serverToClientKey);
    expect(hex(transport.send)).toBe(registration.clientToServerKey);
    expect(String(open(transport.receive, 0, NOTHING, bytes(registerSuccess.noise)))).toBe(
      registerSuccess.payload,
    );
  });

  it.each(['challenge', 'challengeResponse', 'registerSuccess'] as const)(
    '%s carries its Noise message',
    name => {
      const { message, noise } = registration[name];
      const type = name.replace(/[A-Z]/, letter => `_${letter}`).toUpperCase();
      expect(JSON.parse(message)).toEqual({
        type,
        ...(type === 'CHALLENGE' && { version: 1 }),
        noise: bytes(noise).toString('base64url'),
      });
    },
  );

  it('a client answers the challenge with the same message, and finishes', () => {
    const { device, time, address } = JSON.parse(challengeResponse.payload) as {
      device: { information: string; signature: string };
      time: number;
      address: string;
    };
    const client = new Registration({
      keys: keysOf(bytes(keys.alice.seed)),
      ephemeral: bytes(registration.clientEphemeralSecret),
      location: address,
      serverKey: keys.relay.x25519PublicKey,
      now: time,
      device,
    });
    expect(client.answer(challenge.message)).toBe(challengeResponse.message);
    const { connectionId, maxFrame, handshakeHash } = client.finish(registerSuccess.message);
    expect({ connectionId }).toEqual(JSON.parse(registerSuccess.payload));
    expect(maxFrame).toBe(262_144);
    expect(hex(handshakeHash)).toBe(registration.handshakeHash);
  });

  it('a client is told why it is refused', () => {
    const client = new Registration({
      keys: keysOf(bytes(keys.alice.seed)),
      ephemeral: bytes(registration.clientEphemeralSecret),
      location: 'wss://relay.example',
      now: 0,
    });
    client.answer(challenge.message);
    expect(() => client.finish(registration.registerFailure)).toThrow('"reason":"TIMEOUT"');
  });
});

/** Alice and Bob make a handshake once more, which must end as it did. */
function agreeOn(session: RecordedSession) {
  const [alice, bob] = [keysOf(bytes(vectors.keys.alice.seed)).box, keysOf(bytes(vectors.keys.bob.seed)).box];
  expect(hex(sessionPrologue(alice.publicKey, bob.publicKey))).toBe(session.prologue);
  const hint = new Reader(bytes(session.initiationPayload));
  const initiation = initiate(
    alice,
    bytes(session.initiatorEphemeralSecret),
    bob.publicKey,
    session.initiatorIndex,
    { time: hint.number(8), sessionId: hint.take(16) },
  );
  expect(hint.number(4)).toBe(0);
  expect(hint.isAtEnd).toBe(true);

  const initiationBody = readSealedBody(initiation.body);
  if (initiationBody.type !== 'HANDSHAKE_INITIATION') throw new Error(initiationBody.type);
  const { body } = answer(
    bob,
    bytes(session.responderEphemeralSecret),
    alice.publicKey,
    initiationBody.noise,
    { local: session.responderIndex, remote: initiationBody.senderIndex },
  );
  const response = readSealedBody(body);
  if (response.type !== 'HANDSHAKE_RESPONSE') throw new Error(response.type);
  expect(response.receiverIndex).toBe(session.initiatorIndex);
  const generation = complete(initiation, response.noise, response.senderIndex);
  expect(hex(initiation.noise.handshakeHash)).toBe(session.handshakeHash);
  const keys = initiation.noise.split();
  expect([keys.send, keys.receive, keys.exporter].map(hex)).toEqual([
    session.initiatorToResponderKey,
    session.responderToInitiatorKey,
    session.exporter,
  ]);
  return { initiation, response: body, generation, keys };
}

describe('a session', () => {
  const { session, frames } = vectors.relayed;
  const alice = keysOf(bytes(vectors.keys.alice.seed)).box;
  const bob = keysOf(bytes(vectors.keys.bob.seed)).box;
  const bodyOf = (type: string): Buffer =>
    bytes(frames.find(frame => frame.type === `ENVELOPE, ${type}`)?.delivered).subarray(37);

  it('both ends make the same handshake', () => {
    const { initiation, response, generation } = agreeOn(session);
    expect(hex(initiation.body)).toBe(hex(bodyOf('HANDSHAKE_INITIATION')));
    expect(hex(response)).toBe(hex(bodyOf('HANDSHAKE_RESPONSE')));
    expect(hex(generation.seal(NOTHING))).toBe(hex(bodyOf('TRANSPORT')));
  });

  it('frames are stamped with their source, and otherwise pass unchanged', () => {
    const addresses = {
      alice: peerAddress(alice.publicKey, 0x0a11),
      bob: peerAddress(bob.publicKey, 0xb0b0_0001),
    };
    const envelopes = frames.filter(({ delivered }) => delivered !== undefined);
    expect(envelopes.map(({ from, type }) => `${from}: ${type}`)).toEqual([
      'alice: ENVELOPE, HANDSHAKE_INITIATION',
      'bob: ENVELOPE, HANDSHAKE_RESPONSE',
      'alice: ENVELOPE, TRANSPORT',
    ]);
    for (const [index, { from, to, sent, delivered }] of envelopes.entries()) {
      const frame = readServerFrame(bytes(delivered));
      if (frame.type !== 'ENVELOPE') throw new Error(frame.type);
      expect(hex(frame.address)).toBe(hex(addresses[from as 'alice' | 'bob']));
      // The first is dialled, to whoever listens.
      const destination = index === 0 ? peerAddress(bob.publicKey, 0) : addresses[to as 'alice' | 'bob'];
      expect(hex(envelope(destination, frame.body))).toBe(sent);
    }
  });

  it('LISTEN and NOTICE', () => {
    expect(hex(listenFrame(true))).toBe(frames.find(({ type }) => type === 'LISTEN')?.sent);
    const notices = frames.filter(({ from }) => from === 'relay');
    expect(notices.map(({ type }) => type)).toEqual(['NOTICE, NOT_HERE', 'NOTICE, PEER_GONE']);
    const [notHere, gone] = notices.map(({ sent }) => readServerFrame(bytes(sent)));
    // What was written just before it.
    const undelivered = frames[frames.findIndex(({ from }) => from === 'relay') - 1]!;
    expect([undelivered.from, undelivered.delivered]).toEqual(['alice', undefined]);
    const dialled = undelivered.sent.slice(2, 2 + 72);
    expect(notHere).toEqual({ type: 'NOTICE', reason: 1, address: bytes(dialled) });
    expect(gone).toEqual({ type: 'NOTICE', reason: 5, address: peerAddress(bob.publicKey, 0xb0b0_0001) });
  });
});

/** Opens what was sealed, seals it again, and reads it. */
function checkTransport(
  messages: readonly RecordedTransport[],
  directions: Readonly<Record<string, { key: string; index: number; first: number }>>,
): void {
  const counters = new Map<string, number>();
  for (const { from, counter, plaintext, sealedBody, record } of messages) {
    const { key, index, first } = directions[from]!;
    expect(counter).toBe(counters.get(from) ?? first);
    counters.set(from, counter + 1);
    if (plaintext === undefined) {
      expect(record?.items.some(({ length }) => length !== undefined)).toBe(true);
      continue;
    }
    const body = readSealedBody(bytes(sealedBody));
    if (body.type !== 'TRANSPORT') throw new Error(body.type);
    expect([body.receiverIndex, body.counter]).toEqual([index, counter]);
    expect(hex(open(bytes(key), counter, NOTHING, body.ciphertext))).toBe(plaintext);
    const ciphertext = seal(bytes(key), counter, NOTHING, bytes(plaintext));
    expect(hex(writeSealedBody({ ...body, ciphertext }))).toBe(sealedBody);
    if (plaintext === '') continue;

    const { items, ...header } = readRecord(bytes(plaintext));
    const { items: expected, ...expectedHeader } = record!;
    expect(header).toEqual(expectedHeader);
    expect(items.map(({ opcode, fin, payload }) => [opcode, fin, payload.length])).toEqual(
      expected.map(({ item: name, fin, text: its, payload, length }) => [
        OPCODE[name as keyof typeof OPCODE],
        fin,
        length ?? (its === undefined ? bytes(payload) : Buffer.from(its)).length,
      ]),
    );
    items.forEach(({ payload }, at) => {
      const { text: its, payload: shown } = expected[at]!;
      if (its !== undefined) expect(String(payload)).toBe(its);
      if (shown !== undefined) expect(hex(payload)).toBe(shown);
    });
    expect(hex(writeRecord({ ...header, items }))).toBe(plaintext);
  }
}

describe('transport messages', () => {
  const { relayed, direct, registration } = vectors;

  it('of the session', () => {
    const { session, transport } = relayed;
    checkTransport(transport, {
      alice: { key: session.initiatorToResponderKey, index: session.responderIndex, first: 0 },
      bob: { key: session.responderToInitiatorKey, index: session.initiatorIndex, first: 0 },
    });
    const resumed = [vectors.resumed.before, vectors.resumed.after].flatMap(part => part.transport);
    const seen = new Set(
      [...transport, ...resumed].flatMap(({ record }) => record?.items.map(({ item: name }) => name) ?? []),
    );
    expect([...seen].sort()).toEqual(Object.keys(OPCODE).sort());
  });

  it('of direct use, under the keys of the registration', () => {
    checkTransport(direct.transport, {
      alice: { key: registration.clientToServerKey, index: 0, first: 0 },
      relay: { key: registration.serverToClientKey, index: 0, first: 1 },
    });
  });

  it('take their sequence numbers one after the other in each channel and direction', () => {
    const next = new Map<string, number>();
    for (const { from, record } of relayed.transport) {
      if (!record) continue;
      const direction = `${from} ${record.channelId}`;
      expect(record.sequenceNumber, direction).toBe(next.get(direction) ?? 0);
      next.set(direction, record.sequenceNumber + (record.sequenced ? 1 : 0));
      const other = `${from === 'alice' ? 'bob' : 'alice'} ${record.channelId}`;
      expect(record.acknowledgement, direction).toBe(next.get(other) ?? 0);
      expect(record.opener).toBe(from === 'alice');
    }
  });

  it('carry fragments that make the message', () => {
    const fragments = relayed.transport
      .filter(({ description }) => description.includes('in three fragments'))
      .map(({ plaintext }) => readRecord(bytes(plaintext)).items[0]!.payload);
    expect(fragments.length).toBe(3);
    const message = Buffer.from(Array.from({ length: 2_300 }, (_, index) => index % 251));
    expect(Buffer.concat(fragments).equals(message)).toBe(true);
  });

  it('grant what was received and a window', () => {
    const credit = relayed.transport
      .flatMap(({ record }) => record?.items ?? [])
      .find(its => its.item === 'CREDIT');
    // "grüße", then a message in three fragments.
    const received = 7 + 64 + 524_288 + 3 * 64;
    expect(new Reader(bytes(credit?.payload)).number(8)).toBe(received + 2_097_152);
  });
});

describe('a channel that loses records, and then its link', () => {
  const { lineage, before, after } = vectors.resumed;

  it.each(['before', 'after'] as const)('speaks in a session of its own %s', part => {
    const { session, transport } = vectors.resumed[part];
    agreeOn(session);
    checkTransport(transport, {
      alice: { key: session.initiatorToResponderKey, index: session.responderIndex, first: 0 },
      bob: { key: session.responderToInitiatorKey, index: session.initiatorIndex, first: 0 },
    });
  });

  it('says in which session it was opened, and proves that in the other', () => {
    const { keys } = agreeOn(before.session);
    const { box } = keysOf(bytes(vectors.keys.alice.seed));
    expect(lineage.opener).toBe(hex(box.publicKey));
    const ours = new Lineage(keys, box.publicKey, lineage.channelId);
    expect(hex(ours.id)).toBe(lineage.id);
    const items = (part: typeof before) => part.transport.flatMap(({ record }) => record?.items ?? []);
    const accept = items(before).find(its => its.item === 'OPEN_ACCEPT')!;
    expect(JSON.parse(accept.text!)).toMatchObject({ session: ours.session, resume: 120_000 });
    const hash = bytes(after.session.handshakeHash);
    expect(
      items(after)
        .filter(its => its.item === 'RESUME')
        .map(({ payload }) => payload),
    ).toEqual([hex(ours.payload('opener', hash)), hex(ours.payload('acceptor', hash))]);
  });

  it('sends each record again with its number, under a counter that was never used', () => {
    const texts = [...before.transport, ...after.transport].flatMap(({ record, sealedBody }) =>
      (record?.items ?? [])
        .filter(its => its.item === 'TEXT')
        .map(its => ({ text: its.text, number: record?.sequenceNumber, sealedBody })),
    );
    expect(texts.map(({ text: its, number }) => [its, number])).toEqual([
      ['one', 1],
      ['two', 2],
      ['one', 1],
      ['two', 2],
      ['three', 3],
      ['three', 3],
      ['four', 4],
      ['four', 4],
    ]);
    expect(new Set(texts.map(({ sealedBody }) => sealedBody)).size).toBe(8);
  });

  it('says what came, what is missing, and where it stands', () => {
    const said = [...before.transport, ...after.transport]
      .filter(({ record }) => record && !record.sequenced)
      .map(({ from, record }) => [
        from,
        record!.items.map(its => its.item).join(),
        record!.sequenceNumber,
        record!.acknowledgement,
      ]);
    expect(said).toEqual([
      ['bob', 'GAP', 1, 1],
      ['bob', '', 1, 3],
      ['alice', 'PROBE', 4, 1],
      ['bob', 'GAP,PROBE_ANSWER', 1, 3],
      ['bob', '', 1, 4],
      ['alice', 'RESUME', 5, 1],
      ['bob', 'RESUME', 1, 4],
      ['alice', 'PROBE', 4, 1],
      ['bob', 'PROBE_ANSWER', 1, 5],
    ]);
  });
});

describe('a space', () => {
  const { space, keys } = vectors;
  const [relay, alice, bob] = [keys.relay, keys.alice, keys.bob].map(({ seed }) => keysOf(bytes(seed))) as [
    ReturnType<typeof keysOf>,
    ReturnType<typeof keysOf>,
    ReturnType<typeof keysOf>,
  ];
  const place = { relayKey: relay.box.publicKey, name: space.name };
  const invitation = bytes(space.invitation.invitation);
  const joins = space.joins.map(({ record }) => bytes(record)) as [Buffer, Buffer];
  const reports = space.log.map(({ frame }) => spaces.readReport(bytes(frame)));
  const MEMBERSHIP = 7;

  it('the admin invites, and both sign their joining', () => {
    const { expires } = space.invitation;
    expect(hex(spaces.makeInvitation(bob, space.name, alice.box.publicKey, expires))).toBe(hex(invitation));
    const [first, second] = space.joins;
    expect(hex(spaces.makeJoin(bob, place, bytes(first?.memberId), first!.time, NOTHING))).toBe(
      hex(joins[0]),
    );
    expect(hex(spaces.makeJoin(alice, place, bytes(second?.memberId), second!.time, invitation))).toBe(
      hex(joins[1]),
    );
    const [ofBob, ofAlice] = joins.map(join => spaces.readJoin(join, place));
    expect(ofBob?.boxKey).toEqual(bob.box.publicKey);
    expect(ofAlice?.boxKey).toEqual(alice.box.publicKey);
    const admins = [bob.signing.publicKey];
    const isAdmitted = (its: spaces.Join | undefined, now: number) =>
      spaces.isAdmitted(its!, space.name, admins, now);
    expect([
      isAdmitted(ofBob, expires),
      isAdmitted(ofAlice, expires - 1),
      isAdmitted(ofAlice, expires),
    ]).toEqual([true, true, false]);
  });

  it('has a roster and an order, whose hashes follow from what came', () => {
    const digests = joins.map((join, i) => spaces.entryDigest(i + 1, join));
    expect(digests.map(hex)).toEqual(space.roster.entries.map(({ digest }) => digest));
    const epoch = bytes(space.epoch);
    expect(hex(spaces.rosterHash(epoch, 2, digests))).toBe(space.roster.hash);
    expect(hex(spaces.rosterHash(epoch, 2, [...digests].reverse()))).toBe(space.roster.hash);
    let logHash = spaces.firstLogHash(place, epoch);
    expect(hex(logHash)).toBe(space.firstLogHash);
    for (const [i, { item: name, offset, itemDigest, logHash: expected }] of space.log.entries()) {
      const report = reports[i]!;
      expect([report.type, report.membership]).toEqual([name, MEMBERSHIP]);
      const digest = spaces.itemDigest(report)!;
      expect(hex(digest)).toBe(itemDigest);
      logHash = spaces.nextLogHash(logHash, offset, digest);
      expect(hex(logHash)).toBe(expected);
    }
    const versions = [digests.slice(0, 1), digests, digests.slice(0, 1)];
    const changes = reports.flatMap(report => ('rosterHash' in report ? [report] : []));
    expect(changes.map(({ offset, version, rosterHash }) => [offset, version, hex(rosterHash)])).toEqual(
      versions.map((present, i) => [[1, 2, 5][i], i + 1, hex(spaces.rosterHash(epoch, i + 1, present))]),
    );
    const roster = spaces.readReport(bytes(space.roster.frame));
    if (roster.type !== 'ROSTER') throw new Error(roster.type);
    expect(roster.entries).toEqual(
      changes.flatMap(change => (change.type === 'JOINED' ? [change.entry] : [])),
    );
    expect(roster.entries.map(({ number, state, join }) => [number, state, hex(join)])).toEqual([
      [1, 0, hex(joins[0])],
      [2, 0, hex(joins[1])],
    ]);
  });

  it('carries a wrapped message', () => {
    const { header, plaintext, bodyKey, wrappingKey, message, wrap, multicast } = space.wrapped;
    expect(spaces.readMessage(bytes(message)).header).toEqual(header);
    const seenLog = bytes(space.log[1]?.logHash);
    expect(header.viewHash).toBe(hex(spaces.viewHash(seenLog, bytes(space.roster.hash))));
    const own = alice.box.publicKey;
    const sealed = spaces.sealWrapped(
      place,
      own,
      header,
      bytes(plaintext),
      bytes(bodyKey),
      bytes(wrappingKey),
    );
    expect([hex(sealed.message), hex(sealed.wrap)]).toEqual([message, wrap]);
    expect(hex(spaces.openWrapped(place, own, sealed.message, sealed.wrap, bytes(wrappingKey)))).toBe(
      plaintext,
    );
    const { items, ...record } = readRecord(bytes(plaintext));
    expect(record).toEqual({
      channelId: 0,
      sequenced: true,
      opener: false,
      sequenceNumber: 1,
      acknowledgement: 0,
    });
    expect(items.map(({ opcode, fin, payload }) => [opcode, fin, String(payload)])).toEqual([
      [OPCODE.TEXT, true, 'wrapped'],
    ]);
    const wraps = new Map([[1, bytes(wrap)]]);
    expect(hex(spaces.multicastFrame(MEMBERSHIP, bytes(message), wraps))).toBe(multicast);
    const read = spaces.readMulticast(bytes(multicast));
    expect([read.membership, read.message.header, read.wraps]).toEqual([MEMBERSHIP, header, wraps]);
    expect(reports[2]).toEqual({
      type: 'MESSAGE',
      membership: MEMBERSHIP,
      offset: 3,
      wrap: bytes(wrap),
      message: bytes(message),
    });
  });

  it('carries a message under sender keys', () => {
    const { header, plaintext, chainKey, signingSeed, signingKey, message } = space.senderKey;
    const own = alice.box.publicKey;
    const sealed = spaces.sealSigned(
      place,
      own,
      header,
      bytes(plaintext),
      bytes(chainKey),
      bytes(signingSeed),
    );
    expect(hex(sealed)).toBe(message);
    expect(header.iteration).toBe(1);
    expect(spaces.readMessage(sealed).header).toEqual(header);
    expect(hex(spaces.openSigned(place, own, sealed, bytes(chainKey), bytes(signingKey)))).toBe(plaintext);
    expect(String(readRecord(bytes(plaintext)).items[0]!.payload)).toBe('under sender keys');
    expect(reports[3]).toMatchObject({ type: 'MESSAGE', wrap: undefined, message: bytes(message) });
  });

  it('is asked for, and tells, in these frames', () => {
    const join = joins[1];
    const resume = { epoch: space.epoch, offset: 3 };
    expect(space.requests).toEqual(
      [
        ['ENTER', spaces.enterFrame(MEMBERSHIP, space.name, join, true)],
        ['ENTER', spaces.enterFrame(MEMBERSHIP, space.name, join, true, resume)],
        ['LEAVE', spaces.leaveFrame(MEMBERSHIP)],
        ['FETCH', spaces.fetchFrame(MEMBERSHIP, 3, 4)],
        ['WHO', spaces.whoFrame(MEMBERSHIP)],
      ].map(([operation, frame]) => ({ operation, frame: hex(frame as Buffer) })),
    );
    const standing = {
      epoch: space.epoch,
      offset: 2,
      version: 2,
      rosterHash: space.roster.hash,
      logHash: space.log[1]?.logHash,
      number: 2,
      resumed: false,
    };
    const told = space.reports.map(({ operation, frame }) => {
      const { membership, ...report } = spaces.readReport(bytes(frame));
      expect([membership, report.type]).toEqual([MEMBERSHIP, operation]);
      return report;
    });
    expect(told).toEqual([
      { type: 'ENTERED', json: { ...standing, before: space.log[0]?.logHash } },
      { type: 'PRESENT', json: standing },
      { type: 'ACCEPTED', sequence: 1, offset: 3 },
      { type: 'REFUSED', json: { reason: 'RATE', message: 'Slower.', sequence: 3, retryAfter: 250 } },
      { type: 'MOVED', number: 1, connectionId: 0xb0b0_0001, state: 1 },
      { type: 'HEAD', offset: 5, logHash: bytes(space.log[4]?.logHash) },
      { type: 'UNAVAILABLE', from: 1, to: 2 },
    ]);
  });

  it('has members who tell each other keys, and what was missed', () => {
    const { wrapped, senderKey } = space;
    expect(space.packets).toEqual(
      [
        ['KEY, kind 1', spaces.wrappingKeyPacket(1, 1, bytes(wrapped.wrappingKey))],
        ['KEY, kind 2', spaces.senderKeyPacket(2, 2, bytes(senderKey.chainKey), bytes(senderKey.signingKey))],
        ['HEAD', spaces.headPacket(2)],
        ['WANT', spaces.wantPacket(1, 2)],
        ['MISSED', spaces.missedPacket(1, bytes(wrapped.plaintext))],
        ['LOST', spaces.lostPacket(1, 2)],
      ].map(([packet, its]) => ({ packet, bytes: hex(its as Buffer) })),
    );
  });
});

describe('examples', () => {
  it.each(vectors.addresses)('address: $description', ({ address, refused }) => {
    const code = {
      length: 'INVALID_ADDRESS_LENGTH',
      character: 'INVALID_ADDRESS_CHARACTER',
      'not canonical': 'NON_CANONICAL_ADDRESS',
      'low order': 'LOW_ORDER_ADDRESS',
    };
    const why = whyNoAddress(address);
    expect(why && code[why]).toBe(refused);
  });

  it.each(vectors.locations)('location: $url', vector => {
    if ('refused' in vector) {
      expect(() => {
        const { space } = parseLocation(vector.url);
        if (space !== undefined && !spaces.isName(decodeURIComponent(space))) throw new Error('no address');
      }).toThrow(/no address|URI malformed/);
      return;
    }
    const { server, dialled, address, target, space } = parseLocation(vector.url);
    expect({
      url: vector.url,
      serverLocation: server,
      dialled,
      ...(address !== undefined && { address }),
      ...(space !== undefined && { space: decodeURIComponent(space) }),
      target,
    }).toEqual(vector);
  });

  it.each(vectors.lengths)(
    'length: $value $description as $bytes',
    ({ description, value, bytes: encoded }) => {
      const reader = new Reader(bytes(encoded));
      expect(reader.varint()).toBe(value);
      expect(reader.isAtEnd).toBe(true);
      if (description === 'as written') expect(hex(varint(value))).toBe(encoded);
      const record = writeRecord({
        channelId: 1,
        sequenced: true,
        opener: true,
        sequenceNumber: 0,
        acknowledgement: 0,
        items: [item(OPCODE.BINARY, Buffer.alloc(value))],
      });
      expect(readRecord(record).items[0]!.payload.length).toBe(value);
    },
  );
});
