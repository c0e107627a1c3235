import { isIPv4, isIPv6, SocketAddress, type Socket } from 'node:net';
import { SecureWebSocketError } from '../../core/errors.js';
import { plainIp } from './plain-ip.js';

/** What a header of the PROXY protocol says. */
export interface ProxyHeader {
  /** Bytes that it takes. What follows is the client's. */
  readonly length: number;
  /** The IP address of the client. Undefined: the proxy does not say, or speaks for itself, as for a health check. */
  readonly source: string | undefined;
}

const V1_START = Buffer.from('PROXY ', 'latin1');
/** The longest line of version 1, CR LF included. */
const V1_MAX_LENGTH = 107;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length. */
const V2_FIXED_LENGTH = 16;
/** What may follow that: addresses, and extensions (TLVs), which are skipped. */
const V2_MAX_REST = 4_096;

const V1_LINE = /^PROXY (TCP[46]) ([\dA-Fa-f:.]+) ([\dA-Fa-f:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/;
const V1_UNKNOWN = /^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/;

/**
 * Reads the header of the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt), with which `bytes` must
 * begin. Tells as early as it can that there is none: no more than 4,112 bytes are ever incomplete.
 * @throws SecureWebSocketError `PROTOCOL_VIOLATION`
 */
export function readProxyHeader(bytes: Uint8Array): 'incomplete' | ProxyHeader {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // The two differ in their first byte already.
  if (buffer[0] === V2_SIGNATURE[0]) return readVersion2(buffer);
  return readVersion1(buffer);
}

function readVersion1(bytes: Buffer): 'incomplete' | ProxyHeader {
  if (!startsLike(bytes, V1_START)) throw violation('The connection does not begin with it.');
  const end = bytes.subarray(0, V1_MAX_LENGTH).indexOf('\n');
  if (end === -1) {
    if (bytes.length >= V1_MAX_LENGTH) throw violation('The line is too long.');
    return 'incomplete';
  }
  const length = end + 1;
  const line = bytes.toString('latin1', 0, length);
  if (V1_UNKNOWN.test(line)) return { length, source: undefined };

  const [, protocol, source = '', destination = '', ...ports] = V1_LINE.exec(line) ?? [];
  const isIp = protocol === 'TCP4' ? isIPv4 : isIPv6;
  if (!isIp(source) || !isIp(destination) || ports.some(port => Number(port) > 65_535)) {
    throw violation('The line is malformed.');
  }
  return { length, source: plainIp(source) };
}

function readVersion2(bytes: Buffer): 'incomplete' | ProxyHeader {
  if (!startsLike(bytes, V2_SIGNATURE)) throw violation('The connection does not begin with it.');
  const [versionAndCommand, family] = bytes.subarray(V2_SIGNATURE.length);
  if (versionAndCommand === undefined) return 'incomplete';
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) {
    throw violation('Its version or command is not known.');
  }
  if (bytes.length < V2_FIXED_LENGTH) return 'incomplete';
  const rest = bytes.readUInt16BE(14);
  if (rest > V2_MAX_REST) throw violation('It is too long.');
  // LOCAL: the proxy itself is the client, and whatever it says of addresses does not count.
  const addresses = versionAndCommand === 0x20 ? 0 : addressesLength(family);
  if (rest < addresses) throw violation('It is too short for its addresses.');
  const length = V2_FIXED_LENGTH + rest;
  if (bytes.length < length) return 'incomplete';
  return { length, source: sourceIn(bytes.subarray(V2_FIXED_LENGTH), addresses) };
}

/** How long source, destination and ports are together. */
function addressesLength(family: number | undefined): number {
  switch (family) {
    case 0x00: // unspecified
      return 0;
    case 0x11: // TCP over IPv4
      return 12;
    case 0x21: // TCP over IPv6
      return 36;
    case 0x31: // Unix domain sockets
      return 216;
    default:
      throw violation('Its address family is not known, or not one of TCP.');
  }
}

function sourceIn(rest: Buffer, addresses: number): string | undefined {
  if (addresses === 12) return rest.subarray(0, 4).join('.');
  if (addresses !== 36) return undefined;
  const groups = Array.from({ length: 8 }, (_, at) => rest.readUInt16BE(2 * at).toString(16));
  return plainIp(new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address);
}

/** Whether the two are the same as far as both go. */
function startsLike(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length);
  return bytes.subarray(0, length).equals(expected.subarray(0, length));
}

function violation(what: string): SecureWebSocketError {
  return new SecureWebSocketError('PROTOCOL_VIOLATION', `Expected a header of the PROXY protocol. ${what}`);
}

/**
 * Takes the header of the PROXY protocol from a connection, and nothing else; what follows stays to be read.
 *
 * Meant for sockets of `net.createServer({ pauseOnConnect: true, allowHalfOpen: true })`, which are handed on afterwards with
 * `server.emit('connection', socket)`, to a server of HTTP, HTTPS or TLS. Resolves to the client's IP address; undefined
 * when the header does not say, so that the address of the connection is the best that is known.
 *
 * Rejects, with the socket destroyed, with SecureWebSocketError `PROTOCOL_VIOLATION` when it begins with something else,
 * `REGISTRATION_TIMEOUT` when the header is not there within `timeout` milliseconds, and `LINK_LOST` when the connection ends before.
 */
export function receiveProxyHeader(socket: Socket, timeout: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = () => {
      clearTimeout(timer);
      socket.off('readable', read);
      socket.off('end', lost);
      socket.off('close', lost);
    };
    const fail = (error: unknown) => {
      finish();
      socket.destroy();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const lost = () => {
      fail(new SecureWebSocketError('LINK_LOST', 'The connection ended before its PROXY header.'));
    };
    const read = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        const header = readProxyHeader(received);
        if (header === 'incomplete') return;
        finish();
        if (received.length > header.length) socket.unshift(received.subarray(header.length));
        resolve(header.source);
      } catch (error) {
        fail(error);
      }
    };
    const timer = setTimeout(() => {
      const message = 'The PROXY header did not come in time.';
      fail(new SecureWebSocketError('REGISTRATION_TIMEOUT', message));
    }, timeout);
    // Stays: between this and whoever takes the socket over, an error must not find nobody.
    socket.on('error', () => undefined);
    if (socket.destroyed) {
      lost();
      return;
    }
    socket.on('readable', read);
    socket.on('end', lost);
    socket.on('close', lost);
  });
}
