/** The socket of the page's data, which comes back by itself, and what it has brought. */
import { systemClock } from '../../base/clock.ts';
import type { NodeState } from './advice.ts';
import type { Frame } from './figures.ts';

export type Step = {
  readonly node: string;
  readonly call: string;
  readonly atMs: number;
  readonly tookMs: number | null;
};
export type SlowRequest = {
  readonly endMs: number;
  readonly request: string;
  readonly trace: string | null;
  readonly method: string;
  readonly caller: string;
  readonly code: string | null;
  readonly durationMs: number;
  readonly items: number;
  readonly waitedMs: number;
  readonly steps: readonly Step[];
};
export type ClusterState = { readonly epoch: number; readonly slots: number; readonly nodes: readonly NodeState[] };

type ProcessLive = { readonly process: string; readonly seconds: Frame[]; readonly steps: Frame[] };
type Message =
  | { readonly type: 'access'; readonly access: 'open' | 'token' | 'closed'; readonly why: string }
  | { readonly type: 'login'; readonly isAdmitted: boolean }
  | {
      readonly type: 'now';
      readonly atMs: number;
      readonly processes: readonly ProcessLive[];
      readonly cluster?: ClusterState;
      readonly slowest?: readonly SlowRequest[];
    }
  | { readonly type: 'history'; readonly prefix: string; readonly processes: readonly ProcessLive[] };

const retryMs = 1_000;
/** Without a message for so long, what is shown is old. */
export const silentMsMax = 3_500;
const secondsKept = 120;
const tokenKey = 'skyshard-view-token';

export class Connection {
  readonly #onChange: () => void;
  readonly #onLogin: (problem: string | null) => void;
  #socket: WebSocket | null = null;
  #isAdmitted = false;
  heardMs = 0;
  /** Of the server. */
  atMs = 0;
  cluster: ClusterState | null = null;
  slowest: readonly SlowRequest[] = [];
  /** The last two minutes, second by second, and the history that was asked for last. */
  readonly secondsByProcess = new Map<string, Frame[]>();
  readonly stepsByProcess = new Map<string, readonly Frame[]>();
  historyPrefix = '';

  /** `onLogin` is called with why a token is needed, or null once none is. */
  constructor(onChange: () => void, onLogin: (problem: string | null) => void) {
    this.#onChange = onChange;
    this.#onLogin = onLogin;
    this.#open();
    setInterval(() => this.#onChange(), retryMs);
  }

  get isLive(): boolean {
    return this.#isAdmitted && systemClock.nowMs() - this.heardMs < silentMsMax;
  }

  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }

  #open(): void {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/live`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
    socket.onclose = () => {
      this.#isAdmitted = false;
      this.#onChange();
      setTimeout(() => this.#open(), retryMs);
    };
  }

  login(token: string): void {
    sessionStorage.setItem(tokenKey, token);
    this.#send({ type: 'login', token });
  }

  /** Asks for the history of series; the answer replaces the one before. */
  askHistory(prefix: string, minutes: number): void {
    if (this.#isAdmitted) this.#send({ type: 'history', prefix, minutes });
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #admit(): void {
    this.#isAdmitted = true;
    this.#onLogin(null);
  }

  #take(message: Message): void {
    if (message.type === 'access') {
      const token = sessionStorage.getItem(tokenKey);
      if (message.access === 'open') this.#admit();
      else if (message.access === 'closed') this.#onLogin(`Nobody may watch here: ${message.why}.`);
      else if (token === null) this.#onLogin('');
      else this.#send({ type: 'login', token });
    } else if (message.type === 'login') {
      if (message.isAdmitted) this.#admit();
      else {
        sessionStorage.removeItem(tokenKey);
        this.#onLogin('The server has another view token.');
      }
    } else if (message.type === 'history') {
      this.historyPrefix = message.prefix;
      this.stepsByProcess.clear();
      for (const { process, steps } of message.processes) this.stepsByProcess.set(process, steps);
    } else {
      this.heardMs = systemClock.nowMs();
      this.atMs = message.atMs;
      this.cluster = message.cluster ?? this.cluster;
      this.slowest = message.slowest ?? this.slowest;
      for (const { process, seconds } of message.processes) {
        const kept = [...(this.secondsByProcess.get(process) ?? []), ...seconds];
        this.secondsByProcess.set(process, kept.slice(-secondsKept));
      }
    }
    this.#onChange();
  }

  /** Returns the seconds of a process, or of all, of the last `ms`. */
  recent(ms: number, process: string | null = null): Map<string, Frame[]> {
    const sinceMs = this.atMs - ms;
    const all = [...this.secondsByProcess].filter(([name]) => process === null || name === process);
    return new Map(all.map(([name, frames]) => [name, frames.filter(({ endMs }) => endMs > sinceMs)]));
  }
}
