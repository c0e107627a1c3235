/** What `verifyClient` is asked about. */
export interface ClientInformation<Request> {
  /** The `Origin` of the client; undefined when it sent none. */
  readonly origin: string | undefined;
  /** Whether the connection itself is encrypted (TLS, or the relay's encryption). */
  readonly secure: boolean;
  readonly req: Request;
}

/** The answer in callback form. `code` (default 401) and `message` are told to a client that is turned away. */
export type VerifyClientCallback = (
  verified: boolean,
  code?: number,
  message?: string,
  headers?: Record<string, string | string[] | number | undefined>,
) => void;

/**
 * As in `ws`: a function of one argument that says whether the client may connect, or one of two that calls back.
 * Beyond `ws`, the first may also return a promise (which `ws` would take for a yes).
 */
export type VerifyClient<Request> = (
  information: ClientInformation<Request>,
  callback: VerifyClientCallback,
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- one type for both, so that arguments get theirs
) => boolean | Promise<boolean> | void;

/** Asks `verify`; at once unless it returns a promise or calls back later. What it throws, or rejects with, is told to `failed`. */
export function verifyClient<Request>(
  verify: VerifyClient<Request>,
  information: ClientInformation<Request>,
  answer: VerifyClientCallback,
  failed: (error: unknown) => void,
): void {
  let answered = false;
  const once: VerifyClientCallback = (...args) => {
    if (answered) return;
    answered = true;
    answer(...args);
  };
  let result: unknown;
  try {
    // As in `ws`, the number of parameters tells the two forms apart.
    if (verify.length === 2) {
      void verify(information, once);
      return;
    }
    result = (verify as (information: ClientInformation<Request>) => unknown)(information);
  } catch (error) {
    answered = true;
    failed(error);
    return;
  }
  if (!isPromiseLike(result)) {
    once(Boolean(result));
    return;
  }
  result.then(
    verified => {
      once(Boolean(verified));
    },
    (error: unknown) => {
      answered = true;
      failed(error);
    },
  );
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
