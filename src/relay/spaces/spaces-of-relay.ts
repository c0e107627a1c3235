import type { Identity } from '../../core/identity.js';
import type { Equipment } from '../equipment.js';
import type { RelaySpaceEvent } from '../relay-observer.js';
import type { CheckedOptions } from '../relay-options.js';
import type { SpaceMember } from './space-member.js';
import type { SpaceClient } from './space-port.js';
import { type SpaceLimitName, Spaces } from './spaces.js';

/** How often spaces are looked after, milliseconds. */
const TICK = 250;

/** The spaces of one relay with what they need of it: its options, a clock, and whoever is told. */
export class SpacesOfRelay {
  readonly spaces: Spaces;
  readonly #equipment: Equipment;
  /** While there is anything to look after. */
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The limits that each connection was told to have run into. */
  readonly #limited = new WeakMap<SpaceClient, Set<SpaceLimitName>>();

  constructor(options: CheckedOptions, equipment: Equipment, identity: Identity) {
    this.#equipment = equipment;
    const { spaces: limits, maxFrame, maxQueueBytes, onSpace } = options;
    this.spaces = new Spaces({
      crypto: identity.crypto,
      relayKey: identity.publicKeyBytes,
      limits: limits.enabled ? limits : undefined,
      maxFrame,
      maxQueueBytes,
      now: () => performance.now(),
      mayEnter: entry => equipment.spacePolicy?.ask(entry) ?? true,
      observe: onSpace,
      busy: () => {
        this.#timer ??= setInterval(() => {
          this.#tick();
        }, TICK).unref();
      },
      listener: {
        entered: (space, member) => {
          equipment.observer.spaceEntered(eventOf(space, member));
        },
        left: (space, member, reason) => {
          equipment.observer.spaceLeft(eventOf(space, member), reason);
        },
        refused: ({ space, reason: code, message, client: { publicKey, remoteAddress } }) => {
          equipment.observer.spaceRefused({ space, publicKey, remoteAddress, code, message });
        },
        limited: (limit, client) => {
          this.#tellLimit(limit, client);
        },
      },
    });
  }

  /** The relay goes down. */
  close(): void {
    this.#stop();
    this.spaces.close();
  }

  #tick(): void {
    this.spaces.tick(performance.now());
    if (this.spaces.isIdle) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Once for each connection and limit. */
  #tellLimit(limit: SpaceLimitName, client: SpaceClient): void {
    let told = this.#limited.get(client);
    if (told === undefined) this.#limited.set(client, (told = new Set()));
    if (told.has(limit)) return;
    told.add(limit);
    const { publicKey, remoteAddress } = client.client;
    this.#equipment.observer.limited({ limit, publicKey, remoteAddress });
  }
}

function eventOf(space: string, member: SpaceMember): RelaySpaceEvent {
  const { id: memberId, publicKey, connectionId } = member;
  const { userId, deviceId } = member.client.client;
  return { space, publicKey, connectionId, userId, deviceId, memberId };
}
