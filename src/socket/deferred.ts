/** A promise and what settles it. */
export interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/** `Promise.withResolvers`, which not every runtime has. */
export function createDeferred(): Deferred {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** The same, of whose rejection nobody has to take notice. */
export function createQuietDeferred(): Deferred {
  const deferred = createDeferred();
  deferred.promise.catch(() => undefined);
  return deferred;
}
