import { unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';

/** A path that is not longer fits into an address of a Unix socket everywhere, bytes. */
const MAX_PATH = 100;
/** What a process that has died left behind is taken away so often. */
const TRIES = 3;

/**
 * Sees to it that one process at a time uses a file. It listens at a Unix socket beside it, `<file>.lock`: however the
 * process ends, nobody listens there any more, and no number of a process has to be believed.
 */
export class FileLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** 'taken': another process has it. Undefined: here there can be no lock (Windows, a folder without room for it). */
  static async acquire(file: string): Promise<FileLock | 'taken' | undefined> {
    const path = `${file}.lock`;
    if (process.platform === 'win32' || Buffer.byteLength(path) > MAX_PATH) return undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      const result = await listen(path);
      if (typeof result !== 'string') return new FileLock(result);
      if (result !== 'EADDRINUSE') return undefined;
      if (await isAlive(path)) return 'taken';
      await unlink(path).catch(() => undefined);
    }
    return undefined;
  }

  release(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

/** The server, or the code of the error that it has failed with. */
function listen(path: string): Promise<Server | string> {
  return new Promise(resolve => {
    const server = createServer(socket => {
      socket.destroy();
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? '');
    });
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Whether somebody listens there. */
function isAlive(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    const settle = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on('connect', () => {
      settle(true);
    });
    // Refused: nobody does. Not allowed to ask: somebody may.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      settle(error.code === 'EACCES' || error.code === 'EPERM');
    });
  });
}
