/** Registration from the client's side, as docs/protocol.md describes it. */
import { Noise, type TransportKeyPair } from './noise.js';
import { type Keys, open, sign, verify } from './primitives.js';
import { whyNoAddress } from './wire.js';

const PROLOGUE = Buffer.from('secure-websocket/1 registration', 'ascii');
const LABEL = Buffer.from('secure-websocket/1 device information\0', 'ascii');

type Json = Record<string, unknown>;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), 'utf8');

const parse = (text: string | Buffer): Json => JSON.parse(text.toString()) as Json;

export function fromBase64Url(text: unknown): Buffer {
  if (typeof text !== 'string') throw new Error('base64url that is no string');
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new Error('base64url that is not canonical');
  return bytes;
}

export interface DeviceInformation {
  readonly userId: string;
  readonly deviceId: string;
  readonly signingKey: string;
  readonly boxKey: string;
  readonly addresses: readonly string[];
  readonly issued: number;
  readonly expires: number;
}

export interface SignedDevice {
  readonly information: string;
  readonly signature: string;
}

export function signDevice(signingSeed: Uint8Array, information: Uint8Array): SignedDevice {
  return {
    information: Buffer.from(information).toString('base64url'),
    signature: sign(signingSeed, Buffer.concat([LABEL, information])).toString('base64url'),
  };
}

/** Throws unless the information is signed, in force, and about `boxKey`. */
export function checkDevice(
  signed: unknown,
  boxKey: Uint8Array,
  now: number,
  stated: number,
): DeviceInformation {
  const { information, signature } = signed as SignedDevice;
  const bytes = fromBase64Url(information);
  const device = parse(bytes) as unknown as DeviceInformation;
  const signingKey = Buffer.from(device.signingKey, 'hex');
  if (!verify(signingKey, Buffer.concat([LABEL, bytes]), fromBase64Url(signature))) {
    throw new Error('device information with a false signature');
  }
  if (device.boxKey !== Buffer.from(boxKey).toString('hex'))
    throw new Error('device information of another key');
  if (whyNoAddress(device.boxKey)) throw new Error('device information with a key that is no address');
  if (device.userId.length > 256 || device.deviceId.length > 256) throw new Error('long device information');
  if (device.addresses.length > 32 || device.addresses.some(({ length }) => length > 256))
    throw new Error('device information with many addresses');
  if (!(device.issued < device.expires))
    throw new Error('device information that expires before it is issued');
  if (now >= device.expires && stated >= device.expires) throw new Error('expired device information');
  return device;
}

export interface RegistrationOptions {
  readonly keys: Keys;
  /** The secret of the ephemeral key. */
  readonly ephemeral: Uint8Array;
  /** The server location that is dialled. */
  readonly location: string;
  /** The key that the server must have, in hex. */
  readonly serverKey?: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Device information, if not made up here. */
  readonly device?: SignedDevice;
  /** The connection id that is wanted again. */
  readonly connectionId?: number;
}

export interface Registered {
  readonly connectionId: number;
  readonly serverKey: Buffer;
  readonly maxFrame: number;
  readonly transport: TransportKeyPair;
  readonly handshakeHash: Buffer;
}

export class Registration {
  readonly #options: RegistrationOptions;
  readonly #noise: Noise;
  #maxFrame = 0;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#noise = new Noise({
      pattern: 'IX',
      initiator: false,
      prologue: PROLOGUE,
      s: options.keys.box,
      e: options.ephemeral,
    });
  }

  /** Checks CHALLENGE; returns CHALLENGE_RESPONSE. */
  answer(challenge: string): string {
    const message = parse(challenge);
    if (message['type'] !== 'CHALLENGE') throw new Error(`${challenge} instead of CHALLENGE`);
    if (message['version'] !== 1) throw new Error('a CHALLENGE of another version');
    const { location, now, serverKey } = this.#options;
    const payload = parse(this.#noise.read(fromBase64Url(message['noise'])));
    const key = this.#noise.remoteStatic!;
    const server = checkDevice(payload['device'], key, now, payload['time'] as number);
    if (!server.addresses.includes(location)) throw new Error('the server has other locations');
    if (serverKey !== undefined && key.toString('hex') !== serverKey)
      throw new Error('the server has another key');
    this.#maxFrame = Math.min(payload['maxFrame'] as number, 16 << 20);
    if (this.#maxFrame < 32_768) throw new Error('a maxFrame below 32,768');
    const { connectionId } = this.#options;
    const wish = connectionId === undefined ? {} : { connectionId };
    const noise = this.#noise.write(json({ device: this.#device(), time: now, address: location, ...wish }));
    return JSON.stringify({ type: 'CHALLENGE_RESPONSE', noise: noise.toString('base64url') });
  }

  /** Checks REGISTER_SUCCESS. */
  finish(success: string): Registered {
    const message = parse(success);
    if (message['type'] !== 'REGISTER_SUCCESS') throw new Error(`refused: ${success}`);
    const transport = this.#noise.split();
    const payload = parse(open(transport.receive, 0, Buffer.alloc(0), fromBase64Url(message['noise'])));
    return {
      connectionId: payload['connectionId'] as number,
      serverKey: this.#noise.remoteStatic!,
      maxFrame: this.#maxFrame,
      transport,
      handshakeHash: this.#noise.handshakeHash,
    };
  }

  #device(): SignedDevice {
    const { keys, now, device } = this.#options;
    if (device) return device;
    const information: DeviceInformation = {
      userId: '',
      deviceId: '',
      signingKey: keys.signing.publicKey.toString('hex'),
      boxKey: keys.box.publicKey.toString('hex'),
      addresses: [],
      issued: now,
      expires: now + 3_600_000,
    };
    return signDevice(keys.signing.secretKey, json(information));
  }
}
