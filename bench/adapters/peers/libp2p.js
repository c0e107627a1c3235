// js-libp2p: clients reserve a place at a circuit relay (version 2) and open streams to each other through it, Noise
// inside Noise. The relay's limits (2 minutes and 128 KiB per connection, 15 reservations, 5 connections per second and
// address) are lifted: they are there against strangers.
import { noise } from '@chainsafe/libp2p-noise';
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { webSockets } from '@libp2p/websockets';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

const PROTOCOL = '/secure-websocket-bench/1';
const MANY = 1_000_000;
/** Nothing is given up because the machine is busy, milliseconds; the defaults are 5 to 30 s. */
const PATIENCE = 120_000;
/** Above what may be on its way at once; the default is 4 MiB, and more ends the stream. */
const MAX_BUFFER = 256 << 20;
/** Length of the number before each message: streams have no messages of their own. */
const HEADER = 4;

const common = {
  connectionEncrypters: [noise()],
  streamMuxers: [yamux({ maxInboundStreams: MANY, maxOutboundStreams: MANY })],
  connectionManager: {
    maxConnections: MANY,
    inboundConnectionThreshold: MANY,
    maxIncomingPendingConnections: MANY,
    dialTimeout: PATIENCE,
    addressDialTimeout: PATIENCE,
    inboundUpgradeTimeout: PATIENCE,
    inboundStreamProtocolNegotiationTimeout: PATIENCE,
    outboundStreamProtocolNegotiationTimeout: PATIENCE,
  },
  // Otherwise addresses of this machine are not dialled.
  connectionGater: { denyDialMultiaddr: () => false },
};

export async function startRelay() {
  const relay = await createLibp2p({
    ...common,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0/ws'] },
    transports: [webSockets()],
    services: {
      identify: identify(),
      circuitRelay: circuitRelayServer({
        hopTimeout: PATIENCE,
        maxInboundHopStreams: MANY,
        maxOutboundHopStreams: MANY,
        maxOutboundStopStreams: MANY,
        reservations: { maxReservations: MANY, applyDefaultLimit: false },
      }),
    },
  });
  return { url: relay.getMultiaddrs()[0].toString() };
}

export function createIdentity() {
  return generateKeyPair('Ed25519');
}

export async function listen(url, identity, onMessage) {
  const node = await start(identity, [`${url}/p2p-circuit`]);
  await node.handle(
    PROTOCOL,
    stream => {
      useMessages(stream, onMessage);
    },
    { maxInboundStreams: MANY },
  );
  return { address: `${url}/p2p-circuit/p2p/${node.peerId}` };
}

export async function dial(url, identity, address, onMessage) {
  const node = await start(identity, []);
  const stream = await node.dialProtocol(multiaddr(address), PROTOCOL);
  return { send: useMessages(stream, onMessage) };
}

function start(privateKey, addresses) {
  return createLibp2p({
    ...common,
    privateKey,
    addresses: { listen: addresses },
    transports: [
      webSockets(),
      circuitRelayTransport({
        maxInboundStopStreams: MANY,
        maxOutboundStopStreams: MANY,
        reservationCompletionTimeout: PATIENCE,
      }),
    ],
    services: { identify: identify() },
  });
}

/** Messages over a stream: calls `onMessage` with each, and gives the function that sends one. */
function useMessages(stream, onMessage) {
  stream.maxReadBufferLength = MAX_BUFFER;
  let chunks = [];
  let length = 0;
  const send = payload => {
    const message = Buffer.allocUnsafe(HEADER + payload.length);
    message.writeUInt32BE(payload.length);
    message.set(payload, HEADER);
    stream.send(message);
  };
  const next = () => (length < HEADER ? Infinity : HEADER + joined(HEADER).readUInt32BE());
  // The first bytes of what has arrived, in one piece, at least so many.
  const joined = least => {
    if (chunks[0].length < least) chunks = [Buffer.concat(chunks)];
    return chunks[0];
  };
  stream.addEventListener('message', ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) {
      chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      length += chunk.length;
    }
    for (let end = next(); length >= end; end = next()) {
      const head = joined(end);
      length -= end;
      if (head.length === end) chunks.shift();
      else chunks[0] = head.subarray(end);
      onMessage(head.subarray(HEADER, end), send);
    }
  });
  return send;
}
