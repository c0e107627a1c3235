import fc from 'fast-check';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { plainIp } from '../../../../src/relay/limits/plain-ip.js';
import { readProxyHeader, receiveProxyHeader } from '../../../../src/relay/limits/proxy-protocol.js';
import { CERTIFICATE, CERTIFICATE_KEY } from '../../../support/certificate.js';
import { expectCode } from '../../../support/errors.js';
import { bytes, parsesOrRefuses, runs, tamperings } from '../../../support/fuzz.js';
import { closed } from '../../../support/closed.js';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function version1(line: string): Buffer {
  return Buffer.from(`PROXY ${line}\r\n`, 'latin1');
}

function version2(command: number, family: number, rest: Uint8Array, length = rest.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 0xff]), rest]);
}

const TCP4 = Buffer.from('cb007107c63364010102' + '01bb', 'hex');
const TCP6 = Buffer.from(
  '20010db8000000000000000000000001' + '20010db8000000000000000000000002' + '0102' + '01bb',
  'hex',
);

const port = fc.nat(65_535);
const headers: fc.Arbitrary<{ header: Buffer; source: string | undefined }> = fc.oneof(
  fc.tuple(fc.ipV4(), fc.ipV4(), port, port).map(([from, to, ...ports]) => ({
    header: version1(`TCP4 ${from} ${to} ${ports.join(' ')}`),
    source: from,
  })),
  fc.tuple(fc.ipV6(), fc.ipV6(), port, port).map(([from, to, ...ports]) => ({
    header: version1(`TCP6 ${from} ${to} ${ports.join(' ')}`),
    source: plainIp(from),
  })),
  fc.constantFrom('UNKNOWN', 'UNKNOWN ffff::1 ffff::2 1 2').map(line => ({
    header: version1(line),
    source: undefined,
  })),
  fc.tuple(bytes(12, 12), bytes(60)).map(([addresses, extensions]) => ({
    header: version2(0x21, 0x11, Buffer.concat([addresses, extensions])),
    source: addresses.slice(0, 4).join('.'),
  })),
  fc.tuple(bytes(36, 36), bytes(60)).map(([addresses, extensions]) => ({
    header: version2(0x21, 0x21, Buffer.concat([addresses, extensions])),
    source: plainIp(Buffer.from(addresses.slice(0, 16)).toString('hex').match(/..../g)!.join(':')),
  })),
  fc.tuple(fc.constantFrom(0x00, 0x11, 0x21, 0x31, 0xff), bytes(60)).map(([family, rest]) => ({
    header: version2(0x20, family, rest),
    source: undefined,
  })),
  bytes(60).map(rest => ({ header: version2(0x21, 0x00, rest), source: undefined })),
  bytes(300, 216).map(rest => ({ header: version2(0x21, 0x31, rest), source: undefined })),
);

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>(take => (resolve = take));
  return { promise, resolve };
}

function refused(header: Uint8Array): void {
  expectCode(() => readProxyHeader(header), 'PROTOCOL_VIOLATION');
}

describe('readProxyHeader', () => {
  it('reads version 1', () => {
    expect(readProxyHeader(version1('TCP4 203.0.113.7 198.51.100.1 258 443'))).toEqual({
      length: 45,
      source: '203.0.113.7',
    });
    expect(readProxyHeader(version1('TCP6 2001:DB8::1 ::1 0 65535'))).toMatchObject({
      source: '2001:db8::1',
    });
    expect(readProxyHeader(version1('TCP6 ::ffff:1.2.3.4 ::1 1 1'))).toMatchObject({ source: '1.2.3.4' });
    expect(readProxyHeader(version1('UNKNOWN'))).toEqual({ length: 15, source: undefined });
    expect(readProxyHeader(version1(`UNKNOWN ${'x'.repeat(91)}`))).toEqual({
      length: 107,
      source: undefined,
    });
  });

  it('refuses what is no version 1', () => {
    for (const line of [
      ...[
        '',
        'TCP4',
        'TCP5 1.2.3.4 1.2.3.4 1 1',
        'tcp4 1.2.3.4 1.2.3.4 1 1',
        'UNKNOWNS',
        'UDP4 1.2.3.4 1.2.3.4 1 1',
      ],
      ...[
        'TCP4 1.2.3.4 1.2.3.4 1',
        'TCP4 1.2.3.4 1.2.3.4 1 1 1',
        'TCP4  1.2.3.4 1.2.3.4 1 1',
        'TCP4 1.2.3.4 1.2.3.4 1 65536',
      ],
      ...[
        'TCP4 1.2.3.4 1.2.3.4 01 1',
        'TCP4 1.2.3.256 1.2.3.4 1 1',
        'TCP4 ::1 ::1 1 1',
        'TCP6 1.2.3.4 1.2.3.4 1 1',
      ],
      ...[
        'TCP4 1.2.3.4 x 1 1',
        'TCP6 fe80::1%eth0 ::1 1 1',
        'UNKNOWN \r',
        'TCP4 1.2.3.4 1.2.3.4 1 1 ',
        'TCP4 1.2.3.4 1.2.3.4 -1 1',
      ],
    ]) {
      refused(version1(line));
    }
    refused(Buffer.from('PROXY UNKNOWN\n'));
    refused(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    refused(Buffer.from('X'));
    refused(Buffer.from(' PROXY UNKNOWN\r\n'));
  });

  it('waits for no more than 107 bytes of version 1', () => {
    const endless = Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`);
    expect(readProxyHeader(endless.subarray(0, 106))).toBe('incomplete');
    refused(endless.subarray(0, 107));
    refused(version1(`UNKNOWN ${'x'.repeat(92)}`));
  });

  it('reads version 2', () => {
    expect(readProxyHeader(version2(0x21, 0x11, TCP4))).toEqual({ length: 28, source: '203.0.113.7' });
    expect(readProxyHeader(version2(0x21, 0x21, TCP6))).toEqual({ length: 52, source: '2001:db8::1' });
    const extended = version2(0x21, 0x11, Buffer.concat([TCP4, Buffer.from('040003616263', 'hex')]));
    expect(readProxyHeader(extended)).toEqual({ length: 34, source: '203.0.113.7' });
    expect(readProxyHeader(version2(0x20, 0x11, TCP4))).toEqual({ length: 28, source: undefined });
    expect(readProxyHeader(version2(0x20, 0x00, Buffer.alloc(0)))).toEqual({ length: 16, source: undefined });
    expect(readProxyHeader(version2(0x21, 0x31, Buffer.alloc(216)))).toEqual({
      length: 232,
      source: undefined,
    });
    const mapped = Buffer.concat([Buffer.from('00000000000000000000ffff01020304', 'hex'), Buffer.alloc(20)]);
    expect(readProxyHeader(version2(0x21, 0x21, mapped))).toMatchObject({ source: '1.2.3.4' });
  });

  it('refuses what is no version 2', () => {
    for (const command of [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff]) refused(version2(command, 0x11, TCP4));
    for (const family of [0x01, 0x10, 0x12, 0x22, 0x32, 0x41, 0xff])
      refused(version2(0x21, family, Buffer.alloc(300)));
    refused(version2(0x21, 0x11, TCP4.subarray(1)));
    refused(version2(0x21, 0x21, TCP6.subarray(1)));
    refused(version2(0x21, 0x31, Buffer.alloc(215)));
    refused(Buffer.from('\r\n\r\n\r\n'));
  });

  it('waits for no more than 4,112 bytes of version 2', () => {
    expect(readProxyHeader(version2(0x21, 0x00, Buffer.alloc(0), 4_096))).toBe('incomplete');
    refused(version2(0x21, 0x00, Buffer.alloc(0), 4_097));
    refused(version2(0x20, 0x00, Buffer.alloc(0), 65_535));
  });

  it('reads any header, whatever follows, and wants more of any that was cut off', () => {
    fc.assert(
      fc.property(headers, bytes(50), ({ header, source }, following) => {
        const all = Buffer.concat([header, following]);
        expect(readProxyHeader(all)).toEqual({ length: header.length, source });
        // Not at the start of its memory either.
        expect(readProxyHeader(Buffer.concat([Buffer.from('!'), all]).subarray(1))).toEqual({
          length: header.length,
          source,
        });
        for (let length = 0; length < header.length; length++) {
          expect(readProxyHeader(header.subarray(0, length))).toBe('incomplete');
        }
      }),
      runs(200),
    );
  });

  it('reads or refuses whatever else comes, and is never left waiting by more than it may be', () => {
    const hostile = fc.oneof(
      bytes(200),
      fc.tuple(headers, tamperings).map(([{ header }, tamper]) => tamper(header)),
      bytes(5_000).map(rest => Buffer.concat([SIGNATURE, rest])),
      bytes(200).map(rest => Buffer.concat([Buffer.from('PROXY '), rest])),
    );
    fc.assert(
      fc.property(hostile, input => {
        const read = parsesOrRefuses(() => readProxyHeader(input), 'PROTOCOL_VIOLATION');
        if (read === 'incomplete') expect(input.length).toBeLessThan(4_112);
        else if (read !== undefined) {
          expect(read.length).toBeLessThanOrEqual(input.length);
          if (read.source !== undefined) expect(plainIp(read.source)).toBe(read.source);
        }
      }),
      runs(1_000),
    );
  });
});

describe('receiveProxyHeader', () => {
  const cleanUps: (() => void)[] = [];
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
  });

  /** A listener in front: takes the header of each connection, and hands it to `take`. Returns its port. */
  async function front(
    take: (socket: Socket, source: string | undefined) => void,
    failed: (error: unknown, socket: Socket) => void = error => {
      throw error as Error;
    },
    timeout = 60_000,
  ): Promise<number> {
    const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, socket => {
      receiveProxyHeader(socket, timeout).then(
        source => take(socket, source),
        (error: unknown) => failed(error, socket),
      );
    });
    cleanUps.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  function dial(port: number): Socket {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    cleanUps.push(() => socket.destroy());
    return socket;
  }

  /** One that answers with what it got. */
  function echo(server: HttpServer, sources: WeakMap<object, string | undefined>): HttpServer {
    const below = (request: IncomingMessage) => request.socket;
    server.on('request', (request: IncomingMessage, response) => {
      void text(request).then(body => response.end(`${request.url} ${sources.get(below(request))} ${body}`));
    });
    return server;
  }

  const header = version2(0x21, 0x11, Buffer.concat([TCP4, Buffer.from('040003616263', 'hex')]));
  const request = Buffer.from(
    'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello' +
      'POST /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend',
  );

  async function httpFront(): Promise<number> {
    const sources = new WeakMap<object, string | undefined>();
    const server = echo(createHttpServer(), sources);
    return front((socket, source) => {
      sources.set(socket, source);
      server.emit('connection', socket);
    });
  }

  it('leaves an HTTP server all that follows, when it comes in one piece', async () => {
    const socket = dial(await httpFront());
    socket.write(Buffer.concat([header, request]));
    const answer = await text(socket);
    expect(answer).toContain('/1 203.0.113.7 hello');
    expect(answer).toContain('/2 203.0.113.7 end');
  });

  it('leaves an HTTP server what comes much later', async () => {
    const taken = deferred<string>();
    const server = echo(createHttpServer(), new WeakMap());
    const socket = dial(
      await front(socket => {
        server.emit('connection', socket);
        taken.resolve('taken');
      }),
    );
    socket.write(header);
    await taken.promise;
    socket.write(request);
    expect(await text(socket)).toContain('/2 undefined end');
  });

  it('leaves an HTTP server what a client has sent before it closed its half', async () => {
    const socket = dial(await httpFront());
    socket.end(Buffer.concat([header, request]));
    expect(await text(socket)).toContain('/2 203.0.113.7 end');
  });

  it('leaves an HTTP server a large body', async () => {
    const socket = dial(await httpFront());
    const body = 'x'.repeat(3_000_000);
    socket.write(
      Buffer.concat([
        header,
        Buffer.from(
          `POST /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        ),
      ]),
    );
    expect(await text(socket)).toContain(`/3 203.0.113.7 ${body}`);
  });

  it('hands upgrades on, and what came with them', async () => {
    const server = createHttpServer();
    server.on('upgrade', (_request, socket, head: Buffer) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
      socket.write(head);
      socket.pipe(socket);
    });
    const socket = dial(await front(socket => server.emit('connection', socket)));
    socket.write(
      Buffer.concat([
        header,
        Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfirst,'),
      ]),
    );
    let received = '';
    for await (const chunk of socket) {
      received += String(chunk);
      if (received.endsWith('first,')) socket.end('second');
    }
    expect(received).toMatch(/first,second$/);
  });

  it('works with every way to cut a connection into pieces', async () => {
    const port = await httpFront();
    const all = Buffer.concat([header, request]);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: header.length + 20 }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(cuts, async cuts => {
        const socket = dial(port);
        await once(socket, 'connect');
        const at = [0, ...cuts.sort((a, b) => a - b), all.length];
        for (const [index, start] of at.slice(0, -1).entries()) {
          socket.write(all.subarray(start, at[index + 1]));
          // On to the network, and a turn for the other side.
          await new Promise(resolve => setImmediate(resolve));
        }
        expect(await text(socket)).toContain('/2 203.0.113.7 end');
      }),
      runs(50),
    );
  });

  for (const together of [true, false]) {
    it(`leaves a TLS server its handshake, ${together ? 'in one piece with the header' : 'alone'}`, async () => {
      const secure = createTlsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY }, socket =>
        socket.pipe(socket),
      );
      const port = await front(socket => secure.emit('connection', socket));
      const socket = dial(port);
      await once(socket, 'connect');
      if (together) socket.cork();
      socket.write(header);
      const client = connectTls({ socket, ca: CERTIFICATE, servername: 'localhost' });
      if (together) process.nextTick(() => socket.uncork());
      await once(client, 'secureConnect');
      client.end('hello');
      expect(await text(client)).toBe('hello');
    });
  }

  it('leaves an HTTPS server its requests', async () => {
    const server = createHttpsServer({ cert: CERTIFICATE, key: CERTIFICATE_KEY });
    echo(server, new WeakMap());
    const socket = dial(await front(socket => server.emit('connection', socket)));
    await once(socket, 'connect');
    socket.write(header);
    const client = connectTls({ socket, ca: CERTIFICATE, servername: 'localhost' });
    client.write(request);
    expect(await text(client)).toContain('/2 undefined end');
  });

  /** What becomes of a connection that sends `input`, and ends its half then, if so told. */
  async function outcome(input: Uint8Array, end = false, timeout?: number): Promise<unknown> {
    const { promise, resolve } = deferred<unknown>();
    const port = await front(
      (_socket, source) => resolve(source),
      (error, socket) => {
        expect(socket.destroyed).toBe(true);
        resolve(error);
      },
      timeout,
    );
    const socket = dial(port);
    socket.on('error', () => undefined);
    socket.write(input);
    if (end) socket.end();
    const result = await promise;
    // The other side is told, too.
    if (result instanceof Error && !socket.closed) await closed(socket.resume());
    return result;
  }

  it('ends connections that begin with something else', async () => {
    expect(await outcome(Buffer.from('GET / HTTP/1.1\r\n\r\n'), true)).toMatchObject({
      code: 'PROTOCOL_VIOLATION',
    });
    expect(await outcome(version2(0x21, 0x00, Buffer.alloc(0), 65_535), true)).toMatchObject({
      code: 'PROTOCOL_VIOLATION',
    });
  });

  it('tells when a connection ends before its header does', async () => {
    expect(await outcome(header.subarray(0, 10), true)).toMatchObject({ code: 'LINK_LOST' });
    expect(await outcome(Buffer.alloc(0), true)).toMatchObject({ code: 'LINK_LOST' });
  });

  it('does not wait for longer than it may', async () => {
    const { promise, resolve } = deferred<unknown>();
    const port = await front(
      () => resolve('taken'),
      error => resolve(error),
      1,
    );
    const socket = dial(port);
    socket.allowHalfOpen = false;
    socket.on('error', () => undefined);
    socket.write('PROXY ');
    expect(await promise).toMatchObject({ code: 'REGISTRATION_TIMEOUT' });
    await closed(socket.resume());
  });

  it.each([false, true])('tells at once of a socket that is gone already (closed: %s)', async isClosed => {
    const { promise, resolve } = deferred<unknown>();
    const server = createServer({ pauseOnConnect: true }, socket => {
      const receive = () => void receiveProxyHeader(socket, 60_000).then(resolve, resolve);
      if (isClosed) socket.once('close', () => setImmediate(receive));
      socket.destroy();
      if (!isClosed) receive();
    });
    cleanUps.push(() => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    dial((server.address() as AddressInfo).port).on('error', () => undefined);
    expect(await promise).toMatchObject({ code: 'LINK_LOST' });
  });

  it('leaves no listeners behind but one for errors', async () => {
    const { promise, resolve } = deferred<Socket>();
    const socket = dial(await front(resolve));
    socket.write(header);
    const taken = await promise;
    expect(taken.listenerCount('readable') + taken.listenerCount('close')).toBe(0);
    expect(taken.listenerCount('error')).toBe(1);
    taken.destroy();
  });
});
