/**
 * `/v1/live`: the WebSocket by which the page of a listener gets its data.
 *
 * Owns: who may watch. Where a view token is configured, the first message must bring it, since a
 * page cannot send headers with a WebSocket; without one only loopback may watch, and only where no
 * other token is wanted. Only the listener's own page may open it. A page that reads too slowly
 * misses frames.
 */
import type { TemplatedApp, WebSocket } from 'uWebSockets.js';
import * as v from 'valibot';
import { parseBoundedJson } from '../base/bounded-json.ts';
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { carriesToken } from '../config/access-token.ts';
import type { PageGuard } from '../http/page-guard.ts';
import { spans } from '../metrics/live-history.ts';

/**
 * Frames that a page asks for: of so many seconds each, that ended after a time, with the values of
 * series that prefixes mean (see LiveQuestion); `process` null means all.
 */
export type FramesQuestion = {
  readonly spanS: number;
  readonly sinceMs: number;
  readonly prefixes: readonly string[];
  readonly process: string | null;
};

/** What a page shows; see `src/dashboard/page/`. */
export type LiveHost = {
  /**
   * Returns what is new, once a second while somebody watches, with the values of series that
   * somebody looks at. Errors: DataPlaneError.
   */
  next(prefixes: readonly string[]): Promise<object>;
  /** Returns what is in memory. Errors: DataPlaneError. */
  frames(question: FramesQuestion): Promise<object>;
};

/** Who may watch: whoever brings the token, everyone, or nobody, and why. */
export type ViewAccess =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'open' }
  | { readonly kind: 'closed'; readonly why: string };

export type LiveSocketOptions = {
  readonly host: LiveHost;
  readonly access: ViewAccess;
  readonly pages: PageGuard;
  readonly onUpgraded: () => void;
  readonly clock: Clock;
};

/** Open at once. */
export const watchersMax = 32;
const everyMs = 1_000;
/** Until a new watcher has brought the token. */
const loginMsMax = 10_000;
const messageBytesMax = 4 * 1024;
const messageItemsMax = 32;
/** Series that one page looks at, and all pages do. */
const prefixesMax = 8;
const allPrefixesMax = 256;
const prefixLengthMax = 256;
/** Longer messages are sent as they are: to compress them would hold up requests. */
const compressedLengthMax = 256 * 1024;
/** A watcher with more unread gets no frame. Units: bytes. */
const unreadBytesMax = 8 * 1024 * 1024;

const messageShape = v.variant('type', [
  v.strictObject({ type: v.literal('login'), token: v.pipe(v.string(), v.maxLength(1_024)) }),
  v.strictObject({
    type: v.literal('watch'),
    spanS: v.picklist(spans),
    sinceMs: v.pipe(v.number(), v.minValue(0)),
    prefixes: v.pipe(v.array(v.pipe(v.string(), v.maxLength(prefixLengthMax))), v.maxLength(prefixesMax)),
    process: v.nullable(v.pipe(v.string(), v.maxLength(prefixLengthMax))),
  }),
]);

type Watcher = {
  isAdmitted: boolean;
  readonly openedMs: number;
  isAsking: boolean;
  /** Series that it looks at. */
  prefixes: readonly string[];
};
type Socket = WebSocket<Watcher>;

/** The sockets of one listener. Dispose of it before the app closes. */
export class LiveSockets implements Disposable {
  readonly #options: LiveSocketOptions;
  readonly #sockets = new Set<Socket>();
  #timer: NodeJS.Timeout | null = null;
  #isBusy = false;

  constructor(options: LiveSocketOptions) {
    this.#options = options;
  }

  attachTo(app: TemplatedApp): void {
    const { access, pages, onUpgraded, clock } = this.#options;
    app.ws<Watcher>('/v1/live', {
      maxPayloadLength: messageBytesMax,
      idleTimeout: 120,
      maxBackpressure: 2 * unreadBytesMax,
      compression: 1,
      upgrade: (response, request, context) => {
        const refusal = pages.operatorRefusal((name) => request.getHeader(name));
        if (refusal !== null) return void response.writeStatus('403 Forbidden').end(refusal.message, true);
        if (this.#sockets.size >= watchersMax) {
          return void response.writeStatus('503 Service Unavailable').end('too many watch (watchersMax)', true);
        }
        const watcher: Watcher = {
          isAdmitted: access.kind === 'open',
          openedMs: clock.monotonicMs(),
          isAsking: false,
          prefixes: [],
        };
        const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((part) =>
          request.getHeader(`sec-websocket-${part}`),
        );
        response.upgrade(watcher, key!, protocol!, extensions!, context);
      },
      open: (socket) => {
        onUpgraded();
        this.#sockets.add(socket);
        const why = access.kind === 'closed' ? access.why : '';
        send(socket, { type: 'access', access: access.kind, why });
        this.#timer ??= setInterval(() => void this.#tick(), everyMs);
      },
      message: (socket, message) => void this.#take(socket, Buffer.from(message).toString()),
      close: (socket) => {
        this.#sockets.delete(socket);
        if (this.#sockets.size > 0 || this.#timer === null) return;
        clearInterval(this.#timer);
        this.#timer = null;
      },
    });
  }

  async #tick(): Promise<void> {
    const { host, clock } = this.#options;
    for (const socket of [...this.#sockets]) {
      const { isAdmitted, openedMs } = socket.getUserData();
      if (!isAdmitted && clock.monotonicMs() - openedMs > loginMsMax) socket.end(1008, 'no view token came');
    }
    const admitted = [...this.#sockets].filter((socket) => socket.getUserData().isAdmitted);
    if (this.#isBusy || admitted.length === 0) return;
    this.#isBusy = true;
    try {
      const prefixes = new Set(admitted.flatMap((socket) => socket.getUserData().prefixes));
      const text = JSON.stringify({ type: 'now', ...(await host.next([...prefixes].slice(0, allPrefixesMax))) });
      for (const socket of admitted) {
        // It may have gone meanwhile.
        if (this.#sockets.has(socket)) sendText(socket, text);
      }
    } catch (thrown) {
      operatingFailure(thrown);
    } finally {
      this.#isBusy = false;
    }
  }

  async #take(socket: Socket, text: string): Promise<void> {
    const message = readMessage(text);
    if (message === null) return void socket.end(1008, 'no message of the page');
    const watcher = socket.getUserData();
    const { access, host } = this.#options;
    if (message.type === 'login') {
      if (access.kind !== 'token') return;
      watcher.isAdmitted = carriesToken(`Bearer ${message.token}`, access.token);
      return send(socket, { type: 'login', isAdmitted: watcher.isAdmitted });
    }
    if (!watcher.isAdmitted) return;
    watcher.prefixes = message.prefixes;
    // One question at a time, so that a page cannot have many prepared; it asks again.
    if (watcher.isAsking) return;
    watcher.isAsking = true;
    try {
      const { type: _type, ...question } = message;
      const frames = await host.frames(question);
      if (this.#sockets.has(socket)) send(socket, { type: 'frames', ...question, ...frames });
    } catch (thrown) {
      operatingFailure(thrown);
    } finally {
      watcher.isAsking = false;
    }
  }

  /** Ends all sockets. */
  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const socket of [...this.#sockets]) socket.end(1001, 'the server is stopping');
  }
}

function send(socket: Socket, message: object): void {
  sendText(socket, JSON.stringify(message));
}

/** A page that reads too slowly goes without. */
function sendText(socket: Socket, text: string): void {
  if (socket.getBufferedAmount() < unreadBytesMax) socket.send(text, false, text.length < compressedLengthMax);
}

function readMessage(text: string): v.InferOutput<typeof messageShape> | null {
  try {
    const { success, output } = v.safeParse(messageShape, parseBoundedJson(text, 'the message', messageItemsMax));
    return success ? output : null;
  } catch (thrown) {
    operatingFailure(thrown);
    return null;
  }
}
