import { decodeFrame, type Frame, peerAddress } from '../../src/core/frame.js';
import type { Identity } from '../../src/core/identity.js';
import { registerDialled, type RegisterOptions } from '../../src/link/register-dialled.js';
import { EventQueue } from './event-queue.js';

/** A link to the relay at `url`, registered as the library does it; its owner has to end it. */
export function dialRelay(url: string, identity: Identity, options: Partial<RegisterOptions> = {}) {
  return registerDialled({
    url,
    location: url,
    identity,
    checkServerKey: () => Promise.resolve(),
    ...options,
  }).registered;
}

/** The frames of a link, and its end. */
export function framesOf(
  dialled: Awaited<ReturnType<typeof dialRelay>>,
  { publicKeyBytes }: Pick<Identity, 'publicKeyBytes'>,
) {
  const frames = new EventQueue<Frame>();
  const closed = new Promise<{ code: number; reason: string }>(resolve => {
    dialled.start({
      binary: data => {
        frames.push(decodeFrame(data));
      },
      closed: (code, reason) => {
        resolve({ code, reason });
      },
    });
  });
  const { socket, connectionId } = dialled;
  return { socket, connectionId, address: peerAddress(publicKeyBytes, connectionId), frames, closed };
}
