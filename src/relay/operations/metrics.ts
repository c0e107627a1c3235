import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { ADMISSION_ERROR_CODES, type ErrorCode } from '../../core/errors.js';
import type { SpaceRefusal } from '../../core/space/space-frame.js';
import type { RelayClient } from '../relay-connection.js';
import {
  DROP_REASONS,
  LIMITS,
  type RelayLimited,
  type RelayObserver,
  type RelayRefusal,
  type RelaySnapshot,
  type RelaySpaceRefusal,
  type Reloadable,
} from '../relay-observer.js';
import { type PromClient, RuntimeMetrics, setSum } from './runtime-metrics.js';

const PREFIX = 'secure_websocket_';

const RELOADABLE = ['certificate', 'allow', 'deny', 'jwt', 'reach'] as const satisfies readonly Reloadable[];
const STATES = [
  'starting',
  'listening',
  'draining',
  'closed',
] as const satisfies readonly RelaySnapshot['state'][];

/** The refusals that have a label of their own. The code of another counts as `other`: labels are never made up by clients. */
const REFUSALS: ReadonlySet<string> = new Set<ErrorCode>([
  'LINK_FAILED',
  'LINK_LOST',
  'REGISTRATION_TIMEOUT',
  'REGISTRATION_MALFORMED',
  'REGISTRATION_REFUSED',
  'VERSION_MISMATCH',
  'SERVER_KEY_MISMATCH',
  'ADDRESS_NOT_CLAIMED',
  'DIALLED_ELSEWHERE',
  'DEVICE_INFORMATION_INVALID',
  'DEVICE_INFORMATION_EXPIRED',
  'TOO_MANY_CONNECTIONS',
  ...ADMISSION_ERROR_CODES,
  'DECRYPT_FAILED',
  'NOISE_MESSAGE_MALFORMED',
  'LOW_ORDER_ADDRESS',
  'ZERO_SHARED_SECRET',
  'REPLAYED',
  'PROTOCOL_VIOLATION',
  'RESTARTING',
  'ABORTED',
]);

/** The refusals of spaces that have a label of their own. */
const SPACE_REFUSALS: ReadonlySet<string> = new Set<SpaceRefusal>([
  'SPACE_NOT_ALLOWED',
  'SPACE_FULL',
  'TOO_MANY_SPACES',
  'JOIN_INVALID',
  'UNAVAILABLE',
]);

const REGISTRATION_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LIFETIME_BUCKETS = [1, 10, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 604_800];
const QUESTION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * What Prometheus is told of one relay: what its snapshot says when somebody asks, and what its events were. Units are
 * seconds and bytes. Every label has values from a fixed list: no key and no IP address becomes one.
 */
export class Metrics implements RelayObserver {
  readonly #snapshot: () => RelaySnapshot;
  readonly #registry: Registry;
  readonly #runtime: RuntimeMetrics;
  readonly #update: (snapshot: RelaySnapshot) => void;

  readonly #registrations: Counter;
  readonly #registrationTime: Histogram;
  readonly #disconnections: Counter<'code'>;
  readonly #lifetime: Histogram;
  readonly #refusals: Counter<'code'>;
  readonly #limits: Counter<'limit'>;
  readonly #spaceRefusals: Counter<'code'>;
  readonly #questions: Histogram<'about' | 'outcome'>;
  readonly #reloads: Counter<'what' | 'outcome'>;

  /**
   * Loads prom-client. The registry is the relay's own: several relays in one process do not see each other.
   *
   * @param snapshot asked once for each `render`
   * @param version of this package
   */
  static async create(snapshot: () => RelaySnapshot, version: string): Promise<Metrics> {
    return new Metrics(await import('prom-client'), snapshot, version);
  }

  private constructor(prometheus: PromClient, snapshot: () => RelaySnapshot, version: string) {
    const registry = new prometheus.Registry();
    const make = new MetricMaker(prometheus, registry);
    this.#snapshot = snapshot;
    this.#registry = registry;
    this.#update = snapshotMetrics(make, version);

    this.#registrations = make.counter('registrations_total', 'Clients that registered.');
    this.#registrationTime = make.histogram(
      'registration_duration_seconds',
      'How long registrations took, from the upgrade on, seconds.',
      REGISTRATION_BUCKETS,
    );
    this.#disconnections = make.counter(
      'disconnections_total',
      'Registered connections that ended, by the status code of RFC 6455.',
      ['code'],
    );
    this.#lifetime = make.histogram(
      'connection_lifetime_seconds',
      'How long connections were registered that ended, seconds.',
      LIFETIME_BUCKETS,
    );
    this.#refusals = make.counter('refusals_total', 'Clients that were turned away, by error code.', [
      'code',
    ]);
    this.#limits = make.counter(
      'limits_hit_total',
      'How often a limit was hit, at most once for each connection and limit where it could be again and again.',
      ['limit'],
    );
    for (const limit of LIMITS) this.#limits.inc({ limit }, 0);
    this.#spaceRefusals = make.counter(
      'space_refusals_total',
      'Clients that were not let into a space, by reason.',
      ['code'],
    );
    for (const code of SPACE_REFUSALS) this.#spaceRefusals.inc({ code }, 0);
    this.#questions = make.histogram(
      'question_duration_seconds',
      'How long it took to ask whoever decides on admission, reach or spaces, by what came of it, seconds.',
      QUESTION_BUCKETS,
      ['about', 'outcome'],
    );
    for (const about of ['admission', 'reach', 'space']) {
      for (const outcome of ['yes', 'no', 'unavailable']) this.#questions.zero({ about, outcome });
    }
    this.#reloads = make.counter(
      'reloads_total',
      'What was read again while the relay ran, by what came of it.',
      ['what', 'outcome'],
    );
    for (const what of RELOADABLE) {
      for (const outcome of ['success', 'failure']) this.#reloads.inc({ what, outcome }, 0);
    }
    this.#runtime = new RuntimeMetrics(prometheus, registry);
  }

  /** Of what `render` gives. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  async render(): Promise<string> {
    this.#update(this.#snapshot());
    this.#runtime.update();
    return this.#registry.metrics();
  }

  /** Stops to watch Node. What was counted can still be rendered. */
  close(): void {
    this.#runtime.close();
  }

  registered(_client: RelayClient, seconds: number): void {
    this.#registrations.inc();
    this.#registrationTime.observe(seconds);
  }

  disconnected(_client: RelayClient, code: number, seconds: number): void {
    this.#disconnections.inc({ code: isKnownStatus(code) ? String(code) : 'other' });
    this.#lifetime.observe(seconds);
  }

  refused({ code }: RelayRefusal): void {
    this.#refusals.inc({ code: REFUSALS.has(code) ? code : 'other' });
  }

  limited({ limit }: RelayLimited): void {
    this.#limits.inc({ limit });
  }

  spaceRefused({ code }: RelaySpaceRefusal): void {
    this.#spaceRefusals.inc({ code: SPACE_REFUSALS.has(code) ? code : 'other' });
  }

  asked(
    about: 'admission' | 'reach' | 'space',
    seconds: number,
    outcome: 'yes' | 'no' | 'unavailable',
  ): void {
    this.#questions.observe({ about, outcome }, seconds);
  }

  reloaded(what: Reloadable, error?: Error): void {
    this.#reloads.inc({ what, outcome: error === undefined ? 'success' : 'failure' });
  }
}

/** Status codes of RFC 6455, and those of a relay. What else there is was made up by a client. */
function isKnownStatus(code: number): boolean {
  return Number.isInteger(code) && ((code >= 1000 && code <= 1015) || (code >= 4001 && code <= 4009));
}

/** Metrics of one registry. */
class MetricMaker {
  readonly #prometheus: PromClient;
  readonly #registers: Registry[];

  constructor(prometheus: PromClient, registry: Registry) {
    this.#prometheus = prometheus;
    this.#registers = [registry];
  }

  gauge<T extends string = string>(name: string, help: string, labelNames: T[] = []): Gauge<T> {
    return new this.#prometheus.Gauge({ name: PREFIX + name, help, labelNames, registers: this.#registers });
  }

  counter<T extends string = string>(name: string, help: string, labelNames: T[] = []): Counter<T> {
    return new this.#prometheus.Counter({
      name: PREFIX + name,
      help,
      labelNames,
      registers: this.#registers,
    });
  }

  histogram<T extends string = string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: T[] = [],
  ): Histogram<T> {
    const registers = this.#registers;
    return new this.#prometheus.Histogram({ name: PREFIX + name, help, buckets, labelNames, registers });
  }
}

/** Makes the metrics that a snapshot knows, and gives what sets them. */
function snapshotMetrics(make: MetricMaker, version: string): (snapshot: RelaySnapshot) => void {
  make
    .gauge('build_info', 'Always 1; its labels say what runs.', ['version', 'node'])
    .set({ version, node: process.version }, 1);
  const state = make.gauge('state', '1 for the state that the relay is in, 0 for the others.', ['state']);
  const ready = make.gauge('ready', '1 while the relay takes new connections gladly.');
  const startTime = make.gauge('start_time_seconds', 'When the relay began to listen, seconds since 1970.');
  const connections = make.gauge('connections', 'Registered connections.');
  const unregistered = make.gauge(
    'unregistered_connections',
    'Connections whose client has not proven its key.',
  );
  const maxConnections = make.gauge('max_connections', 'Most connections, registered or not.');
  const listeningKeys = make.gauge('listening_keys', 'Public keys that somebody listens under.');
  const throttled = make.gauge('throttled_connections', 'Connections whose traffic is being held back.');
  const queuedBytes = make.gauge('queued_bytes', 'Bytes that wait to be sent, overhead included.');
  const maxQueuedBytes = make.gauge(
    'max_queued_bytes',
    'Most bytes that may wait for all connections together.',
  );
  const envelopes = make.counter('envelopes_forwarded_total', 'Envelopes that were forwarded.');
  const bytes = make.counter('bytes_forwarded_total', 'Bytes of the envelopes that were forwarded.');
  const drops = make.counter('envelopes_dropped_total', 'Envelopes that were not forwarded, by reason.', [
    'reason',
  ]);
  const spaces = make.gauge('spaces', 'Spaces that have members.');
  const members = make.gauge('space_members', 'Members of spaces, those whose place is kept included.');
  const away = make.gauge('space_members_away', 'Members of spaces whose place is kept while they are away.');
  const said = make.counter('space_messages_total', 'Messages that were said in spaces.');
  const handed = make.counter(
    'space_deliveries_total',
    'How often a message to a space was handed to a member who was there.',
  );
  const kept = make.gauge('space_history_bytes', 'Bytes that are kept of spaces, overhead included.');
  const maxKept = make.gauge(
    'max_space_history_bytes',
    'Most bytes that may be kept of all spaces together.',
  );
  const events = make.counter('server_events_total', 'Events that were handed to connections.');
  const lostEvents = make.counter(
    'server_events_dropped_total',
    'Events that were not: the client did not read, or was gone.',
  );
  const eventBytes = make.gauge('server_event_queued_bytes', 'Bytes of events that wait, each counted once.');
  const watched = make.gauge('presence_watched_keys', 'Keys that clients watch, each as often as it is.');
  const expiry = make.gauge(
    'certificate_expiry_timestamp_seconds',
    'When the certificate expires, since 1970.',
  );

  return snapshot => {
    for (const each of STATES) state.set({ state: each }, each === snapshot.state ? 1 : 0);
    ready.set(snapshot.state === 'listening' ? 1 : 0);
    startTime.set(snapshot.startedAt);
    connections.set(snapshot.connections);
    unregistered.set(snapshot.unregistered);
    maxConnections.set(snapshot.maxConnections);
    listeningKeys.set(snapshot.listeningKeys);
    throttled.set(snapshot.throttled);
    queuedBytes.set(snapshot.queuedBytes);
    maxQueuedBytes.set(snapshot.maxTotalQueueBytes);
    setSum(envelopes, snapshot.envelopes);
    setSum(bytes, snapshot.bytes);
    drops.reset();
    for (const reason of DROP_REASONS) drops.inc({ reason }, snapshot.drops[reason]);
    spaces.set(snapshot.spaces);
    members.set(snapshot.spaceMembers);
    away.set(snapshot.spaceMembersAway);
    setSum(said, snapshot.spaceMessages);
    setSum(handed, snapshot.spaceDeliveries);
    kept.set(snapshot.spaceHistoryBytes);
    maxKept.set(snapshot.maxTotalHistoryBytes);
    setSum(events, snapshot.serverEvents);
    setSum(lostEvents, snapshot.serverEventDrops);
    eventBytes.set(snapshot.serverEventBytes);
    watched.set(snapshot.watchedKeys);
    // A relay without a certificate has none that expired in 1970.
    if (snapshot.certificateExpiresAt === undefined) expiry.remove();
    else expiry.set(snapshot.certificateExpiresAt);
  };
}
