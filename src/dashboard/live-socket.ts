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

/** What a page shows; see `src/dashboard/page/`. */
export type LiveHost = {
  /** Returns what is new, once a second while somebody watches. Errors: DataPlaneError. */
  next(): Promise<object>;
  /** Returns the history of series whose key begins with `prefix`. Errors: DataPlaneError. */
  history(prefix: string, minutes: number): Promise<object>;
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
const messageItemsMax = 16;
/** A watcher with more unread gets no frame. Units: bytes. */
const unreadBytesMax = 8 * 1024 * 1024;
const historyMinutesMax = 60;

const messageShape = v.variant('type', [
  v.strictObject({ type: v.literal('login'), token: v.pipe(v.string(), v.maxLength(1_024)) }),
  v.strictObject({
    type: v.literal('history'),
    prefix: v.pipe(v.string(), v.maxLength(256)),
    minutes: v.pipe(v.number(), v.minValue(1), v.maxValue(historyMinutesMax)),
  }),
]);

type Watcher = { isAdmitted: boolean; readonly openedMs: number; isAsking: boolean };
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
        const watcher: Watcher = { isAdmitted: access.kind === 'open', openedMs: clock.monotonicMs(), isAsking: false };
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
      const text = JSON.stringify({ type: 'now', ...(await host.next()) });
      for (const socket of admitted) {
        // It may have gone meanwhile.
        if (this.#sockets.has(socket) && socket.getBufferedAmount() < unreadBytesMax) socket.send(text, false, true);
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
    // One question at a time, so that a page cannot have many prepared.
    if (!watcher.isAdmitted || watcher.isAsking) return;
    watcher.isAsking = true;
    try {
      const history = await host.history(message.prefix, message.minutes);
      if (this.#sockets.has(socket)) {
        send(socket, { type: 'history', prefix: message.prefix, minutes: message.minutes, ...history });
      }
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
  socket.send(JSON.stringify(message), false, true);
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
