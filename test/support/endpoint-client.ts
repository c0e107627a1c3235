import { Endpoint, type EndpointEvent } from '../../src/core/endpoint.js';
import type { Identity } from '../../src/core/identity.js';
import { DEFAULT_MAX_FRAME } from '../../src/core/constants.js';
import { SecureWebSocketError } from '../../src/core/errors.js';
import { RelayClient } from './relay-client.js';
import { EventQueue } from './event-queue.js';

/** An honest client of a relay that tells what it refuses. It accepts every channel. */
export class EndpointClient {
  readonly events = new EventQueue<Exclude<EndpointEvent, { type: 'refused' }>>();
  /** Codes of what was refused without harm to anything. */
  readonly refusals = new EventQueue<string>();
  readonly client: RelayClient;
  readonly endpoint: Endpoint;

  private constructor(client: RelayClient) {
    const { identity, connectionId } = client;
    this.client = client;
    this.endpoint = new Endpoint({
      crypto: identity.crypto,
      keyPair: identity.keyPair,
      connectionId,
      maxFrame: DEFAULT_MAX_FRAME,
      wallClock: () => Date.now(),
    });
    client.ws.on('message', data => {
      try {
        this.endpoint.receive(Uint8Array.from(data as Buffer), performance.now());
      } catch (error) {
        this.refusals.push(error instanceof SecureWebSocketError ? error.code : String(error));
      }
      this.pump();
    });
  }

  /** Registers with the relay at `url`, and listens there. */
  static async listen(url: string, identity?: Identity): Promise<EndpointClient> {
    const client = new EndpointClient(await RelayClient.connect(url, identity ? { identity } : {}));
    client.endpoint.listen(true, performance.now());
    client.pump();
    return client;
  }

  get publicKey(): string {
    return this.client.identity.publicKey;
  }

  /** Sends and tells what there is. */
  pump(): void {
    for (const event of this.endpoint.takeEvents()) {
      if (event.type === 'refused') this.refusals.push(event.error.code);
      else this.events.push(event);
      if (event.type === 'incoming') this.endpoint.accept(event.channel, '');
    }
    this.endpoint.flush(Infinity, performance.now());
    for (const frame of this.endpoint.takeFrames()) this.client.send(frame);
  }
}
