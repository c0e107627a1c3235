import { utf8, writeUint64 } from '../../src/core/bytes.js';
import { RECEIVE_WINDOW } from '../../src/core/constants.js';
import { type OpenAccept, sessionName } from '../../src/core/open-parameters.js';
import {
  decodeItems,
  decodeRecordHeader,
  type Item,
  itemLength,
  Opcode,
  RECORD_HEADER_LENGTH,
  type RecordHeader,
  RecordWriter,
} from '../../src/core/record.js';
import { EndpointNode, type EndpointNodeOptions } from './endpoint-node.js';
import { SessionsNode } from './sessions-node.js';
import { type NetworkNode, VirtualNetwork } from './virtual-network.js';

export type RawItem = [opcode: Opcode, payload?: Uint8Array | string, fin?: boolean];

/** A peer with a good session that says on it whatever it likes. */
export class RawPeer extends SessionsNode {
  /** Sends one record to `node`. What is not given is what an honest peer would say next on a channel that `node` opened. */
  record(node: NetworkNode, items: RawItem[], header: Partial<RecordHeader> = {}): void {
    const session = this.sessions.find(node.address);
    if (!session) throw new Error('There is no session.');
    const said = items.map<RawItem>(item => (item[1] === ACCEPT ? [item[0], this.acceptance(node)] : item));
    this.seal(session, encodeRecord(said, header));
  }

  /** The payload of an OPEN_ACCEPT for a channel that `node` has opened in the session as it is. */
  acceptance(node: NetworkNode, more: Partial<OpenAccept> = {}): string {
    const keys = this.sessions.find(node.address)?.current;
    if (!keys) throw new Error('There are no keys.');
    const accept = { protocol: '', window: RECEIVE_WINDOW, session: sessionName(keys.handshakeHash) };
    return JSON.stringify({ ...accept, ...more });
  }

  /** The records that came, taken apart. */
  get records(): { header: RecordHeader; items: Item[] }[] {
    return this.received.map(({ plaintext }) => ({
      header: decodeRecordHeader(plaintext),
      items: decodeItems(plaintext),
    }));
  }

  /** Opcodes of all items that came. */
  get opcodes(): number[] {
    return this.records.flatMap(({ items }) => items.map(({ opcode }) => opcode));
  }
}

export function encodeRecord(items: RawItem[], header: Partial<RecordHeader> = {}): Uint8Array {
  const list = items.map(([opcode, payload = '', fin = true]) => ({
    opcode,
    payload: typeof payload === 'string' ? utf8(payload) : payload,
    fin,
  }));
  const length = list.reduce((sum, { payload }) => sum + itemLength(payload.length), RECORD_HEADER_LENGTH);
  const writer = new RecordWriter(length);
  for (const { opcode, payload, fin } of list) writer.item(opcode, fin, payload);
  const usual = { channelId: 1, opener: false, sequenced: true, sequence: 0, acknowledgement: 0 };
  return writer.finish({ ...usual, ...header });
}

export function credit(limit: number): Uint8Array {
  const payload = new Uint8Array(8);
  writeUint64(payload, 0, limit);
  return payload;
}

/** Stands for the payload that accepts a channel in the session as it is. */
export const ACCEPT = '{"protocol":"","window":2097152,"session":"the one there is"}';
export const OPEN = '{"target":"/","protocols":[],"window":2097152}';

/** An endpoint and a raw peer with a session; no channel yet. */
export function withRawPeer(options: Partial<EndpointNodeOptions> = {}) {
  const network = new VirtualNetwork();
  const node = new EndpointNode(network, { identity: 1, ...options });
  const peer = new RawPeer(network, { identity: 2, connectionId: 22 });
  network.collect();
  peer.sessions.dial(node.anyAddress, network.now);
  network.run();
  return { network, node, peer };
}

/** The endpoint has opened a channel with the raw peer, which has accepted it: the peer's next sequence number is 1. */
export function openedToRaw(options?: Partial<EndpointNodeOptions>) {
  const scene = withRawPeer(options);
  const channel = scene.node.open(scene.peer.address);
  scene.network.run();
  scene.peer.record(scene.node, [[Opcode.OPEN_ACCEPT, ACCEPT]], { acknowledgement: 1 });
  scene.network.run();
  return { ...scene, channel };
}

/** The raw peer has opened channel 1 with the endpoint, which has accepted it: the peer's next sequence number is 1. */
export function openedByRaw(options?: Partial<EndpointNodeOptions>) {
  const scene = withRawPeer(options);
  scene.peer.record(scene.node, [[Opcode.OPEN, OPEN]], { opener: true });
  scene.network.run();
  return { ...scene, channel: scene.node.incoming[0]! };
}
