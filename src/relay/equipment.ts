import type { SecureContextOptions } from 'node:tls';
import { describeError } from '../core/describe-error.js';
import { VERSION } from '../core/version.js';
import { AdmissionControl } from './admission/admission-control.js';
import { ReachPolicy } from './admission/reach-policy.js';
import { KeyTraffic } from './limits/key-traffic.js';
import { checkAppendable } from './operations/appendable.js';
import { AuditLog } from './operations/audit-log.js';
import { Certificate } from './operations/certificate.js';
import { InternalServer } from './operations/internal-server.js';
import { createLogger, type FileLogger, LogObserver } from './operations/log.js';
import { Metrics } from './operations/metrics.js';
import { observeAll } from './operations/observers.js';
import { allOf } from './problems.js';
import type { RelayObserver, RelaySnapshot } from './relay-observer.js';
import type { CheckedOptions } from './relay-options.js';
import { SpacePolicy } from './spaces/space-policy.js';

/** What the equipment of a relay needs to know of it, and what it has to tell. */
export interface EquippedRelay {
  /** The relay's own observer: the first that is told. */
  readonly observer: RelayObserver;
  snapshot(): RelaySnapshot;
  isReady(): boolean;
  /** The lists of keys have changed: who is connected has to be judged anew. */
  listsChanged(): void;
  readonly failed: (error: Error) => void;
}

/** What the options of a relay ask for beside forwarding: who decides, who counts, who watches. Each only if it is asked for. */
export class Equipment {
  readonly #relay: EquippedRelay;
  readonly #options: CheckedOptions;
  /** Whoever is told what happens. */
  observer: Required<RelayObserver>;
  certificate: Certificate | undefined;
  /** What TLS begins with. */
  context: SecureContextOptions | undefined;
  admission: AdmissionControl | undefined;
  reach: ReachPolicy | undefined;
  keyTraffic: KeyTraffic | undefined;
  spacePolicy: SpacePolicy | undefined;
  #metrics: Metrics | undefined;
  #internal: InternalServer | undefined;
  #audit: AuditLog | undefined;
  #log: FileLogger | undefined;

  constructor(options: CheckedOptions, relay: EquippedRelay) {
    this.#options = options;
    this.#relay = relay;
    this.observer = observeAll([relay.observer]);
  }

  /** Reads all files, and opens all that watches. Rejects with what is wrong; to be closed then. */
  async open(): Promise<void> {
    const { log, audit, internal } = this.#options;
    const observers: RelayObserver[] = [this.#relay.observer];
    if (log !== undefined) {
      const logger = await createLogger(log);
      // One that was given is its owner's to close.
      if (!('info' in log)) this.#log = logger as FileLogger;
      observers.push(new LogObserver(logger, () => this.certificate?.expiresAt));
    }
    if (audit !== undefined) {
      this.#audit = await AuditLog.open(audit, this.#relay.failed);
      observers.push(this.#audit);
    }
    if (internal !== undefined) {
      this.#metrics = await Metrics.create(() => this.#relay.snapshot(), VERSION);
      observers.push(this.#metrics);
    }
    this.observer = observeAll(observers);
    await this.load();
    if (internal !== undefined && this.#metrics !== undefined) {
      const relay = {
        snapshot: () => this.#relay.snapshot(),
        isReady: () => this.#relay.isReady(),
        version: VERSION,
      };
      this.#internal = new InternalServer(internal, relay, this.#metrics);
      await this.#internal.listen();
    }
  }

  /** Whether `open` would succeed, as far as that can be told without writing or listening anywhere. */
  async check(): Promise<void> {
    const { audit, log } = this.#options;
    const auditFile = audit?.file;
    const logFile = log === undefined || 'info' in log ? undefined : log.file;
    await allOf([
      this.load(),
      auditFile === undefined ? undefined : checkAppendable('audit log', auditFile),
      logFile === undefined ? undefined : checkAppendable('log file', logFile),
    ]);
  }

  /** Reads what decides: certificates, lists, rules, keys of tokens. Talks to nobody. */
  async load(): Promise<void> {
    const { tls, admission, reach, keyFramesPerSecond, keyBytesPerSecond, keyLimiters, spaces } =
      this.#options;
    if (tls !== undefined) this.certificate = new Certificate(tls, this.observer);
    if (admission !== undefined) {
      this.admission = new AdmissionControl(admission, this.observer, () => {
        this.#relay.listsChanged();
      });
    }
    if (reach !== undefined) {
      this.reach = new ReachPolicy(reach, this.observer, () => undefined);
    }
    if (spaces.enabled) this.spacePolicy = new SpacePolicy(spaces, () => this.observer);
    await allOf([
      this.certificate?.open().then(context => {
        this.context = context;
      }),
      this.admission?.start(),
      this.reach?.start(),
    ]);
    if (keyFramesPerSecond !== undefined || keyBytesPerSecond !== undefined) {
      this.keyTraffic = await KeyTraffic.create({
        framesPerSecond: keyFramesPerSecond,
        bytesPerSecond: keyBytesPerSecond,
        frameLimiter: keyLimiters?.frames,
        byteLimiter: keyLimiters?.bytes,
      });
    }
  }

  /** Where the internal server is, if there is one. */
  get internalUrl(): string | undefined {
    return this.#internal?.url;
  }

  /** Reads everything again that can change, and begins new files for logs that were moved away. */
  async reload(): Promise<void> {
    this.#log?.reopen();
    await Promise.all([
      this.certificate?.reload(),
      this.admission?.reload(),
      this.reach?.reload(),
      this.#audit?.reopen(),
    ]);
  }

  /** Safe to call again, as when it is called while `open` is under way. */
  async close(): Promise<void> {
    this.certificate?.close();
    this.admission?.close();
    this.reach?.close();
    this.spacePolicy?.close();
    for (const closing of [
      () => this.#internal?.close(),
      () => this.#audit?.close(),
      () => this.#log?.close(),
    ]) {
      try {
        await closing();
      } catch (error) {
        this.#relay.failed(error instanceof Error ? error : new Error(describeError(error)));
      }
    }
    this.#metrics?.close();
  }
}
