import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { largeBuffers } from '../../../src/core/buffer-pool.js';
import { decodeFrame, type Frame, NoticeReason, peerAddress } from '../../../src/core/frame.js';
import type { Identity } from '../../../src/core/identity.js';
import { RegistrationClient } from '../../../src/core/registration.js';
import { FrameReader } from '../../../src/websocket/frame-reader.js';
import { rawFrame } from '../raw-frames.js';
import { count, type Tally } from './tally.js';

/** What is attacked, and where the attack comes from. */
export interface Target {
  /** Where the relay is: `ws://…` or `wss://…`. */
  readonly url: string;
  /** The relay's public key, 32 bytes. */
  readonly relayKey: Uint8Array;
  /** The public key of somebody well-behaved who listens at the relay, 32 bytes. */
  readonly service: Uint8Array;
  /** The address of this machine that the attack comes from. Default: whichever the system chooses. */
  readonly from?: string | undefined;
  /** Gets to know every connection that is made, so that none is left behind when an attack fails half-way. */
  readonly opened?: HostileConnection[] | undefined;
}

/** A request that every relay answers with 101 while there is room. */
export const UPGRADE =
  'GET / HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

const REASONS = Object.fromEntries(Object.entries(NoticeReason).map(([name, reason]) => [reason, name]));

/** More of an answer to a request is not kept, characters. */
const MAX_ANSWER = 16_384;

/**
 * A client of a relay from TCP on: it sends whatever bytes an attack wants, and notes what it hears. All that it
 * promises ends with the connection, however that ends.
 */
export class HostileConnection {
  readonly socket: Socket;
  /** How it ended: `http 429`, `ws 1008`, `cut` without a word, or `left` when this end went. */
  readonly ended: Promise<string>;
  /** What was heard: `envelope`, `notice NOT_HERE`, `control THROTTLED`, `ping`. */
  readonly heard: Tally = {};
  /** Each frame as it comes. */
  onFrame: ((frame: Frame) => void) | undefined;
  /** Whether pings are answered. */
  answersPings = true;
  /** Once it is registered. */
  connectionId = 0;
  identity: Identity | undefined;
  /** What it answered the challenge with: for those who record it. */
  response = '';

  #answer = '';
  #status = 0;
  #closeCode: number | undefined;
  #hasLeft = false;
  #isOver = false;
  readonly #texts: string[] = [];
  /** Looked at again whenever something has come, or the connection is over. */
  readonly #waiting = new Set<{ when: () => boolean; resolve: () => void }>();
  readonly #reader = new FrameReader(
    { masked: false, maxPayload: 33_554_432, borrowed: false, memory: largeBuffers },
    {
      onMessage: (data, isText) => {
        this.#message(data, isText);
      },
      onPing: data => {
        count(this.heard, 'ping');
        if (this.answersPings) this.write(rawFrame(data, 0xa));
      },
      onPong: () => undefined,
      onClose: code => {
        this.#closeCode = code;
        this.socket.end();
      },
    },
  );

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    this.ended = new Promise(resolve => {
      socket.once('close', () => {
        this.#isOver = true;
        resolve(this.#ending);
        this.#look();
      });
    });
  }

  /** Resolves when it is connected, or has failed. */
  static async open(target: Target): Promise<HostileConnection> {
    const { hostname, port, protocol } = new URL(target.url);
    const where = { host: hostname, port: Number(port), localAddress: target.from };
    const isSecure = protocol === 'wss:';
    const connection = new HostileConnection(
      isSecure
        ? tlsConnect({ ...where, servername: 'localhost', rejectUnauthorized: false })
        : connect(where),
    );
    target.opened?.push(connection);
    let isConnected = false;
    connection.socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      isConnected = true;
      connection.#look();
    });
    await connection.until(() => isConnected);
    return connection;
  }

  /** Only TCP, also where the relay speaks TLS. */
  static async openTcp(target: Target): Promise<HostileConnection> {
    return HostileConnection.open({ ...target, url: target.url.replace('wss:', 'ws:') });
  }

  /** A connection that has registered, under this identity; undefined: it was turned away, or lost. */
  static async registered(target: Target, identity: Identity): Promise<HostileConnection | undefined> {
    const connection = await HostileConnection.open(target);
    return (await connection.register(target, identity)) ? connection : undefined;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Its address, once it is registered. */
  get address(): Uint8Array {
    if (!this.identity) throw new Error('It is not registered.');
    return peerAddress(this.identity.publicKeyBytes, this.connectionId);
  }

  write(bytes: Uint8Array | string): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** Resolves when the operating system has taken what was written, or the connection is over. */
  async written(): Promise<void> {
    let isTaken = !this.socket.writable;
    if (isTaken) return;
    // Behind all that waits.
    this.socket.write('', () => {
      isTaken = true;
      this.#look();
    });
    await this.until(() => isTaken);
  }

  send(frame: Uint8Array): void {
    this.write(rawFrame(frame));
  }

  /** Resolves as soon as `when` holds, or the connection is over: false in that case. */
  async until(when: () => boolean): Promise<boolean> {
    if (!when() && !this.#isOver) {
      await new Promise<void>(resolve => {
        this.#waiting.add({ when, resolve });
      });
    }
    return when();
  }

  /** Asks for an upgrade: the HTTP status that answers it; 0: none. */
  async upgrade(request = UPGRADE): Promise<number> {
    this.write(request);
    await this.until(() => this.#status !== 0);
    return this.#status;
  }

  /** The next text message; undefined: there is none before the end. */
  async text(): Promise<string | undefined> {
    await this.until(() => this.#texts.length > 0);
    return this.#texts.shift();
  }

  /** Upgrades, and takes the challenge: what would answer it, and the registration that is under way. */
  async challenged(
    target: Target,
    identity: Identity,
    token?: string,
  ): Promise<{ response: string; registration: RegistrationClient } | undefined> {
    if ((await this.upgrade()) !== 101) return undefined;
    const challenge = await this.text();
    if (challenge === undefined) return undefined;
    const registration = new RegistrationClient({ identity, now: Date.now() }, new URL(target.url).origin, {
      token,
    });
    registration.challenge(challenge, Date.now());
    return { response: registration.response(Date.now()), registration };
  }

  /** Registers. False: it was turned away. */
  async register(target: Target, identity: Identity, token?: string): Promise<boolean> {
    const challenged = await this.challenged(target, identity, token);
    if (!challenged) return false;
    this.response = challenged.response;
    this.write(rawFrame(Buffer.from(challenged.response), 0x1));
    const success = await this.text();
    if (success === undefined) return false;
    try {
      this.connectionId = challenged.registration.success(success, performance.now()).connectionId;
    } catch (error) {
      count(this.heard, `refused ${(error as { code?: string }).code ?? String(error)}`);
      return false;
    }
    this.identity = identity;
    return true;
  }

  /** Goes, without a word. */
  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.socket.destroy();
    await this.ended;
  }

  get #ending(): string {
    if (this.#closeCode !== undefined) return `ws ${this.#closeCode}`;
    if (this.#status !== 0 && this.#status !== 101) return `http ${this.#status}`;
    return this.#hasLeft ? 'left' : 'cut';
  }

  #receive(chunk: Buffer): void {
    if (this.#status === 101) {
      this.#reader.read(chunk);
    } else if (this.#answer.length < MAX_ANSWER) {
      this.#answer += chunk.toString('latin1');
      const end = this.#answer.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.#status = Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#answer)?.[1] ?? 0);
      const rest = Buffer.from(this.#answer.slice(end + 4), 'latin1');
      if (this.#status === 101 && rest.length > 0) this.#reader.read(rest);
    }
    this.#look();
  }

  #message(data: Uint8Array, isText: boolean): void {
    if (isText) {
      this.#texts.push(Buffer.from(data).toString());
      return;
    }
    const frame = decodeFrame(data);
    count(this.heard, nameOf(frame));
    this.onFrame?.(frame);
  }

  #look(): void {
    for (const waiting of this.#waiting) {
      if (!this.#isOver && !waiting.when()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

function nameOf(frame: Frame): string {
  if (frame.type === 'notice') return `notice ${REASONS[frame.reason] ?? String(frame.reason)}`;
  if (frame.type === 'control') return `control ${frame.control?.type ?? 'of no known kind'}`;
  return frame.type;
}
