import { concat } from '../../src/core/bytes.js';
import { Router } from '../../src/relay/router.js';
import { MARKER } from './conversation.js';
import { lieAbout, Wire, type WireEnd } from './wire.js';
import type { World } from './world.js';

/** As in src/relay/keepalive.ts: a client that does not answer pings is taken for gone, milliseconds. */
const KEEPALIVE = 60_000;

const marker = Buffer.from(MARKER);

/** A relay, which can go down and come back as another process that knows nobody. */
export class RelaySite {
  readonly #world: World;
  readonly name: string;
  #router: Router;
  isUp = true;
  readonly #wires = new Set<Wire>();

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#router = this.#start();
  }

  /** Takes a client that has proven its key; undefined when nobody is there. */
  connect(
    publicKey: Uint8Array,
    wanted: number | undefined,
    client: WireEnd,
  ): { wire: Wire; connectionId: number } | undefined {
    if (!this.isUp) return undefined;
    const world = this.#world;
    const router = this.#router;
    const connectionId = router.allocateConnectionId(publicKey, wanted);
    const wire: Wire = new Wire(world.timeline, world.wireOptions(), [
      client,
      {
        awakeAt: 0,
        keepalive: KEEPALIVE,
        receive: frame => {
          world.check(
            !Buffer.from(frame.buffer, frame.byteOffset, frame.length).includes(marker),
            'plaintext in a relay',
          );
          port.receive(frame);
        },
        drained: () => {
          port.drained();
        },
        lost: () => {
          port.remove();
          this.#wires.delete(wire);
        },
      },
    ]);
    this.#wires.add(wire);
    const port = router.add(publicKey, connectionId, {
      get bufferedBytes() {
        return wire.buffered(1);
      },
      send: frame => {
        // The relay's own word is not what a liar on the way changes.
        if (frame[0] !== 1) {
          wire.send(1, frame);
          return;
        }
        for (const { frame: next, later } of lieAbout(frame, world.lies, world.random)) {
          if (later === 0) wire.send(1, next);
          else
            world.timeline.after(later, () => {
              wire.send(1, next);
            });
        }
      },
      sendShared: (head, tail) => {
        wire.send(1, concat(head, tail));
      },
      close: () => {
        wire.close(1);
        this.#wires.delete(wire);
      },
    });
    return { wire, connectionId };
  }

  get wires(): ReadonlySet<Wire> {
    return this.#wires;
  }

  /** `silently`: as when the power goes, so that clients are not told. */
  crash(silently: boolean): void {
    this.isUp = false;
    for (const wire of this.#wires) {
      if (silently) wire.stall();
      else wire.cut();
    }
    this.#wires.clear();
  }

  restart(): void {
    this.#router = this.#start();
    this.isUp = true;
  }

  #start(): Router {
    const { random, plan } = this.#world;
    return new Router({
      randomUint32: () => random.uint32(),
      maxFrame: plan.maxFrame,
      ...(plan.maxQueueBytes !== undefined && { maxQueueBytes: plan.maxQueueBytes }),
    });
  }
}
