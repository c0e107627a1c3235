/**
 * The few types of the DOM that the public face of a socket mentions, so that the package's declarations compile in
 * a program with the DOM's types, with Node's, or with neither.
 *
 * Where the program knows the real type it is used: a handler written for lib.dom's `MessageEvent` fits then. Where
 * it does not, a structural stand-in takes its place.
 */

/** Type of the instances of a global class, where the program has that global. */
type InstanceOfGlobal<Name extends string, Otherwise> =
  typeof globalThis extends Record<Name, { readonly prototype: infer Instance }> ? Instance : Otherwise;

/** `Event` (DOM Standard section 2.2). */
export type DomEvent = InstanceOfGlobal<'Event', EventLike>;

/** `MessageEvent` (HTML section 9.1). `data` is a string, an ArrayBuffer or a Blob. */
export type DomMessageEvent = InstanceOfGlobal<'MessageEvent', MessageEventLike>;

/** `CloseEvent` (WebSockets Standard section 6). */
export type DomCloseEvent = InstanceOfGlobal<'CloseEvent', CloseEventLike>;

export interface EventLike {
  readonly type: string;
  readonly target: object | null;
  readonly currentTarget: object | null;
  readonly eventPhase: number;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly defaultPrevented: boolean;
  readonly composed: boolean;
  readonly isTrusted: boolean;
  readonly timeStamp: number;
  composedPath(): object[];
  preventDefault(): void;
  stopPropagation(): void;
  stopImmediatePropagation(): void;
}

// An intersection, not `extends`: the real Event may be a conditional type.
export type MessageEventLike = DomEvent & {
  // As in lib.dom: what it holds depends on the message and on `binaryType`.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly data: any;
  readonly origin: string;
  readonly lastEventId: string;
  readonly source: null;
  readonly ports: readonly never[];
};

export type CloseEventLike = DomEvent & {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
};

/** The part of `Blob` (File API section 3) that is needed to send one. */
export interface BlobLike {
  readonly size: number;
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** `Blob` (File API section 3), where the program has its type. */
export type DomBlob = InstanceOfGlobal<'Blob', BlobLike>;

/** A `URL`, or anything else that stringifies to one. */
export interface UrlLike {
  readonly href: string;
  toString(): string;
}

interface AbortSignalLike {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
}

/** `EventListenerOptions` (DOM Standard section 2.7). */
export interface ListenerOptions {
  capture?: boolean;
}

/** `AddEventListenerOptions` (DOM Standard section 2.7). */
export interface AddListenerOptions extends ListenerOptions {
  once?: boolean;
  passive?: boolean;
  signal?: InstanceOfGlobal<'AbortSignal', AbortSignalLike>;
}

/** A listener of any event: a function or an object with `handleEvent` (DOM Standard section 2.7). */
export type AnyListener = ((event: DomEvent) => void) | { handleEvent(event: DomEvent): void };

/** `EventTarget` (DOM Standard section 2.7) that knows which event has which type. */
export interface TypedEventTarget<Events> {
  /** Calls `listener` for every event of that type, until it is removed. */
  addEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: (this: this, event: Events[Type]) => unknown,
    options?: boolean | AddListenerOptions,
  ): void;
  addEventListener(type: string, listener: AnyListener | null, options?: boolean | AddListenerOptions): void;
  /** Removes a listener that was added with the same function and the same `capture`. */
  removeEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: (this: this, event: Events[Type]) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(type: string, listener: AnyListener | null, options?: boolean | ListenerOptions): void;
  /** Calls the listeners of `event.type` now. False when one of them called `preventDefault`. */
  dispatchEvent(event: DomEvent): boolean;
}

// Streams (Streams Standard). The real types, where there are some, do not say what the chunks are: that is the part
// of the stand-ins, which are there in any program.

/** What `read()` of a reader gives. */
export type StreamReadResult<Chunk> =
  | { readonly done: false; readonly value: Chunk }
  | { readonly done: true; readonly value: Chunk | undefined };

/** `ReadableStreamDefaultReader` (Streams Standard section 4.3). */
export interface StreamReaderLike<Chunk> {
  readonly closed: Promise<undefined>;
  cancel(reason?: unknown): Promise<void>;
  read(): Promise<StreamReadResult<Chunk>>;
  releaseLock(): void;
}

export interface ReadableStreamLike<Chunk> {
  readonly locked: boolean;
  cancel(reason?: unknown): Promise<void>;
  getReader(): StreamReaderLike<Chunk>;
}

/** `WritableStreamDefaultWriter` (Streams Standard section 5.3). */
export interface StreamWriterLike<Chunk> {
  readonly closed: Promise<undefined>;
  readonly desiredSize: number | null;
  readonly ready: Promise<undefined>;
  abort(reason?: unknown): Promise<void>;
  close(): Promise<void>;
  releaseLock(): void;
  write(chunk?: Chunk): Promise<void>;
}

export interface WritableStreamLike<Chunk> {
  readonly locked: boolean;
  abort(reason?: unknown): Promise<void>;
  close(): Promise<void>;
  getWriter(): StreamWriterLike<Chunk>;
}

/** `ReadableStream` (Streams Standard section 4.2) of `Chunk`s. */
export type DomReadableStream<Chunk> = ReadableStreamLike<Chunk> &
  InstanceOfGlobal<'ReadableStream', unknown>;

/** `WritableStream` (Streams Standard section 5.2) of `Chunk`s. */
export type DomWritableStream<Chunk> = WritableStreamLike<Chunk> &
  InstanceOfGlobal<'WritableStream', unknown>;
