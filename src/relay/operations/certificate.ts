import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { describeError } from '../../core/describe-error.js';
import { SecureWebSocketError } from '../../core/errors.js';
import type { RelayObserver } from '../relay-observer.js';
import type { TlsOptions } from '../relay-options.js';
import { WatchedFile } from '../watched-file.js';

/** Certificates are small, even with the whole chain. Bytes. */
const MAX_BYTES = 1_048_576;
/** How long certificate and key may not belong together before that is told: one is replaced after the other. */
const PATIENCE = 10_000;

/** How files are watched. For tests; milliseconds. */
export interface CertificateTimes {
  /** Between two looks at the files. Default: as `WatchedFile`. */
  readonly interval?: number | undefined;
  /** Default 10 s. */
  readonly patience?: number | undefined;
}

/** What both files hold, as text. */
interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate and its key that are read again when their files change. */
export class Certificate {
  /** Called with what new connections are to use (`tls.Server.setSecureContext`). Those that are open go on with what they began with. */
  onContext: ((context: SecureContextOptions) => void) | undefined;
  readonly #options: TlsOptions;
  readonly #observer: RelayObserver;
  readonly #patience: number;
  readonly #certFile: WatchedFile;
  readonly #keyFile: WatchedFile;
  /** What the files hold. */
  #pair: Pair = { cert: '', key: '' };
  #inUse: Pair | undefined;
  /** It was told that what the files hold cannot be used. */
  #isWrong = false;
  #expiresAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: TlsOptions, observer: RelayObserver, times: CertificateTimes = {}) {
    this.#options = options;
    this.#observer = observer;
    this.#patience = times.patience ?? PATIENCE;
    const failed = (error: Error) => observer.reloaded?.('certificate', error);
    const watched = { maxBytes: MAX_BYTES, interval: times.interval };
    this.#certFile = new WatchedFile(
      options.certFile,
      { changed: cert => this.#changed({ ...this.#pair, cert }), failed },
      watched,
    );
    this.#keyFile = new WatchedFile(
      options.keyFile,
      { changed: key => this.#changed({ ...this.#pair, key }), failed },
      watched,
    );
  }

  /** When the certificate that is in use expires, seconds since 1970. 0 before `open`. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /**
   * Reads both files and begins to watch them.
   * @throws SecureWebSocketError `INVALID_ARGUMENT` when one cannot be read, they do not belong together, or the certificate has expired
   */
  async open(): Promise<SecureContextOptions> {
    try {
      // One after the other: the first may change already while the second is read.
      this.#pair = { cert: await this.#certFile.open(), key: '' };
      const key = await this.#keyFile.open();
      this.#pair = { ...this.#pair, key };
      return this.#use(this.#pair);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Reads both files now. What does not fit is told at once, and again, as somebody asked. Resolves when done; never
   * rejects.
   */
  async reload(): Promise<void> {
    await Promise.all([this.#certFile.reload(), this.#keyFile.reload()]);
    if (!this.#closed) this.#consider(0);
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#certFile.close();
    this.#keyFile.close();
    this.onContext = undefined;
  }

  #changed(pair: Pair): void {
    this.#pair = pair;
    if (this.#inUse !== undefined) this.#consider(this.#patience);
  }

  /** Uses what the files hold, if it fits, and says so, or what is wrong: after `patience` if it may be half of a change. */
  #consider(patience: number): void {
    clearTimeout(this.#timer);
    const pair = this.#pair;
    if (pair.cert === this.#inUse?.cert && pair.key === this.#inUse.key) {
      // What did not fit has been taken back.
      if (this.#isWrong) this.#observer.reloaded?.('certificate');
      this.#isWrong = false;
      return;
    }
    try {
      const context = this.#use(pair);
      this.#isWrong = false;
      this.onContext?.(context);
      this.#observer.reloaded?.('certificate');
    } catch (error) {
      if (patience === 0) {
        this.#isWrong = true;
        this.#observer.reloaded?.('certificate', error as Error);
        return;
      }
      this.#timer = setTimeout(() => this.#consider(0), patience);
      this.#timer.unref();
    }
  }

  #use(pair: Pair): SecureContextOptions {
    const certificate = this.#certificateIn(pair.cert);
    const expiresAt = Date.parse(certificate.validTo);
    if (!(expiresAt > Date.now())) {
      throw this.#invalid(`The certificate in ${this.#options.certFile} expired on ${certificate.validTo}.`);
    }
    if (!certificate.checkPrivateKey(this.#keyIn(pair.key))) {
      throw this.#invalid(
        `The key in ${this.#options.keyFile} is not that of the certificate in ${this.#options.certFile}. ` +
          'The certificate of the server itself comes first in its file, before those in between.',
      );
    }
    const context: SecureContextOptions = { cert: pair.cert, key: pair.key };
    try {
      // As the server will: this refuses what is too weak, and a chain that is malformed further down.
      createSecureContext(context);
    } catch (error) {
      throw this.#invalid(
        `The certificate in ${this.#options.certFile} cannot be used: ${describeError(error)}.`,
      );
    }
    this.#inUse = pair;
    this.#expiresAt = Math.floor(expiresAt / 1_000);
    return context;
  }

  #certificateIn(pem: string): X509Certificate {
    try {
      return new X509Certificate(pem);
    } catch {
      throw this.#invalid(`There is no certificate in PEM format in ${this.#options.certFile}.`);
    }
  }

  #keyIn(pem: string): KeyObject {
    try {
      return createPrivateKey(pem);
    } catch {
      // What OpenSSL has to say is not repeated: it is about a secret.
      const hint = /ENCRYPTED/.test(pem)
        ? ': it is encrypted. Give one without a passphrase'
        : ' in PEM format';
      throw this.#invalid(`There is no private key that can be read in ${this.#options.keyFile}${hint}.`);
    }
  }

  #invalid(message: string): SecureWebSocketError {
    return new SecureWebSocketError('INVALID_ARGUMENT', message);
  }
}
