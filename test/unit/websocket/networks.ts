import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { RecordingListener } from '../../support/recording-listener.js';

export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** Notes what has arrived, too. */
export class Listener extends RecordingListener {
  arrivedBytes = 0;

  arrived(bytes: number): void {
    this.arrivedBytes += bytes;
  }

  /** What was told, without what only says that something was sent. */
  get told(): string[] {
    return this.events.filter(event => event !== 'drained');
  }
}

/** Two TCP sockets that are connected. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const one = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const [other] = (await once(server, 'connection')) as [Socket];
  server.close();
  return [one, other];
}

/** A network of which a test decides what it takes. */
export class FakeNetwork extends Duplex {
  /** What each call of the operating system would get. */
  readonly writes: Buffer[] = [];
  /** While true, the kernel takes nothing more. */
  stuck = false;
  /** With what every write fails. */
  failure: Error | undefined;
  #done: (() => void) | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error) => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  /** The kernel takes what it was given, and whatever comes. */
  drain(): void {
    this.stuck = false;
    this.step();
  }

  /** The kernel takes what it was given. */
  step(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.writes);
  }

  #take(chunks: readonly Buffer[], done: (error?: Error) => void): void {
    const take = (): void => {
      // As the kernel: what is written into the memory later is not sent.
      this.writes.push(Buffer.concat(chunks));
      done(this.failure);
    };
    if (this.stuck) this.#done = take;
    else take();
  }
}
