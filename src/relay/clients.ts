import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { toHex } from '../core/bytes.js';
import { NOT_ADMITTED, REPLACED, TOKEN_EXPIRED } from '../core/constants.js';
import { describeError } from '../core/describe-error.js';
import { SecureWebSocketError } from '../core/errors.js';
import { encodeControl } from '../core/frame.js';
import type { Identity } from '../core/identity.js';
import { type Grant, type ProvenClient, type RegisteredLink, registerAccepted } from '../link/accept.js';
import { acceptUpgrade } from '../websocket/accept-web-socket.js';
import { refuseUpgrade } from '../websocket/refuse-upgrade.js';
import type { AdmissionRequest, Admitted } from './admission/admission-options.js';
import { ClientGrant } from './admission/client-grant.js';
import { ConnectedKeys } from './connected-keys.js';
import { ConnectedUsers } from './connected-users.js';
import type { Equipment } from './equipment.js';
import type { Keepalive } from './keepalive.js';
import { Admittance, Entrance } from './limits/entrance.js';
import { Throttle } from './limits/throttle.js';
import { TrafficLimit } from './limits/traffic-limit.js';
import {
  type RelayClient,
  RelayConnection,
  type RelayConnectionOwner,
  relayKind,
} from './relay-connection.js';
import type { LimitName, RelayRefusal } from './relay-observer.js';
import type { CheckedOptions } from './relay-options.js';
import type { Router, RouterPort } from './router.js';
import type { ClientSpaces } from './spaces/client-spaces.js';
import { WriteBatch } from './write-batch.js';

/** What the clients of a relay have to do with. */
export interface ClientsOptions {
  readonly options: CheckedOptions;
  readonly equipment: Equipment;
  readonly identity: Identity;
  readonly router: Router;
  readonly keepalive: Keepalive;
  /** The client on the other end of a socket is no stranger any more. */
  readonly welcome: (socket: Socket) => void;
}

/** The clients of a relay, from their upgrade until they are gone: who is let in, for what, and how many there are. */
export class Clients {
  readonly #options: CheckedOptions;
  readonly #equipment: Equipment;
  readonly #identity: Identity;
  readonly #router: Router;
  readonly #keepalive: Keepalive;
  readonly #welcome: (socket: Socket) => void;
  readonly #entrance: Entrance;
  /** Registered or not. */
  readonly #connections = new Set<RelayConnection>();
  readonly #keys = new ConnectedKeys();
  readonly #users = new ConnectedUsers();
  readonly #owner: RelayConnectionOwner;
  readonly #allClosed = new Set<() => void>();
  #throttled = 0;
  #isFull = false;
  #isClosed = false;

  constructor({ options, equipment, identity, router, keepalive, welcome }: ClientsOptions) {
    this.#options = options;
    this.#equipment = equipment;
    this.#identity = identity;
    this.#router = router;
    this.#keepalive = keepalive;
    this.#welcome = welcome;
    this.#entrance = new Entrance(options);
    this.#owner = {
      batch: new WriteBatch(),
      // Somewhat too large an envelope is answered with a notice, not with the end of the connection.
      kind: relayKind(2 * options.maxFrame),
      oversized: ({ client }) => {
        this.#limited('frame_size', client);
      },
      closed: (connection, client, code) => {
        this.#closed(connection, client, code);
      },
    };
  }

  /** Connections whose client has not proven its key. */
  get unregistered(): number {
    return this.#entrance.unregistered;
  }

  /** Connections whose traffic is being held back. */
  get throttled(): number {
    return this.#throttled;
  }

  /** Nobody new is let in from now on. */
  letNobodyIn(): void {
    this.#isFull = true;
  }

  /** Those that are registered: an array of its own. */
  registered(): RelayConnection[] {
    return [...this.#connections].filter(({ client }) => client !== undefined);
  }

  /** Whether a key has a connection. */
  has(publicKey: string): boolean {
    return this.#keys.hasAsManyAs(publicKey, 1);
  }

  /** The client of a key that has this connection. */
  client(publicKey: string, connectionId: number): RelayClient | undefined {
    return this.#keys.of(publicKey).find(({ client }) => client?.connectionId === connectionId)?.client;
  }

  /** The clients of these users, each once. */
  ofUsers(userIds: Iterable<string>): ReadonlySet<RelayClient> {
    return this.#users.of(userIds);
  }

  /** The spaces of each connection of a key. */
  spacesOf(publicKey: string): ClientSpaces[] {
    return this.#keys.of(publicKey).flatMap(({ spaces }) => spaces ?? []);
  }

  /** Ends all connections of a key with 4004. Gives how many they were. */
  disconnect(publicKey: string, reason: string): number {
    const connections = this.#keys.of(publicKey);
    for (const connection of connections) connection.end(NOT_ADMITTED, reason);
    return connections.length;
  }

  /** Begins the closing handshake with everybody. */
  close(): void {
    this.#isFull = this.#isClosed = true;
    for (const { socket } of this.#connections) socket.close(1001, 'The relay is going down.');
  }

  /** Cuts off whoever is still there. */
  terminate(): void {
    for (const connection of this.#connections) connection.terminate();
  }

  /** Resolves when nobody is there. */
  whenAllClosed(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#allClosed.add(resolve);
    });
  }

  /** An upgrade request. It is answered here, one way or the other. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, remoteAddress: string | undefined): void {
    if (this.#isFull) {
      refuseUpgrade(socket, 503, 'The relay is restarting. Try again.');
      this.#refused({ remoteAddress, code: 'RESTARTING', message: 'The relay is restarting.' });
      return;
    }
    const admittance = this.#entrance.enter(remoteAddress);
    if (!(admittance instanceof Admittance)) {
      const { status, limit, message } = admittance;
      refuseUpgrade(socket, status, message);
      this.#equipment.observer.limited({ limit, remoteAddress });
      this.#refused({ remoteAddress, code: 'TOO_MANY_CONNECTIONS', message });
      return;
    }
    // The answer to the upgrade and the challenge leave together.
    socket.cork();
    if (acceptUpgrade(request, socket)) {
      const connection = new RelayConnection(this.#owner, admittance);
      connection.socket.attach(socket, head);
      this.#register(connection, request, remoteAddress);
    } else {
      socket.on('close', () => {
        admittance.leave();
      });
    }
    socket.uncork();
  }

  #register(connection: RelayConnection, request: IncomingMessage, remoteAddress: string | undefined): void {
    const identity = this.#identity;
    this.#connections.add(connection);
    const { addresses, userId, deviceId, registrationTimeout, maxFrame } = this.#options;
    const arrival = new Arrival(this.#equipment, remoteAddress);
    registerAccepted(
      connection.socket,
      {
        identity,
        addresses,
        userId,
        deviceId,
        registrationTimeout,
        maxFrame,
        connectionId: (publicKey, wanted) => {
          this.#checkRoom((arrival.publicKey = toHex(publicKey)), wanted);
          return this.#router.allocateConnectionId(publicKey, wanted);
        },
        admit: this.#equipment.admission && (client => arrival.admit(client)),
      },
      request,
    ).then(
      link => {
        connection.admittance?.registered();
        this.#welcome(request.socket);
        this.#connect(connection, link, arrival);
      },
      (error: unknown) => {
        // Registration was the listener of the socket: the connection is, for as long as it is there.
        connection.socket.listener = connection;
        if (connection.socket.isClosed) this.#forget(connection);
        if (this.#isClosed) return;
        const code = error instanceof SecureWebSocketError ? error.code : 'LINK_FAILED';
        const { publicKey } = arrival;
        if (code === 'REGISTRATION_TIMEOUT') {
          this.#equipment.observer.limited({ limit: 'registration_time', remoteAddress });
        }
        this.#refused({ remoteAddress, publicKey, code, message: describeError(error) });
      },
    );
  }

  /** @throws SecureWebSocketError when there is no room for another connection of a key */
  #checkRoom(publicKey: string, wanted: number | undefined): void {
    if (this.#isFull) throw new SecureWebSocketError('RESTARTING', 'The relay is restarting. Try again.');
    const { exclusive, maxConnectionsPerKey } = this.#options;
    if (exclusive || !this.#keys.hasAsManyAs(publicKey, maxConnectionsPerKey)) return;
    // Whoever comes back takes the place that it had.
    if (this.#keys.of(publicKey).some(({ client }) => client?.connectionId === wanted)) return;
    this.#equipment.observer.limited({ limit: 'connections_per_key', publicKey });
    throw new SecureWebSocketError(
      'TOO_MANY_CONNECTIONS',
      `There are ${String(maxConnectionsPerKey)} connections of this key, and the relay takes no more.`,
    );
  }

  /** Makes a registered connection known to the router; when it cannot be, it is closed. */
  #connect(connection: RelayConnection, link: RegisteredLink, arrival: Arrival): void {
    const { publicKey, connectionId } = link;
    const { remoteAddress, admitted, seconds } = arrival;
    const hex = toHex(publicKey);
    const { device } = link;
    const claimed = this.#options.trustsClaims && device.userId !== '' ? device.userId : undefined;
    const userId = admitted.userId ?? claimed;
    const client: RelayClient = {
      publicKey: hex,
      connectionId,
      remoteAddress,
      ...(userId !== undefined && { userId }),
      ...(device.deviceId !== '' && { deviceId: device.deviceId }),
    };
    const former = this.#options.exclusive ? this.#keys.of(hex) : [];
    let port: RouterPort;
    try {
      port = this.#router.add(publicKey, connectionId, connection, {
        peers: admitted.peers,
        onToken: arrival.hasGrant
          ? sealed => {
              connection.grant?.receive(sealed);
            }
          : undefined,
      });
    } catch (error) {
      // Another key was given the same id meanwhile. The client has been told that it is its own: it has to come again.
      link.keys.wipe();
      link.start(connection);
      connection.close(1013, 'The connection id was taken.');
      this.#refused({ remoteAddress, publicKey: hex, code: 'LINK_FAILED', message: describeError(error) });
      return;
    }
    for (const each of former) each.end(REPLACED, 'replaced');
    connection.connect(client, port);
    connection.registeredAt = performance.now();
    this.#keys.add(hex, connection);
    this.#users.add(client);
    if (arrival.hasGrant) connection.grant = this.#newGrant(connection, arrival, link);
    // What a link carries for others is sealed by others.
    else link.keys.wipe();
    this.#throttle(connection, client);
    this.#keepalive.watch(connection);
    this.#equipment.observer.registered(client, seconds);
    link.start(connection);
    // The lists may have changed since it was asked for: who was judged anew then was not yet among them.
    this.#judge(hex);
  }

  #newGrant(connection: RelayConnection, arrival: Arrival, link: RegisteredLink): ClientGrant | undefined {
    const { request, admitted } = arrival;
    const { admission } = this.#equipment;
    if (!request || !admission) return undefined;
    return new ClientGrant(request, admitted, link.keys, {
      decide: asked => admission.decide(asked),
      send: control => {
        connection.send(encodeControl(control));
      },
      renewed: ({ peers }) => {
        connection.restrict(peers);
      },
      expired: () => {
        connection.end(TOKEN_EXPIRED, 'token expired');
      },
      violated: message => {
        connection.end(1002, message);
      },
    });
  }

  #throttle(connection: RelayConnection, client: RelayClient): void {
    const { framesPerSecond, bytesPerSecond, keyFramesPerSecond, keyBytesPerSecond } = this.#options;
    const { keyTraffic } = this.#equipment;
    if (framesPerSecond === undefined && bytesPerSecond === undefined && !keyTraffic) return;
    const perSecond = {
      frames: framesPerSecond,
      bytes: bytesPerSecond,
      key_frames: keyFramesPerSecond,
      key_bytes: keyBytesPerSecond,
    };
    connection.throttle = new Throttle(
      connection.socket,
      new TrafficLimit(framesPerSecond, bytesPerSecond),
      keyTraffic?.lease(client.publicKey),
      {
        exceeded: limit => {
          connection.send(encodeControl({ type: 'THROTTLED', limit, perSecond: perSecond[limit] ?? 0 }));
          this.#limited(limit, client);
        },
        held: isHeld => {
          this.#throttled += isHeld ? 1 : -1;
        },
      },
    );
  }

  /** The lists have changed: whoever they do not let in any more has to go. */
  judgeAgain(): void {
    for (const publicKey of [...this.#keys.keys()]) this.#judge(publicKey);
  }

  #judge(publicKey: string): void {
    const standing = this.#equipment.admission?.standing(publicKey);
    if (standing) this.disconnect(publicKey, standing.refused);
  }

  #closed(connection: RelayConnection, client: RelayClient | undefined, code: number): void {
    this.#forget(connection);
    this.#keepalive.unwatch(connection);
    if (!client) return;
    this.#keys.remove(client.publicKey, connection);
    this.#users.remove(client);
    const seconds = (performance.now() - connection.registeredAt) / 1000;
    this.#equipment.observer.disconnected(client, code, seconds);
  }

  #forget(connection: RelayConnection): void {
    this.#connections.delete(connection);
    connection.admittance?.leave();
    if (this.#connections.size > 0) return;
    for (const resolve of this.#allClosed) resolve();
    this.#allClosed.clear();
  }

  #limited(limit: LimitName, client: RelayClient | undefined): void {
    const { publicKey, remoteAddress } = client ?? {};
    this.#equipment.observer.limited({ limit, publicKey, remoteAddress });
  }

  #refused(refusal: RelayRefusal): void {
    this.#equipment.observer.refused(refusal);
  }
}

/** One client between its upgrade and its registration. */
class Arrival {
  readonly remoteAddress: string | undefined;
  /** Once it is proven. */
  publicKey: string | undefined;
  admitted: Admitted = {};
  request: AdmissionRequest | undefined;
  readonly #equipment: Equipment;
  readonly #since = performance.now();

  constructor(equipment: Equipment, remoteAddress: string | undefined) {
    this.#equipment = equipment;
    this.remoteAddress = remoteAddress;
  }

  /** How long it took. */
  get seconds(): number {
    return (performance.now() - this.#since) / 1000;
  }

  /** Whether what it was let in for may end, or be renewed. */
  get hasGrant(): boolean {
    return this.admitted.expiresAt !== undefined;
  }

  async admit({ publicKey, device, address, token }: ProvenClient): Promise<Grant | undefined> {
    this.publicKey = toHex(publicKey);
    const { admission } = this.#equipment;
    if (!admission) return undefined;
    this.request = {
      publicKey: this.publicKey,
      ip: this.remoteAddress,
      address,
      userId: device.userId,
      deviceId: device.deviceId,
      token,
    };
    const decision = await admission.decide(this.request);
    if ('refused' in decision) throw new SecureWebSocketError(decision.refused, decision.message);
    this.admitted = decision;
    const { expiresAt } = decision;
    return expiresAt === undefined ? undefined : { expiresIn: Math.max(0, expiresAt - Date.now()) };
  }
}
